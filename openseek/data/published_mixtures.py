"""OpenSeek's three published mixtures as data: `--set preset=small_v1`, or `mix: {preset: small_v1, ...}` in a recipe.

Weights are percent as published, one a file. Where they stand: small_v1 and baseline_100b in the data_path of
configs/OpenSeek-Small-v1 and configs/OpenSeek-Small-v1-Baseline of FlagAI-Open/OpenSeek at 50212ea; pt_1t in the
configuration of its pretraining/v0.1, whose files are known here by what they hold.
"""

import re
from dataclasses import dataclass

from openseek.data.mixture import Mix

ENGLISH_WEB = "English web (original)"
ENGLISH_SYNTHETIC = "English web (synthetic)"
CHINESE_WEB = "Chinese web"
CODE = "code"
MATH = "math"
PAPERS = "papers"
REFERENCE = "books, wiki, Q&A"
COT = "CoT synthetic"

SEQUENCE_LENGTH = 4096
TERCILE = re.compile(r"-(high|mid|low)$")
"""Ending of Nemotron, CoT, code and math files: a third of them by the perplexity of a small model."""
LOSS_TERCILE = re.compile(r"-loss[012]$")
NEMOTRON = re.compile(r"Nemotron-CC-([a-z]+)-(?:actual|synthetic)-([a-z_]+)")

_Table = dict[str, dict[str, tuple[float, ...]]]


@dataclass(frozen=True)
class Entry:
    """A source of a published mixture."""

    name: str
    """As published, without the part that only says that it is a token file."""
    kind: str
    """One of the kinds above."""
    weights: tuple[float, ...]
    """Percent of training, one for each of its files."""
    token_sources: tuple[str, ...]
    """Glob patterns of the names that it may have in a user's token shards."""

    @property
    def weight(self) -> float:
        """Percent of training."""
        return sum(self.weights)


@dataclass(frozen=True)
class PublishedMixture:
    """A mixture as its authors printed it, rounding and all."""

    title: str
    train_tokens: int
    """Tokens that the published training was set to see."""
    entries: tuple[Entry, ...]

    @property
    def total(self) -> float:
        """Percent, of all weights together: rounding leaves it a little off 100."""
        return sum(entry.weight for entry in self.entries)

    @property
    def num_files(self) -> int:
        """Token files that are named."""
        return sum(len(entry.weights) for entry in self.entries)

    def by_kind(self) -> dict[str, float]:
        """Percent of each kind."""
        kinds: dict[str, float] = {}
        for entry in self.entries:
            kinds[entry.kind] = kinds.get(entry.kind, 0.0) + entry.weight
        return kinds

    def by_source(self) -> "PublishedMixture":
        """The same with the files of one source together: not cut by perplexity, named as in the catalogue."""
        merged: dict[str, Entry] = {}
        for entry in self.entries:
            name = _source_of(entry.name)
            before = merged.get(name, Entry(name, entry.kind, (), ()))
            tokens = tuple(dict.fromkeys((name, *before.token_sources, *entry.token_sources)))
            merged[name] = Entry(name, entry.kind, (*before.weights, *entry.weights), tokens)
        return PublishedMixture(f"{self.title}, by source", self.train_tokens, tuple(merged.values()))

    def mix(self) -> Mix:
        """The config of `mix` for a user who has these sources."""
        return Mix(
            weights={entry.name: round(entry.weight, 4) for entry in self.entries},
            sources={entry.name: entry.token_sources for entry in self.entries},
        )


def _source_of(name: str) -> str:
    # zh_cc-high-loss0: `high` is a level of quality, `loss0` the third of it.
    plain = (LOSS_TERCILE if LOSS_TERCILE.search(name) else TERCILE).sub("", name).replace("medidum", "medium")
    plain = re.sub("-full-(train|val)$", "", plain)
    if found := NEMOTRON.match(plain):
        return f"nemotron_cc_{found[1]}_{found[2]}"
    return plain.replace("-", "_")


def _published(title: str, samples: int, table: _Table, aliases: dict[str, tuple[str, ...]]) -> PublishedMixture:
    """Entries with the names that tell them apart; `-` is no letter of a source's name here, so `_` stands for it."""
    entries = tuple(
        Entry(name, kind, weights, tuple(dict.fromkeys((name, name.replace("-", "_"), *aliases.get(name, ())))))
        for kind, names in table.items()
        for name, weights in names.items()
    )
    return PublishedMixture(title, samples * SEQUENCE_LENGTH, entries)


