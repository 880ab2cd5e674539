"""Texts in, texts out: the prompts of a person or a file, and a model's samples of them as JSON lines."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer

from openseek.data import chat
from openseek.inference.engine import generate
from openseek.inference.sampling import Sampling, sample_seed
from openseek.model.hf import load_checkpoint
from openseek.model.hf_config import read_config

Row = str | list[dict[str, str]]
"""A text to continue, or a conversation to answer."""


@dataclass(frozen=True)
class Answer:
    """One sample of one prompt: a JSON line."""

    prompt: int
    """Number of the prompt in the input, from 0."""
    sample: int
    """Number of the sample of this prompt, from 0."""
    text: str
    """The output without special tokens."""
    ids: list[int]
    """Output tokens, the one that stopped it included."""
    finish_reason: str
    """stop or length."""
    key: str
    """Names prompt, model, settings and sample: by it an interrupted run goes on."""
    logprobs: list[float] | None = None
    """Log-probability of each output token, if asked for."""

    def line(self) -> str:
        """The JSON line, without its end."""
        fields = {name: value for name, value in dataclasses.asdict(self).items() if value is not None}
        return json.dumps(fields, ensure_ascii=False)


def checkpoint_folder(directory: Path) -> Path:
    """The folder with config.json and tokenizer.json: `directory` itself, or checkpoint/ in a training's artifact."""
    for folder in (directory / "checkpoint", directory):
        if (folder / "config.json").is_file():
            if not (folder / "tokenizer.json").is_file():
                raise ValueError(f"{folder / 'tokenizer.json'} is missing: texts need the model's tokenizer beside it")
            return folder
    raise ValueError(
        f"{directory} holds no model: give an artifact of `pretrain`, `sft`, `dpo`, `rl` or `export`, or a folder in "
        "the Hugging Face layout, with config.json, tokenizer.json and *.safetensors"
    )


def rows_of_file(file: Path) -> list[tuple[str, Row]]:
    """(place, row) of every line of a JSON Lines file: {"prompt": text} or {"messages": [{"role", "content"}, ...]}."""
    rows: list[tuple[str, Row]] = []
    with file.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, start=1):
            place = f"{file}, line {number}"
            if not line.strip():
                continue
            try:
                value = json.loads(line)
            except json.JSONDecodeError as error:
                raise ValueError(f"{place} is no JSON: {error.msg} at column {error.colno}") from error
            if not isinstance(value, dict) or ("prompt" in value) == ("messages" in value):
                raise ValueError(f'{place}: give {{"prompt": TEXT}} or {{"messages": [...]}}, one of the two')
            if "prompt" in value and not isinstance(value["prompt"], str):
                raise ValueError(f"{place}: prompt is {type(value['prompt']).__name__}, not text")
            rows.append((place, value["prompt"] if "prompt" in value else chat.check(value["messages"], place)))
    if not rows:
        raise ValueError(f"{file} holds no prompt")
    return rows


def encoded(rows: Sequence[tuple[str, Row]], folder: Path, tokenizer: Tokenizer, context: int) -> list[list[int]]:
    """The rows as tokens: texts with what the tokenizer adds by itself, conversations by the model's own template.

    ValueError names the place of a prompt that has no tokens, or that leaves no room in a context of so many.
    """
    prompts = []
    for place, row in rows:
        ids = tokenizer.encode(row).ids if isinstance(row, str) else _conversation(folder, tokenizer, row, place)
        if not ids:
            end = tokenizer.token_to_id("<|endoftext|>")
            if end is None:
                raise ValueError(f"{place} has no tokens: begin it with some text")
            ids = [end]  # what stands before every document of the training
        if len(ids) >= context:
            raise ValueError(f"{place} has {len(ids)} tokens, the model's context is {context}: shorten or drop it")
        prompts.append(ids)
    return prompts


def _conversation(folder: Path, tokenizer: Tokenizer, messages: list[dict[str, str]], place: str) -> list[int]:
    """Tokens that ask for the next answer. A foreign template is rendered by transformers."""
    template = _template(folder)
    if template in (None, chat.TEMPLATE):
        return chat.prompt_ids(tokenizer, messages, place)
    from transformers import AutoTokenizer

    theirs: Any = AutoTokenizer.from_pretrained(folder)
    text = theirs.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    return tokenizer.encode(text, add_special_tokens=False).ids


