"""Benchmarks over local files, one a module."""

from openseek.eval.benchmarks.agieval_zh import AGIEVAL_ZH
from openseek.eval.benchmarks.arithmetic import ARITHMETIC
from openseek.eval.benchmarks.bits_per_byte import BITS_PER_BYTE
from openseek.eval.benchmarks.cmath_zh import CMATH_ZH
from openseek.eval.benchmarks.definition import Definition
from openseek.eval.benchmarks.gsm8k import GSM8K
from openseek.eval.benchmarks.hellaswag import HELLASWAG
from openseek.eval.benchmarks.lambada import LAMBADA
from openseek.eval.benchmarks.mmlu import MMLU
from openseek.eval.benchmarks.piqa import PIQA

BENCHMARKS: dict[str, Definition] = {
    "mmlu": MMLU,
    "agieval_zh": AGIEVAL_ZH,
    "gsm8k": GSM8K,
    "cmath_zh": CMATH_ZH,
    "arithmetic": ARITHMETIC,
    "hellaswag": HELLASWAG,
    "piqa": PIQA,
    "lambada": LAMBADA,
    "bits_per_byte": BITS_PER_BYTE,
}
"""The benchmarks a recipe can name."""
