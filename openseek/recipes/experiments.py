"""Recipes of experiments on the bundled samples: a sweep of the mixture, of hyperparameters in two sizes, a ladder."""

from dataclasses import replace
from typing import Any

from openseek.data.mixture import Mix
from openseek.eval.config import Benchmark, Evaluate
from openseek.fields import changed
from openseek.recipes.debug import DEBUG, sample
from openseek.recipes.recipe import Recipe
from openseek.sweep.config import FieldRange, SweepConfig
from openseek.sweep.experiment import Experiment, Ladder, Rung

PROXY: dict[str, Any] = {
    "tokenize.heldout_fraction": 0.06,
    "pretrain.fit.parallel.dp": 1,
    "pretrain.heldout_sequences": 48,
}
"""Of every proxy: one rank, and more held-out text, so that the loss of a small domain is no accident."""
TEXTS = (("prose_en", "lambada"), ("math_en", "gsm8k"), ("math_zh", "cmath"), ("code", "humaneval"))
"""Fixed texts that no corpus holds, since decontamination drops documents that hold them: (label, sample)."""


def _size(hidden: int, layers: int, tokens: int) -> dict[str, Any]:
    return {
        "pretrain.model.hidden_size": hidden,
        "pretrain.model.num_hidden_layers": layers,
        "pretrain.model.intermediate_size": 3 * hidden,
        "pretrain.model.moe_intermediate_size": 3 * hidden // 4,
        "pretrain.train_tokens": tokens,
    }


MIXTURE = replace(
    DEBUG,
    mix=Mix(
        sources={
            "web_en": ("en_web", "planted"),
            "edu_en": ("en_edu",),
            "zh": ("zh*",),
            "code": ("code*",),
            "math": ("math",),
            "reference": ("books", "wiki", "synthetic-*"),
        }
    ),
    sweep=Experiment(
        proxy=PROXY | _size(96, 3, 70_000),
        search=SweepConfig(budget_runs=24, batch_runs=6, train_tokens=1_500_000, max_epochs=6.0),
        workers=2,
    ),
)
"""The data ratio of six domains: 24 proxies, then the optimum, the natural mixture and a rival with two seeds each."""

HYPERPARAMETERS = {
    "pretrain.fit.schedule.peak": FieldRange(2e-3, 4e-2, scale="log"),
    "pretrain.global_batch_size": FieldRange(2, 16, scale="log", integer=True, multiple=2),
    "pretrain.model.initializer_range": FieldRange(0.02, 0.2, scale="log"),
    "pretrain.model.bias_update_rate": FieldRange(1e-3, 1e-1, scale="log"),
}
"""Learning rate, batch, initial scale and balance of the experts."""


def _hyperparameters(proxy: dict[str, Any], confirm: dict[str, Any]) -> Recipe:
    search = SweepConfig(fields=HYPERPARAMETERS, budget_runs=16, batch_runs=4, repeats=2)
    sweep = Experiment(mixture=False, proxy=PROXY | proxy, confirm=confirm, search=search, workers=2)
    return replace(DEBUG, sweep=sweep)


SMALL_HPARAM = _hyperparameters(_size(64, 3, 60_000), _size(128, 4, 100_000))
"""Hyperparameters of a model of width 64; the optimum is then trained at width 128."""
MID_HPARAM = _hyperparameters(_size(128, 4, 100_000), _size(256, 6, 200_000))
"""The same at width 128; the optimum is then trained at width 256."""

SIZES = ((32, 2, 30_000), (48, 3, 60_000), (64, 3, 120_000), (96, 4, 240_000), (128, 4, 480_000))
"""(width, layers, tokens)."""
LADDER = replace(
    changed(DEBUG, PROXY),
    ladder=Ladder(
        rungs=tuple(Rung(f"width {hidden}", _size(hidden, layers, tokens)) for hidden, layers, tokens in SIZES),
        workers=2,
    ),
)
"""Five sizes, each with twice the tokens of the one before."""

STAGES = replace(
    LADDER,
    evaluate=Evaluate(
        benchmarks=tuple(
            Benchmark("bits_per_byte", sample(f"benchmarks/{name}.jsonl.gz"), limit=40, label=label)
            for label, name in TEXTS
        )
    ),
)
"""What each stage of the corpus is worth: `openseek ablate stages --without filter ...`."""

EXPERIMENTS = {
    "data_ratio": MIXTURE,
    "small_hparam": SMALL_HPARAM,
    "mid_hparam": MID_HPARAM,
    "ladder": LADDER,
    "stages": STAGES,
}
"""Recipe of each name."""
