"""Training tasks: pretrain, sft, rl. Each is one function on every rank."""

from pathlib import Path

from openseek.artifact import Facts
from openseek.train.grpo import GRPO
from openseek.train.pretrain import Pretrain
from openseek.train.sft import SFT
from tasks.task import task


@task
def pretrain(out: Path, mixture: Path, checkpoint: Path | None = None, config: Pretrain = Pretrain()) -> Facts:
    """Train a model on a mixture of token shards, from random weights or on from a checkpoint."""
    from openseek.train.pretrain import train
    from tasks.launch import on_ranks

    inputs = {"mixture": mixture.resolve(), "checkpoint": checkpoint.resolve() if checkpoint else None}
    return on_ranks(train, config.fit.parallel, out=out, config=config, **inputs)


@task
def sft(out: Path, checkpoint: Path, documents: Path, config: SFT = SFT()) -> Facts:
    """Fine-tune a checkpoint on chat rows."""
    from openseek.train.sft import finetune
    from tasks.launch import on_ranks

    inputs = {"checkpoint": checkpoint.resolve(), "documents": documents.resolve()}
    return on_ranks(finetune, config.fit.parallel, out=out, config=config, **inputs)


@task
def rl(out: Path, checkpoint: Path, prompts: Path, config: GRPO = GRPO()) -> Facts:
    """Improve a checkpoint by GRPO on problems whose answers can be checked."""
    from openseek.train.grpo import reinforce
    from tasks.launch import on_ranks

    inputs = {"checkpoint": checkpoint.resolve(), "prompts": prompts.resolve()}
    return on_ranks(reinforce, config.fit.parallel, out=out, config=config, **inputs)
