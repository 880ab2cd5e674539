"""Data, schedule and layout of a FlagScale experiment: Megatron's words to fields of ours and back."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from openseek.data.imported_tokens import ImportTokens, by_name
from openseek.data.mixture import Mix
from openseek.parallel.dims import ParallelDims
from openseek.recipes.flagscale_keys import TRAINING
from openseek.recipes.flagscale_model import Fields, Keys
from openseek.train.pretrain import Pretrain

Parallel = Literal["as_written", "as_dp"]
STYLES = {"cosine": "cosine", "linear": "linear", "constant": "constant", "WSD": "wsd"}
"""lr_decay_style -> schedule.kind."""
SIZES = {
    "tp": "tensor_model_parallel_size",
    "pp": "pipeline_model_parallel_size",
    "cp": "context_parallel_size",
    "ep": "expert_model_parallel_size",
}
NO_HELDOUT: Fields = {"heldout_sequences": 0, "heldout_source_sequences": 0}


@dataclass(frozen=True)
class Launch:
    """How the experiment asks to be spread over machines."""

    nnodes: int = 1
    nproc_per_node: int = 1
    tp: int = 1
    pp: int = 1
    cp: int = 1
    ep: int = 1

    @property
    def world_size(self) -> int:
        """Ranks."""
        return self.nnodes * self.nproc_per_node

    @property
    def dp(self) -> int:
        """Data-parallel ranks, as Megatron counts them; 0 where the ranks do not divide."""
        dp, rest = divmod(self.world_size, self.tp * self.pp * self.cp)
        return 0 if rest else dp


def read_launch(experiment: dict[str, Any], keys: Keys, parallel: Parallel) -> tuple[Launch, Fields, list[str]]:
    """(the launch as written, fit.parallel, what of it cannot be run as written)."""
    runner, devices = experiment.get("runner") or {}, (experiment.get("envs") or {}).get("CUDA_VISIBLE_DEVICES", "")
    visible = len([device for device in str(devices).split(",") if device.strip()])
    counts = {"nnodes": runner.get("nnodes") or 1, "nproc_per_node": runner.get("nproc_per_node") or visible or 1}
    sizes = {axis: keys.take(name, 1) for axis, name in SIZES.items()}
    for name, value in (counts | sizes).items():
        if not isinstance(value, int) or value < 1:
            raise ValueError(f"{SIZES.get(name, f'experiment.runner.{name}')} is {value!r}: give a number above 0")
    launch = Launch(**counts, **sizes)
    if not launch.dp:
        keys.problems.append(
            f"{launch.world_size} ranks ({launch.nnodes} nodes of {launch.nproc_per_node}) do not divide into "
            f"tp {launch.tp} * pp {launch.pp} * cp {launch.cp}"
        )
    held_back = []
    for axis, name in SIZES.items():
        value = sizes[axis]
        if value == 1:
            keys.note(name, f"pretrain.fit.parallel.{axis}=1")
        elif parallel == "as_dp":
            keys.note(name, f"launch.{axis}={value} as written; its ranks spread over data (parallel=as_dp)")
        else:
            keys.note(name, f"launch.{axis}={value}: kept for the launch, this version runs with dp only")
            held_back.append(f"{keys.path(name)}={value}")
    dp = launch.world_size if parallel == "as_dp" else launch.dp or 1
    return launch, {"fit.parallel": ParallelDims(dp=dp)}, held_back


def read_training(keys: Keys) -> Fields:
    """Lengths, batch, schedule and masks; what cannot be followed is left in keys.problems."""
    fields: Fields = {"packing": "concatenate"}
    keys.same(TRAINING, fields)
    batch = fields.get("global_batch_size") or 1
    samples = _samples(keys, "train_samples", "train_iters", batch)
    if samples is None:
        keys.problems.append("train_samples is missing (or train_iters)")
    fields["train_tokens"] = _tokens(keys, "train_samples", "train_iters", samples or 1, fields)
    _schedule(keys, fields, samples or 1, batch)
    _masks(keys, fields)
    if ramp := keys.take("rampup_batch_size"):
        numbers = [int(number) for number in (ramp.split() if isinstance(ramp, str) else ramp)]
        if len(numbers) != 3:
            keys.refuse("rampup_batch_size", "it is [start, increment, samples]")
            return fields
        start, increment, length = numbers
        tokens = length * (fields.get("sequence_length") or 0)
        fields |= {"batch_ramp.start": start, "batch_ramp.increment": increment, "batch_ramp.tokens": tokens}
        keys.note("rampup_batch_size", f"pretrain.batch_ramp: from {start} by {increment} over {tokens} tokens")
    return fields


def _samples(keys: Keys, samples: str, steps: str, batch: int) -> int | None:
    """A length given in samples or in steps, in samples."""
    if steps in keys and samples in keys:
        keys.refuse(steps, f"{samples} says the same: leave one of them out")
    return keys.take(samples) if samples in keys else keys.take(steps) * batch if steps in keys else None


def _tokens(keys: Keys, samples: str, steps: str, value: float, fields: Fields) -> int:
    """A length in samples as tokens, on record for the key that gave it."""
    tokens = round(value * (fields.get("sequence_length") or 0))
    for name in (samples, steps):
        keys.note(name, f"{tokens} tokens")
    return tokens


def _schedule(keys: Keys, fields: Fields, samples: int, batch: int) -> None:
    style = keys.take("lr_decay_style", "linear")
    if style not in STYLES:
        keys.problems.append(f"lr_decay_style is {style!r}: {', '.join(STYLES)} can be followed")
        return
    fields["fit.schedule.kind"] = STYLES[style]
    keys.note("lr_decay_style", f"pretrain.fit.schedule.kind={STYLES[style]}")
    decay = _samples(keys, "lr_decay_samples", "lr_decay_iters", batch) or samples
    for name in ("lr_decay_samples", "lr_decay_iters"):
        keys.note(name, "the whole training, which the schedule ends with")
        if name in keys and decay != samples and style != "constant":
            keys.refuse(name, f"the schedule ends with the training, at {samples} samples")
    warmup = _samples(keys, "lr_warmup_samples", "lr_warmup_iters", batch) or 0
    if share := keys.take("lr_warmup_fraction", 0.0):
        warmup = share * decay
    fields["warmup_tokens"] = _tokens(keys, "lr_warmup_samples", "lr_warmup_iters", warmup, fields)
    keys.note("lr_warmup_fraction", f"pretrain.warmup_tokens={fields['warmup_tokens']}")
    names = ("lr_wsd_decay_style", "lr_wsd_decay_samples", "lr_wsd_decay_iters")
    if style != "WSD":
        keys.without_effect(names, "the schedule is not WSD")
        return
    fall = _samples(keys, "lr_wsd_decay_samples", "lr_wsd_decay_iters", batch)
    if fall is None:
        keys.problems.append("lr_wsd_decay_samples is missing (or lr_wsd_decay_iters): WSD needs it")
    fields["decay_tokens"] = _tokens(keys, *names[1:], fall or 0, fields)
    form = keys.take("lr_wsd_decay_style", "exponential")
    fields["fit.schedule.decay_style"] = form
    keys.note("lr_wsd_decay_style", f"pretrain.fit.schedule.decay_style={form}")


def _masks(keys: Keys, fields: Fields) -> None:
    separate = bool(keys.take("reset_attention_mask", False))
    restart, masked = bool(keys.take("reset_position_ids", False)), bool(keys.take("eod_mask_loss", False))
    fields["separate_documents"] = separate
    told = "; an end of document predicts nothing" if separate else ""
    keys.note("reset_attention_mask", f"pretrain.separate_documents={separate}{told}")
    keys.note("reset_position_ids", "without effect: attention stays within a document, where only distances count")
    keys.note("eod_mask_loss", f"pretrain.separate_documents={separate}{told}")
    if restart and not separate:
        keys.refuse("reset_position_ids", "positions restart only where attention does: set reset_attention_mask too")
    if masked and not separate:
        keys.refuse("eod_mask_loss", "ends of documents are left out only with reset_attention_mask")


Entries = tuple[tuple[float, str], ...]


def read_data(keys: Keys, train_tokens: int) -> tuple[Entries, dict[str, Any]]:
    """((weight, prefix) of each token file, fields of the recipe beside `pretrain`)."""
    name = "train_data_path" if "train_data_path" in keys else "data_path"
    if "train_data_path" in keys and "data_path" in keys:
        keys.refuse("data_path", "train_data_path says the same: leave one of them out")
    entries, weighed = _entries(keys, name)
    heldout, _ = _entries(keys, "valid_data_path")
    files, weights = by_name([prefix for _, prefix in entries]), dict.fromkeys([p for _, p in entries], 0.0)
    for weight, prefix in entries:
        weights[prefix] += weight
    by_source = {each.name: weights[each.prefix] for each in files}
    mix = Mix(weights=by_source if weighed else {}, relative=True, train_tokens=train_tokens)
    tokenizer = "tokenizer_path" if "tokenizer_path" in keys else "tokenizer_model"
    path = str(keys.take(tokenizer, ""))
    imported = ImportTokens(files=files, heldout=by_name([prefix for _, prefix in heldout]), tokenizer=path)
    keys.note(name, f"import_tokens.files: {len(files)} sources; mix.weights")
    keys.note("valid_data_path", f"import_tokens.heldout: {len(imported.heldout)} files")
    for each in ("tokenizer_path", "tokenizer_model"):
        keys.note(each, f"import_tokens.tokenizer={path}")
    _split(keys)
    return entries, {"mix": mix, "import_tokens": imported}


def _entries(keys: Keys, name: str) -> tuple[Entries, bool]:
    """((weight, prefix), ...) of a list or a text of prefixes, with a weight before each or none at all."""
    given = keys.take(name, [])
    words = given.split() if isinstance(given, str) else list(given)
    if not words or _number(words[0]) is None:
        if any(_number(word) is not None for word in words):
            keys.problems.append(f"{keys.path(name)}: give a weight before every file, or before none")
        return tuple((1.0, str(word)) for word in words), False
    entries = []
    for i in range(0, len(words), 2):
        weight = _number(words[i])
        prefix = words[i + 1] if i + 1 < len(words) else None
        if weight is None or weight < 0 or prefix is None or _number(prefix) is not None:
            keys.problems.append(f"{keys.path(name)}: {words[i : i + 2]} is no weight before a file")
            break
        entries.append((weight, str(prefix)))
    return tuple(entries), True


def _number(word: Any) -> float | None:
    try:
        number = float(word)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None


def _split(keys: Keys) -> None:
    """Megatron's shares of training, validation and test documents of each file."""
    given = str(keys.take("split", "969, 30, 1"))
    shares = [_number(part) for part in given.strip("[]").split(",")]
    if None in shares or not shares[0]:
        keys.refuse("split", "it is shares of training, validation and test documents, such as 99,1,0 or 1")
        return
    rest = 1 - shares[0] / sum(filter(None, shares))
    told = f"all documents are trained on{f', those too that would be left out ({rest:.2%})' if rest else ''}"
    keys.note("split", f"{told}; valid_data_path names files to measure on")


