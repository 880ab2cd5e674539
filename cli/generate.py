"""`openseek generate`: continue texts or answer conversations with a checkpoint."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Annotated, Literal

import tyro

from openseek.inference.sampling import Sampling

SAMPLING = Sampling(max_new_tokens=128)


def generate(
    checkpoint: Path,
    sampling: Annotated[Sampling, tyro.conf.arg(name="")] = SAMPLING,
    prompt: tuple[str, ...] = (),
    prompts: Path | None = None,
    out: Path | None = None,
    seed: int = 0,
    samples: int = 1,
    logprobs: bool = False,
    chat: bool = False,
    batch_size: int = 32,
    dtype: Literal["auto", "bfloat16", "float16", "float32"] = "auto",
    device: str = "auto",
) -> int:
    """Continue each prompt with a checkpoint: prints the texts, or writes them as JSON lines while they are made.

    The same command with the same --out goes on where it was interrupted. Each sample depends on --seed and on its
    prompt's number alone, not on its batch.

    Args:
        checkpoint: Artifact of a training or of `export`, or a folder in the Hugging Face layout.
        sampling: How tokens are drawn.
        prompt: Texts to continue.
        prompts: JSON Lines file of {"prompt": TEXT} or {"messages": [{"role": ROLE, "content": TEXT}, ...]}.
        out: File for one JSON line a sample (text, ids, finish_reason, logprobs); without it texts are printed.
        seed: Seed of all samples.
        samples: Samples of each prompt.
        logprobs: Tell the log-probability of each token; prints JSON lines.
        chat: Take each prompt as a user's message and answer it by the model's chat template.
        batch_size: Samples generated together.
        dtype: Type of the weights; auto: bfloat16 on a GPU, float32 elsewhere.
        device: cpu, cuda or cuda:N; auto: the GPU if there is one.
    """
    if not prompt and prompts is None:
        raise ValueError("no prompt: give --prompt TEXT or --prompts FILE.jsonl")
    for name, number in (("samples", samples), ("batch-size", batch_size)):
        if number < 1:
            raise ValueError(f"--{name} is {number}: it must be at least 1")
    from openseek.inference import answers

    rows: list[tuple[str, answers.Row]] = [(f"--prompt {i}", text) for i, text in enumerate(prompt, start=1)]
    rows += answers.rows_of_file(prompts) if prompts is not None else []
    if chat:
        rows = [(place, [{"role": "user", "content": row}] if isinstance(row, str) else row) for place, row in rows]
    place, kind = _place(device, dtype)
    asked = answers.Asked(answers.checkpoint_folder(checkpoint), sampling, seed, samples, logprobs, kind)
    wanted = asked.requests(rows)
    left = wanted if out is None else answers.unfinished(wanted, out)
    if out is not None:
        print(f"{out}: {len(wanted) - len(left)} of {len(wanted)} samples are there", file=sys.stderr)
    if left:
        batches = asked.answers(left, place, batch_size)
        _write(batches, len(left), out, json_lines=logprobs, titles=[place for place, _ in rows], samples=samples)
    return 0


def _place(device: str, dtype: str) -> tuple[str, str]:
    """(device, type of the weights), with what `auto` stands for here."""
    import torch

    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise ValueError(f"--device is {device} and there is no usable GPU: use --device cpu")
    return device, ("float32" if device == "cpu" else "bfloat16") if dtype == "auto" else dtype


def _write(batches, total: int, out: Path | None, *, json_lines: bool, titles: list[str], samples: int) -> None:  # noqa: ANN001
    """Answers as they come, to `out` or to the terminal, and the pace on stderr."""
    started, done, tokens = time.monotonic(), 0, 0
    file = sys.stdout if out is None else out.open("a", encoding="utf-8")
    try:
        for batch in batches:
            for answer in batch:
                title = titles[answer.prompt] + (f", sample {answer.sample + 1}" if samples > 1 else "")
                plain = answer.text if total == 1 else f"== {title}\n{answer.text}"
                print(plain if out is None and not json_lines else answer.line(), file=file)
                tokens += len(answer.ids)
            file.flush()
            done += len(batch)
            pace = tokens / max(time.monotonic() - started, 1e-9)
            print(f"\rgenerate: {done}/{total} samples, {pace:.0f} tokens/s", end="", file=sys.stderr, flush=True)
    finally:
        print(file=sys.stderr)
        if out is not None:
            file.close()
