"""A checkpoint as other software expects it: weights, tokenizer with chat template, generation settings, model card.

No torch at module level: the config lives here.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from openseek.artifact import write_json, write_text
from openseek.data.chat import END, TEMPLATE, render
from openseek.model.config import ModelConfig

EOD, PAD = "<|endoftext|>", "<|pad|>"
# Real text of both languages, code and mathematics; any text serves, as long as it is not random.
VERIFY_TEXT = (
    "Tokenization is the first step of every language model: text is cut into pieces, and each becomes a number. "
    "语言模型的第一步是分词：把文本切成小块，每一块对应一个数字。\n"
    "def add(a: int, b: int) -> int:\n    return a + b\n"
    "If a train travels 120 km in 1.5 hours, its mean speed is 120 / 1.5 = 80 km/h.\n"
)
# Licence classes of training text that a reader of the card must know about, and why.
RESTRICTED = {
    "nc": "non-commercial use only",
    "nd": "no derivatives",
    "terms": "the source's own terms apply",
    "unknown": "licence not known",
    "by-sa": "share-alike",
}


@dataclass(frozen=True)
class Export:
    """Write a checkpoint as a Hugging Face folder and prove that transformers computes the same."""

    name: str = "openseek"
    """Title of the model card."""
    licence: str = "apache-2.0"
    """Licence of the weights, as named on the model card."""
    dtype: Literal["bfloat16", "float32"] = "bfloat16"
    """Type of the weights on disk; router weights and biases stay float32."""
    max_difference: float = 1e-4
    """Largest difference of logits to transformers', relative to the largest; above it the task fails."""
    verify_text: str = VERIFY_TEXT
    """Text on which the logits are compared."""

    def __post_init__(self) -> None:
        if self.dtype not in ("bfloat16", "float32"):
            raise ValueError(f"dtype={self.dtype!r}: use bfloat16 or float32")
        if not 0 < self.max_difference < 1:
            raise ValueError(f"max_difference={self.max_difference} must be above 0 and below 1")
        if not self.verify_text.strip():
            raise ValueError("verify_text is empty: give some real text")


def write_folder(checkpoint: Path, folder: Path, config: Export) -> None:
    """Weights, config.json, tokenizer.json, tokenizer_config.json, chat_template.jinja and generation_config.json."""
    import torch
    from tokenizers import Tokenizer

    from openseek.model.hf import load_checkpoint, save_checkpoint
    from openseek.model.hf_config import read_config

    shape = read_config(checkpoint)
    check_transformers_computes(shape)
    tokenizer_file = checkpoint / "tokenizer.json"
    if not tokenizer_file.is_file():
        raise ValueError(f"{tokenizer_file} is missing: a checkpoint without its tokenizer cannot be exported")
    tokenizer = Tokenizer.from_file(str(tokenizer_file))
    ids = {token: tokenizer.token_to_id(token) for token in (EOD, PAD, END)}
    missing = [token for token, number in ids.items() if number is None]
    if missing:
        raise ValueError(f"{tokenizer_file} lacks {', '.join(missing)}: export needs a tokenizer made by `tokenize`")
    save_checkpoint(load_checkpoint(checkpoint), tokenizer_file, folder, getattr(torch, config.dtype), ids[EOD])
    write_json(
        folder / "tokenizer_config.json",
        {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "eos_token": EOD,
            "pad_token": PAD,
            "clean_up_tokenization_spaces": False,
            "model_max_length": shape.max_position_embeddings,
            "chat_template": TEMPLATE,
        },
    )
    write_text(folder / "chat_template.jinja", TEMPLATE)
    # A chat's turn ends with its mark, a plain text with the end of the document.
    write_json(folder / "generation_config.json", {"eos_token_id": [ids[EOD], ids[END]], "pad_token_id": ids[PAD]})


def check_transformers_computes(shape: ModelConfig) -> None:
    """Raise ValueError that names the fields in the way if no transformers class computes models of this shape."""
    from openseek.model.hf_config import FAMILIES, OWN_TYPE, model_type, obstacles

    if model_type(shape) == OWN_TYPE:
        nearest = min(FAMILIES, key=lambda name: len(obstacles(shape, name)))
        raise ValueError(
            f"no transformers class computes this model, so it cannot be exported; {nearest} is nearest, but "
            f"{'; '.join(obstacles(shape, nearest))}"
        )


