"""A recipe: one frozen dataclass with a config for every step of the lifecycle, read by name or from a YAML file."""

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from openseek.data.exact import DedupExact
from openseek.data.filters import Filters
from openseek.data.imported_tokens import ImportTokens
from openseek.data.minhash import MinHash
from openseek.data.mixture import Mix
from openseek.data.ngrams import Decontaminate
from openseek.data.release import Release
from openseek.data.repeated_lines import DedupLines
from openseek.data.scorers import Classify, Select
from openseek.data.sources import Ingest
from openseek.data.substring import Substring
from openseek.data.tokenizer import Tokenize
from openseek.eval.config import Evaluate
from openseek.fields import changed, read_yaml
from openseek.model.export import Export
from openseek.sweep.experiment import Experiment, Ladder
from openseek.synthesis.config import Synthesize
from openseek.train.grpo import GRPO
from openseek.train.pretrain import Pretrain
from openseek.train.sft import SFT

SAMPLES = Path(__file__).resolve().parents[2] / "samples"
C = TypeVar("C")


@dataclass(frozen=True)
class Recipe:
    """What every step of the lifecycle does; a field is named after its step (`evaluate_sft`: evaluate.sft)."""

    ingest: Ingest = field(default_factory=Ingest)
    """Raw sources to documents."""
    filter: Filters = field(default_factory=Filters)
    """Cleaning and per-document rules."""
    dedup_exact: DedupExact = field(default_factory=DedupExact)
    """Equal documents."""
    dedup_minhash: MinHash = field(default_factory=MinHash)
    """Near-duplicate documents."""
    dedup_substring: Substring = field(default_factory=Substring)
    """Repeated passages."""
    dedup_lines: DedupLines = field(default_factory=DedupLines)
    """Repeated paragraphs or lines (a step only where it is enabled)."""
    classify: Classify = field(default_factory=Classify)
    """Score columns."""
    select: Select = field(default_factory=Select)
    """Thresholds over the scores."""
    decontaminate: Decontaminate = field(default_factory=Decontaminate)
    """Documents that overlap with benchmarks."""
    synthesize: Synthesize = field(default_factory=Synthesize)
    """Generated documents."""
    decontaminate_synthetic: Decontaminate = field(default_factory=Decontaminate)
    """Generated documents that overlap with benchmarks."""
    tokenize: Tokenize = field(default_factory=Tokenize)
    """Documents to token shards."""
    mix: Mix = field(default_factory=Mix)
    """Weights of the sources."""
    pretrain: Pretrain = field(default_factory=Pretrain)
    """The base model."""
    evaluate: Evaluate = field(default_factory=Evaluate)
    """Benchmarks of the base model."""
    ingest_sft: Ingest = field(default_factory=Ingest)
    """Chat rows."""
    decontaminate_sft: Decontaminate = field(default_factory=Decontaminate)
    """Chat rows that overlap with benchmarks."""
    sft: SFT = field(default_factory=SFT)
    """Supervised fine-tuning."""
    evaluate_sft: Evaluate = field(default_factory=Evaluate)
    """Benchmarks of the fine-tuned model."""
    ingest_rl: Ingest = field(default_factory=Ingest)
    """Verifiable problems."""
    decontaminate_prompts: Decontaminate = field(default_factory=Decontaminate)
    """Problems that overlap with benchmarks."""
    rl: GRPO = field(default_factory=GRPO)
    """Reinforcement learning."""
    evaluate_rl: Evaluate = field(default_factory=Evaluate)
    """Benchmarks of the final model."""
    export: Export = field(default_factory=Export)
    """The release in the Hugging Face layout."""
    import_tokens: ImportTokens = field(default_factory=ImportTokens)
    """Token files of another program in the place of `tokenize` (a step of its own, in no flow)."""
    release: Release = field(default_factory=Release)
    """The corpus for publication (a step of its own, in no flow)."""
    sweep: Experiment = field(default_factory=Experiment)
    """Proxies of `openseek sweep` (no step of the lifecycle)."""
    ladder: Ladder = field(default_factory=Ladder)
    """Sizes of `openseek ladder` (no step of the lifecycle)."""


def read_recipe(path: Path, known: dict[str, Recipe]) -> Recipe:
    """A YAML recipe: `base: NAME` and the fields that differ; relative raw paths start at the file's folder."""
    try:
        values = read_yaml(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"recipe {path}: {error}") from error
    if not isinstance(values, dict):
        raise ValueError(f"recipe {path} must be a mapping with `base` and the fields that differ")
    base = values.pop("base", None)
    if base not in known:
        raise ValueError(f"recipe {path}: base is {base!r}: use one of {', '.join(known)}")
    return anchored(changed(known[base], values, f"{path}: "), path.resolve().parent)


def anchored(config: C, folder: Path) -> C:
    """A copy of a config whose relative raw paths start at `folder`."""
    replaced: dict[str, Any] = {}
    for item in dataclasses.fields(config):  # type: ignore[arg-type]
        value = getattr(config, item.name)
        if item.metadata.get("raw") and value and not Path(value).expanduser().is_absolute():
            replaced[item.name] = str(folder / value)
        elif dataclasses.is_dataclass(value):
            replaced[item.name] = anchored(value, folder)
        elif isinstance(value, tuple) and any(dataclasses.is_dataclass(v) for v in value):
            replaced[item.name] = tuple(anchored(v, folder) if dataclasses.is_dataclass(v) else v for v in value)
    return dataclasses.replace(config, **replaced)  # type: ignore[type-var]