def _template(folder: Path) -> str | None:
    """The chat template that the folder carries."""
    if (folder / "chat_template.jinja").is_file():
        return (folder / "chat_template.jinja").read_text(encoding="utf-8")
    return _json(folder / "tokenizer_config.json").get("chat_template")


def stop_ids(folder: Path, tokenizer: Tokenizer) -> frozenset[int]:
    """Tokens that end an answer: those of generation_config.json, else config.json, and our marks of ends."""
    said = _json(folder / "generation_config.json").get("eos_token_id")
    said = _json(folder / "config.json").get("eos_token_id") if said is None else said
    marks = [tokenizer.token_to_id(mark) for mark in (chat.END, "<|endoftext|>")]
    return frozenset(end for end in (*(said if isinstance(said, list) else [said]), *marks) if end is not None)


def _json(file: Path) -> dict[str, Any]:
    return json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}


@dataclass(frozen=True)
class Request:
    """One sample that is wanted."""

    prompt: int
    sample: int
    ids: tuple[int, ...]
    seed: int
    key: str


@dataclass(frozen=True)
class Asked:
    """What decides the answers to some prompts, apart from the prompts."""

    folder: Path
    """The checkpoint, in the Hugging Face layout."""
    sampling: Sampling
    """How tokens are drawn."""
    seed: int = 0
    """Seed of all samples."""
    samples: int = 1
    """Samples of each prompt."""
    logprobs: bool = False
    """Tell the log-probability of each token."""
    dtype: str = "float32"
    """Type of the weights: a name in torch."""

    def requests(self, rows: Sequence[tuple[str, Row]]) -> list[Request]:
        """Every sample of every prompt. Its randomness is its own: neither batches nor other prompts decide it."""
        settings = [str(each) for each in (self.folder.resolve(), self.sampling, self.logprobs, self.dtype)]
        context = read_config(self.folder).max_position_embeddings
        wanted = []
        for number, ids in enumerate(encoded(rows, self.folder, _tokenizer(self.folder), context)):
            for sample in range(self.samples):
                identity = json.dumps([ids, number, sample, self.seed, settings])
                key = hashlib.blake2b(identity.encode(), digest_size=8).hexdigest()
                seed = sample_seed("generate", self.seed, number, sample)
                wanted.append(Request(number, sample, tuple(ids), seed, key))
        return wanted

    def answers(self, requests: Sequence[Request], device: str, batch_size: int) -> Iterator[list[Answer]]:
        """The answers, batch after batch; with several, prompts of one length are together and little is padding."""
        model = load_checkpoint(self.folder, getattr(torch, self.dtype)).to(device)
        tokenizer = _tokenizer(self.folder)
        stops = stop_ids(self.folder, tokenizer)
        ordered = list(requests)
        if len(ordered) > batch_size:
            ordered.sort(key=lambda request: (len(request.ids), request.prompt))
        for start in range(0, len(ordered), batch_size):
            batch = ordered[start : start + batch_size]
            ids, seeds = [request.ids for request in batch], [request.seed for request in batch]
            made = generate(model, ids, self.sampling, seeds=seeds, stop_ids=stops, max_batch_size=batch_size)
            yield [
                Answer(
                    prompt=request.prompt,
                    sample=request.sample,
                    text=tokenizer.decode(list(sample.output_ids), skip_special_tokens=True),
                    ids=list(sample.output_ids),
                    finish_reason=sample.finish_reason,
                    key=request.key,
                    logprobs=[round(value, 6) for value in sample.logprobs] if self.logprobs else None,
                )
                for request, sample in zip(batch, made, strict=True)
            ]


def _tokenizer(folder: Path) -> Tokenizer:
    return Tokenizer.from_file(str(folder / "tokenizer.json"))


def unfinished(wanted: Sequence[Request], file: Path) -> list[Request]:
    """The requests that `file` has no line for; what a killed run left of its last line is cut off.

    Raises ValueError when it holds anything else than answers to these requests.
    """
    if not file.exists():
        return list(wanted)
    keys, done, good = {request.key for request in wanted}, set(), 0
    with file.open("rb+") as lines:
        for line in lines:
            if not line.endswith(b"\n"):
                break
            try:
                key = json.loads(line)["key"]
            except (ValueError, KeyError, TypeError):
                key = None
            if key not in keys:
                raise ValueError(
                    f"{file} holds a line of other prompts, settings or another model (byte {good}): "
                    "give another --out or move it away"
                )
            done.add(key)
            good += len(line)
        lines.truncate(good)
    return [request for request in wanted if request.key not in done]