def verify(checkpoint: Path, folder: Path, config: Export) -> dict[str, float]:
    """Compare the folder as transformers reads it with our model, on config.verify_text; the differences.

    max_difference: ours to transformers, both from the folder, in float32. rounding_difference: the folder to the
    checkpoint it came from, which is what writing bfloat16 costs. Both are relative to the largest logit. Raises
    ValueError beyond config.max_difference or when the chat template renders otherwise than ours.
    """
    import torch

    from openseek.model.hf import load_checkpoint

    with _quiet_transformers():
        from transformers import AutoModelForCausalLM, AutoTokenizer

        theirs = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
        tokenizer = AutoTokenizer.from_pretrained(folder)
    chat = [{"role": "user", "content": "1 + 1?"}, {"role": "assistant", "content": "2"}]
    if tokenizer.apply_chat_template(chat, tokenize=False) != render(chat):
        raise ValueError(f"{folder}: transformers renders a chat otherwise than openseek/data/chat.py")
    ids = torch.tensor([tokenizer(config.verify_text)["input_ids"]])
    with torch.no_grad():
        expected = theirs(ids).logits
        ours, source = (load_checkpoint(each)(ids).logits_BTV for each in (folder, checkpoint))

    def difference(a: torch.Tensor, b: torch.Tensor) -> float:
        return ((a - b).abs().max() / b.abs().max()).item()

    found = {"max_difference": difference(ours, expected), "rounding_difference": difference(ours, source)}
    if not found["max_difference"] <= config.max_difference or math.isnan(found["rounding_difference"]):
        raise ValueError(
            f"{folder}: logits differ from transformers' by {found['max_difference']:.2e} of the largest, more than "
            f"max_difference={config.max_difference:.0e}: do not use this folder"
        )
    return found | {"compared_tokens": ids.shape[1]}


@contextmanager
def _quiet_transformers() -> Iterator[None]:
    """transformers lists the multi-token prediction block, which it does not load, and shows progress bars."""
    import transformers

    logger, bars = logging.getLogger("transformers"), transformers.utils.logging.is_progress_bar_enabled()
    level = logger.level
    logger.setLevel(logging.ERROR)
    transformers.utils.logging.disable_progress_bar()
    try:
        yield
    finally:
        logger.setLevel(level)
        if bars:
            transformers.utils.logging.enable_progress_bar()


def model_card(config: Export, shape: dict[str, Any], lineage: list[dict[str, Any]], checks: dict[str, float]) -> str:
    """README.md of the folder. `lineage`: manifests of what it came from, oldest first; `shape`: config.json."""
    sources = {
        source["name"]: source.get("licence", "unknown")
        for manifest in lineage
        if manifest["task"] == "ingest"
        for source in manifest["config"].get("sources", [])
    }
    notes = [
        f"- {name}: {RESTRICTED[licence]} (`{licence}`)" for name, licence in sources.items() if licence in RESTRICTED
    ]
    steps = [
        f"| {_step(m)} | `{m['fingerprint'][:16]}` | {m['commit'][:12]} | {_numbers(m['facts'])} |" for m in lineage
    ]
    fields = ("hidden_size", "num_hidden_layers", "n_routed_experts", "num_experts_per_tok", "vocab_size")
    predicts = shape.get("num_nextn_predict_layers") or shape["openseek"].get("num_nextn_predict_layers")
    prediction = "Multi-token prediction is at layer num_hidden_layers of the file; plain generation skips it."
    return "\n".join(
        [
            "---",
            f"license: {config.licence}",
            "library_name: transformers",
            "pipeline_tag: text-generation",
            "---",
            f"# {config.name}",
            "",
            f"A {shape['architectures'][0].removesuffix('ForCausalLM')} model: "
            + ", ".join(f"{name} {shape[name]}" for name in fields if name in shape)
            + ".",
            f"Weights in {config.dtype}. Logits equal transformers' within {checks['max_difference']:.1e} of the "
            f"largest on {checks['compared_tokens']} tokens of real text; rounding to {config.dtype} moved them by "
            f"{checks['rounding_difference']:.1e}.",
            "",
            "```python",
            "from transformers import AutoModelForCausalLM, AutoTokenizer",
            "tokenizer, model = (cls.from_pretrained(FOLDER) for cls in (AutoTokenizer, AutoModelForCausalLM))",
            "```",
            "",
            *([prediction, ""] if predicts else []),
            "## Licences of the training text",
            "",
            "| source | licence class |",
            "| --- | --- |",
            *(f"| {name} | {licence} |" for name, licence in sorted(sources.items())),
            "",
            *(["Of these, some ask for care before the weights are passed on:", "", *notes, ""] if notes else []),
            "## Provenance",
            "",
            "| step | fingerprint | commit | facts |",
            "| --- | --- | --- | --- |",
            *steps,
            "",
        ]
    )


def _step(manifest: dict[str, Any]) -> str:
    return f"{manifest['task']}.{manifest['label']}" if manifest.get("label") else manifest["task"]


def _numbers(facts: dict[str, Any]) -> str:
    shown = ("rows_in", "rows_out", "tokens", "steps", "heldout_loss", "loss")
    return ", ".join(f"{k} {facts[k]:.6g}" for k in shown if isinstance(facts.get(k), int | float)) or "-"
