"""A model so small that it trains in a second, and token shards of three unlike domains."""

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from openseek.data.tokenizer import Tokenize
from openseek.model.config import ModelConfig
from openseek.recipes import Recipe
from openseek.sweep.config import SweepConfig
from openseek.sweep.experiment import Experiment
from openseek.train.loop import Fit
from openseek.train.pretrain import Pretrain
from openseek.train.schedule import Schedule
from tasks.tokens import tokenize
from tasks.where import Where

DOMAINS = ("letters", "numbers", "words")


def text(domain: str, number: int) -> str:
    generator = random.Random(f"{domain}{number}")
    if domain == "letters":
        return "".join(generator.choices("abcdefgh", k=160))
    if domain == "numbers":
        return " ".join(str(generator.randrange(100)) for _ in range(60))
    return " ".join(generator.choices(("the", "sea", "wind", "ship", "old", "went", "over"), k=50))


SEARCH = SweepConfig(budget_runs=8, batch_runs=2, repeats=2, check_seeds=1, bootstraps=4, folds=2)


@pytest.fixture
def small() -> Recipe:
    """A recipe whose sweep has eight runs."""
    return Recipe(
        pretrain=Pretrain(
            model=ModelConfig(
                hidden_size=16,
                num_hidden_layers=1,
                num_attention_heads=2,
                kv_lora_rank=8,
                qk_nope_head_dim=8,
                qk_rope_head_dim=4,
                v_head_dim=8,
                intermediate_size=32,
                moe_intermediate_size=16,
                n_routed_experts=2,
                first_k_dense_replace=1,
                num_nextn_predict_layers=0,
                initializer_range=0.1,
            ),
            fit=Fit(schedule=Schedule(peak=2e-2, final=2e-3)),
            train_tokens=6 * 8 * 32,
            warmup_tokens=0,
            sequence_length=32,
            global_batch_size=8,
            micro_batch_size=8,
            heldout_sequences=6,
        ),
        sweep=Experiment(search=SEARCH),
    )


@pytest.fixture
def tokens(documents_of: Callable[..., Path], root: Where) -> Path:
    """Token shards of the domains."""
    rows = [{"text": text(domain, i), "source": domain} for i in range(40) for domain in DOMAINS]
    return tokenize(documents_of([rows]), config=Tokenize(vocab_size=280, heldout_fraction=0.2))
