"""Files and names as TrainingSetups: FlagScale experiments, config.json of the Hugging Face layout, recipes."""

from __future__ import annotations

import json
import math
import re
import struct
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from openseek.recipes import RECIPES, load_recipe
from openseek.recipes.training_setup import Layout, TrainingSetup, setup_of_recipe

CONFIG, TOKENIZER = "config.json", "tokenizer.json"
LONGEST_HEADER = 100 << 20
TOKEN_FILE = "_text_document"
FIRST_STAGE = "decoder_first_pipeline_num_layers"


def setups_at(place: str) -> list[TrainingSetup]:
    """The setups of a file or folder, or of a recipe's name; a folder may hold many FlagScale experiments.

    ValueError names the file and what is wrong with it.
    """
    path = Path(place)
    if path.is_dir():
        if (path / CONFIG).is_file():
            return [_huggingface(path)]
        files = [*path.glob("*.y*ml"), *path.glob("*/*.y*ml")]
        experiments = [each for each in sorted(files) if _has(each, "experiment")]
        if not experiments:
            raise ValueError(f"{path} holds neither a {CONFIG} nor a FlagScale experiment file (with `experiment:`)")
        return [_flagscale(each) for each in experiments]
    if not path.is_file() and place in RECIPES:
        return [setup_of_recipe(place, RECIPES[place], f"recipe {place}")]
    if path.name == CONFIG:
        return [_huggingface(path.parent)]
    if path.suffix in (".yaml", ".yml"):
        if _has(path, "experiment"):
            return [_flagscale(path)]
        if _has(path, "model") and _has(path, "data"):
            raise ValueError(
                f"{path} is the lower one of FlagScale's two files: give the experiment file that names it"
            )
        return [setup_of_recipe(path.stem, load_recipe(place), place)]
    raise ValueError(
        f"{place}: give a FlagScale experiment file, a {CONFIG} or its folder, a recipe (YAML or name), or a name that "
        "`openseek check-config` lists"
    )


def _has(path: Path, key: str) -> bool:
    """Whether a YAML file has a key at its top."""
    return re.search(rf"^{key}\s*:", path.read_text(encoding="utf-8", errors="replace"), re.MULTILINE) is not None


def _flagscale(path: Path) -> TrainingSetup:
    from openseek.recipes.flagscale import composed, imported
    from openseek.recipes.flagscale_model import leaves

    tree, referred = composed(path.parent, path.stem, ())
    try:
        read = imported(tree, referred, allow_unknown=True)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    keys: dict[str, Any] = {name: value for name, (_, value) in leaves(tree["train"], "train").items()}
    launch, training = read.launch, read.recipe.pretrain
    layout = Layout(launch.world_size, launch.tp, launch.pp, launch.cp, launch.ep, keys.get(FIRST_STAGE) or 0)
    names = source_names([prefix for _, prefix in read.entries])
    mixture = tuple((name, float(weight)) for name, (weight, _) in zip(names, read.entries, strict=True))
    tokens = keys.get("vocab_size") or 0
    unknown = [key for key, why in read.ignored.items() if why.startswith("not known")]
    notes = (f"keys that are not known and were left aside: {', '.join(unknown)}",) if unknown else ()
    return TrainingSetup(read.name, str(path), training.model, training, layout, mixture, tokens, notes=notes)


def source_names(prefixes: list[str]) -> list[str]:
    """Name of each token file's source: what its path has first below the folder that all of them share."""
    folders = [PurePosixPath(prefix).parent.parts for prefix in prefixes]
    shared = 0
    while folders and all(len(parts) > shared and parts[shared] == folders[0][shared] for parts in folders):
        shared += 1
    return [PurePosixPath(prefix).parts[shared].removesuffix(TOKEN_FILE) for prefix in prefixes]


def _huggingface(folder: Path) -> TrainingSetup:
    from openseek.model.hf_config import read_config

    model = read_config(folder)
    name = folder.resolve().name
    files = sorted(folder.glob("*.safetensors"))
    stored = sum(stored_values(path) for path in files)
    return TrainingSetup(
        name, str(folder / CONFIG), model, tokenizer_size=_tokens(folder / TOKENIZER), stored_values=stored
    )


def stored_values(path: Path) -> int:
    """Weights in a safetensors file, by its header; the scales of FP8 blocks are none. ValueError names a bad file."""
    with path.open("rb") as file:
        start = file.read(8)
        size = struct.unpack("<Q", start)[0] if len(start) == 8 else LONGEST_HEADER + 1
        if size > LONGEST_HEADER:
            raise ValueError(f"{path} is no safetensors file: its header would have {size} bytes")
        try:
            header = json.loads(file.read(size))
            return sum(math.prod(each["shape"]) for each in _weights(header))
        except (ValueError, TypeError, KeyError) as error:
            raise ValueError(f"{path} is no safetensors file: its header cannot be read ({error})") from error


def _weights(header: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for name, each in header.items():
        if name != "__metadata__" and not name.endswith("weight_scale_inv"):
            yield each


def _tokens(path: Path) -> int:
    """Tokens of a tokenizer.json, added ones included; 0 without the file."""
    if not path.is_file():
        return 0
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        ids = [item["id"] for item in values.get("added_tokens") or ()]
        vocabulary = values["model"]["vocab"]
        known = vocabulary.values() if isinstance(vocabulary, dict) else range(len(vocabulary))
        return 1 + max((*known, *ids), default=-1)
    except (ValueError, TypeError, KeyError) as error:
        raise ValueError(f"{path} is no tokenizer.json: {error}") from error