_PT_1T: _Table = {
    ENGLISH_WEB: {"nemotron_cc_high_actual": (28.89,)},
    ENGLISH_SYNTHETIC: {"nemotron_cc_high_diverse_qa_pairs": (26.11,)},
    CHINESE_WEB: {
        "k73_edu_qwen": (4.08,),
        "wxb_edu_qwen": (6.52,),
        "fineweb_edu_chinese_v2": (14.4,),
    },
    CODE: {
        "opc_fineweb_code": (4.81,),
        "python_edu": (0.32,),
        "opc_annealing_algorithmic": (0.4,),
        "opc_annealing_code_snippet": (0.11,),
        "opc_annealing_qa": (0.09,),
        "starcoder_c": (1.7,),
        "starcoder_cpp": (1.37,),
        "starcoder_go": (0.7,),
        "starcoder_java": (1.89,),
        "starcoder_javascript": (1.61,),
        "starcoder_json": (0.16,),
        "starcoder_jupyter_scripts": (0.2,),
        "starcoder_jupyter_structured": (0.16,),
        "starcoder_markdown": (1.93,),
        "starcoder_python": (1.45,),
        "starcoder_shell": (0.09,),
    },
    MATH: {
        "proof_pile_2_open_web_math": (0.18,),
        "infiwebmath_3plus": (0.3,),
        "finemath_3plus": (0.52,),
    },
    PAPERS: {"dolma_arxiv": (1.0,), "dolma_pes2o": (1.0,)},
}
_PT_1T_ALIASES = {
    # Of version 2 nothing but its successor 2.1 is in the catalogue, in three bands of its score.
    "fineweb_edu_chinese_v2": ("fineweb_edu_chinese_[234]_[345]",),
    "dolma_pes2o": ("dolma_papers",),
}
_SMALL_V1: _Table = {
    ENGLISH_WEB: {
        "Nemotron-CC-medium-actual-actual-mid": (7.76,),
        "Nemotron-CC-high-actual-actual-mid": (2.05,),
        "Nemotron-CC-high-actual-actual-low": (0.67,),
        "Nemotron-CC-medium-actual-actual-low": (4.48,),
        "Nemotron-CC-high-actual-actual-high": (1.26,),
        "Nemotron-CC-medium-actual-actual-high": (2.2,),
    },
    ENGLISH_SYNTHETIC: {
        "Nemotron-CC-low-synthetic-wrap_medium-mid": (1.08,),
        "Nemotron-CC-high-synthetic-knowledge_list-mid": (3.2,),
        "Nemotron-CC-high-synthetic-extract_knowledge-low": (0.07,),
        "Nemotron-CC-high-synthetic-diverse_qa_pairs-low": (2.16,),
        "Nemotron-CC-high-synthetic-distill-low": (0.64,),
        "Nemotron-CC-high-synthetic-distill-high": (1.59,),
        "Nemotron-CC-high-synthetic-wrap_medium-mid": (6.18,),
        "Nemotron-CC-high-synthetic-extract_knowledge-high": (6.43,),
        "Nemotron-CC-high-synthetic-diverse_qa_pairs-high": (4.67,),
        "Nemotron-CC-low-synthetic-wrap_medium-low": (0.3,),
        "Nemotron-CC-high-synthetic-wrap_medium-high": (3.89,),
        "Nemotron-CC-high-synthetic-knowledge_list-low": (0.74,),
        "Nemotron-CC-high-synthetic-extract_knowledge-mid": (2.22,),
        "Nemotron-CC-high-synthetic-diverse_qa_pairs-mid": (7.58,),
        "Nemotron-CC-high-synthetic-distill-mid": (2.32,),
        "Nemotron-CC-low-synthetic-wrap_medium-high": (0.17,),
        "Nemotron-CC-high-synthetic-wrap_medium-low": (0.65,),
        "Nemotron-CC-high-synthetic-knowledge_list-high": (1.88,),
    },
    CHINESE_WEB: {
        "zh_cc": (9.65,),
    },
    CODE: {
        "code": (3.43,),
    },
    MATH: {
        "math": (0.83,),
    },
    PAPERS: {
        "arxiv": (0.32,),
        "pes2o": (0.31,),
    },
    REFERENCE: {
        "books": (1.98,),
        "wiki": (0.29,),
        "stack": (0.19,),
    },
    COT: {
        "cot_synthesis_CC": (9.82,),
        "cot_synthesis_code": (1.32,),
        "cot_synthesis_math": (2.19,),
        "cot_synthesis_wiki": (0.83,),
        "cot_synthesis_arxiv": (4.15,),
        "cot_synthesis_OpenSource": (0.46,),
    },
}
_BASELINE_100B: _Table = {
    ENGLISH_WEB: {
        "Nemotron-CC-high-actual-actual-high": (1.1068,),
        "Nemotron-CC-high-actual-actual-low": (0.3577,),
        "Nemotron-CC-high-actual-actual-mid": (0.7775,),
        "Nemotron-CC-medium-actual-actual-high": (1.1397,),
        "Nemotron-CC-medium-actual-actual-low": (0.6782,),
        "Nemotron-CC-medium-actual-actual-mid": (0.9175,),
    },
    ENGLISH_SYNTHETIC: {
        "Nemotron-CC-high-synthetic-distill-high": (0.2859,),
        "Nemotron-CC-high-synthetic-distill-low": (0.1672,),
        "Nemotron-CC-high-synthetic-distill-mid": (0.2339,),
        "Nemotron-CC-high-synthetic-diverse_qa_pairs-high": (0.5397,),
        "Nemotron-CC-high-synthetic-diverse_qa_pairs-low": (0.4064,),
        "Nemotron-CC-high-synthetic-diverse_qa_pairs-mid": (0.5005,),
        "Nemotron-CC-high-synthetic-extract_knowledge-high": (0.4616,),
        "Nemotron-CC-high-synthetic-extract_knowledge-low": (0.067,),
        "Nemotron-CC-high-synthetic-extract_knowledge-mid": (0.3429,),
        "Nemotron-CC-high-synthetic-knowledge_list-high": (0.261,),
        "Nemotron-CC-high-synthetic-knowledge_list-low": (0.1824,),
        "Nemotron-CC-high-synthetic-knowledge_list-mid": (0.2313,),
        "Nemotron-CC-high-synthetic-wrap_medium-high": (0.8237,),
        "Nemotron-CC-high-synthetic-wrap_medium-low": (0.2866,),
        "Nemotron-CC-high-synthetic-wrap_medium-mid": (0.667,),
        "Nemotron-CC-low-synthetic-wrap_medium-high": (0.4657,),
        "Nemotron-CC-low-synthetic-wrap_medium-low": (0.2005,),
        "Nemotron-CC-low-synthetic-wrap_medium-mid": (0.4317,),
    },
    CHINESE_WEB: {
        "zh_cc-high-loss0": (1.8171,),
        "zh_cc-high-loss1": (0.9776,),
        "zh_cc-high-loss2": (0.3725,),
        "zh_cc-medidum-loss0": (0.9492,),
        "zh_cc-medidum-loss1": (0.9236,),
        "zh_cc-medidum-loss2": (1.0643,),
    },
    CODE: {
        "code-high": (1.0102,),
        "code-low": (1.1403,),
        "code-mid": (0.9674,),
    },
    MATH: {
        "math-high": (1.8165,),
        "math-low": (1.694,),
        "math-mid": (1.6311,),
    },
    PAPERS: {
        "arxiv": (0.6414,),
        "pes2o-full-train": (0.687, 0.7387),
        "pes2o-full-val": (0.0143,),
        "pes2o": (6.1982,),
    },
    REFERENCE: {
        "books": (0.4696,),
        "stack": (0.4229,),
        "wiki": (0.4202,),
    },
    COT: {
        "cot_synthesis2_CC-high": (0.3755,),
        "cot_synthesis2_CC-low": (0.0499,),
        "cot_synthesis2_CC-mid": (0.3608, 0.3623, 0.3704, 0.3733, 0.3631),
        "cot_synthesis2_OpenSource-high": (0.2573,),
        "cot_synthesis2_OpenSource-low": (0.1638,),
        "cot_synthesis2_OpenSource-mid": (0.3251,),
        "cot_synthesis2_arxiv-high": (6.0237,),
        "cot_synthesis2_arxiv-low": (8.9063,),
        "cot_synthesis2_arxiv-mid": (10.1376,),
        "cot_synthesis2_code-high": (0.4598,),
        "cot_synthesis2_code-low": (0.6857,),
        "cot_synthesis2_code-mid": (0.899,),
        "cot_synthesis2_math-high": (1.3135,),
        "cot_synthesis2_math-low": (1.653,),
        "cot_synthesis2_math-mid": (0.3536,),
        "cot_synthesis2_wiki-high": (0.6314,),
        "cot_synthesis2_wiki-low": (0.5978,),
        "cot_synthesis2_wiki-mid": (0.7909,),
        "cot_synthesis_CC-high": (0.2225,),
        "cot_synthesis_CC-low": (0.1797,),
        "cot_synthesis_CC-mid": (0.2042,),
        "cot_synthesis_OpenSource-high": (0.4081,),
        "cot_synthesis_OpenSource-low": (0.1659,),
        "cot_synthesis_OpenSource-mid": (1.2828,),
        "cot_synthesis_arxiv-high": (5.68,),
        "cot_synthesis_arxiv-low": (7.4907,),
        "cot_synthesis_arxiv-mid": (8.9359,),
        "cot_synthesis_code-high": (0.7663,),
        "cot_synthesis_code-low": (0.4052,),
        "cot_synthesis_code-mid": (0.1916,),
        "cot_synthesis_math-high": (0.5074,),
        "cot_synthesis_math-low": (0.6437,),
        "cot_synthesis_math-mid": (0.6406,),
        "cot_synthesis_wiki-high": (0.4,),
        "cot_synthesis_wiki-low": (0.3564,),
        "cot_synthesis_wiki-mid": (0.5768,),
    },
}

PUBLISHED = {
    "pt_1t": _published("OpenSeek-PT-1T (v0.1)", 244_141_056, _PT_1T, _PT_1T_ALIASES),
    "small_v1": _published("OpenSeek-Small-v1", 326_860_800, _SMALL_V1, {}),
    "baseline_100b": _published("OpenSeek-Small-v1-Baseline", 24_576_000, _BASELINE_100B, {}),
}
"""The mixtures by name."""
BY_SOURCE = {f"{name}_by_source": PUBLISHED[name].by_source() for name in ("small_v1", "baseline_100b")}
"""The two that name files cut by perplexity, for users whose sources are whole."""
PRESETS: dict[str, Mix] = {name: mixture.mix() for name, mixture in (PUBLISHED | BY_SOURCE).items()}