def written_training(config: Pretrain) -> dict[str, Any]:
    """Keys of a training, as near as Megatron's words come to it; without those of TRAINING."""
    schedule, length = config.fit.schedule, config.sequence_length
    styles = {kind: style for style, kind in STYLES.items()}
    keys: dict[str, Any] = {
        "train_samples": math.ceil(config.train_tokens / length),
        "lr_decay_style": styles.get(schedule.kind, "constant"),
        "lr_warmup_samples": config.warmup_tokens // length,
        "reset_attention_mask": config.separate_documents,
        "reset_position_ids": config.separate_documents,
        "eod_mask_loss": config.separate_documents,
    }
    if schedule.kind == "wsd":
        keys["lr_wsd_decay_style"] = schedule.decay_style
        keys["lr_wsd_decay_samples"] = config.decay_tokens // length
    if (ramp := config.batch_ramp).start:
        keys["rampup_batch_size"] = [ramp.start, ramp.increment, ramp.tokens // length]
    return keys


def written_data(config: ImportTokens, mix: Mix) -> dict[str, Any]:
    """Keys of the token files and their weights."""
    names = [each.name for each in config.files]
    weighed = bool(names) and len(set(names)) == len(names) and sorted(names) == sorted(mix.weights)
    paths: list[Any] = []
    for each in config.files:
        paths += [mix.weights[each.name], each.prefix] if weighed else [each.prefix]
    keys: dict[str, Any] = {"data_path": paths} if paths else {}
    if config.heldout:
        keys["valid_data_path"] = [each.prefix for each in config.heldout]
    if config.tokenizer:
        keys["tokenizer_path"] = config.tokenizer
    return keys | {"split": "1"}


def listed(values: Sequence[str]) -> str:
    """The values as lines of a message."""
    return "".join(f"\n  {value}" for value in values)
