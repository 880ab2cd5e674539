"""FlagScale's two-level YAML, experiment and task, as recipes of ours, and recipes of ours as such files.

Every key of a file is on record: used, with what it became, or ignored, with the reason. A key that is not known, or
whose value cannot be followed, is an error. The files are read as data; nothing that they name is run or imported.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from openseek.artifact import write_text
from openseek.fields import changed, differing
from openseek.recipes.flagscale_keys import (
    ALIASES,
    EXPERIMENT,
    EXPERIMENT_IGNORED,
    EXPERIMENT_ONLY,
    EXPERTS,
    IGNORED,
    LATENT,
    MODEL,
    ONLY,
    PREDICTION,
    TRAINING,
    Only,
    Same,
    known_keys,
)
from openseek.recipes.flagscale_model import Keys, leaves, nearest, read_model, written_model
from openseek.recipes.flagscale_training import (
    NO_HELDOUT,
    Entries,
    Launch,
    Parallel,
    listed,
    read_data,
    read_launch,
    read_training,
    written_data,
    written_training,
)
from openseek.recipes.recipe import Recipe

OWN = "openseek"
"""Key of a task file for the fields that Megatron's words cannot say."""
REFERENCE = re.compile(r"\$\{\s*([\w.]+)\s*\}")


@dataclass(frozen=True)
class Imported:
    """An experiment of FlagScale's as we run it."""

    recipe: Recipe
    """Its steps import_tokens, mix and pretrain are those of the file."""
    entries: Entries
    """(weight, prefix) of each token file, as written."""
    launch: Launch
    """How it asks to be spread over machines."""
    held_back: tuple[str, ...]
    """What of that this version cannot run as written: `KEY=VALUE`."""
    name: str
    directory: str
    """exp_dir."""
    action: str
    """What the file asks for: run, stop, dryrun."""
    used: dict[str, str]
    """Key -> what it became."""
    ignored: dict[str, str]
    """Key -> why it is left aside."""


def read_flagscale(
    config_path: Path | str,
    config_name: str,
    overrides: Sequence[str] = (),
    *,
    parallel: Parallel = "as_written",
    allow_unknown: bool = False,
) -> Imported:
    """The recipe of an experiment file, with its task file, interpolations and overrides as Hydra composes them.

    parallel: "as_dp" turns ranks of other parallel sizes into data-parallel ones. ValueError names every key that is
    unknown (unless allow_unknown, which lists them as ignored), missing, or of a value that cannot be followed.
    """
    tree, referred = composed(Path(config_path), config_name, overrides)
    try:
        return imported(tree, referred, parallel, allow_unknown)
    except ValueError as error:
        raise ValueError(f"{Path(config_path) / config_name}: {error}") from error


def composed(config_path: Path, config_name: str, overrides: Sequence[str]) -> tuple[dict[str, Any], set[str]]:
    """(the composed values, the dotted keys that others refer to)."""
    if not config_path.is_dir():
        raise ValueError(f"--config-path {config_path} is no folder: give the one that holds the experiment file")
    from hydra import compose, initialize_config_dir
    from hydra.errors import HydraException
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException
    from yaml import YAMLError

    try:
        with initialize_config_dir(config_dir=str(config_path.resolve()), version_base="1.3"):
            config = compose(config_name, list(overrides))
        tree, raw = OmegaConf.to_container(config, resolve=True), OmegaConf.to_container(config, resolve=False)
    except (HydraException, OmegaConfBaseException, YAMLError) as error:
        raise ValueError(f"{config_path / config_name}: {' '.join(str(error).split())}") from error
    for part in ("experiment", "train"):
        if not isinstance(tree, dict) or not isinstance(tree.get(part), dict):
            raise ValueError(
                f"{config_path / config_name} has no mapping `{part}`: give the experiment file, whose `defaults` name "
                "the task file as `train: NAME`"
            )
    # As written too: a reference that an override took away leaves its key without a fault.
    texts = [file.read_text(encoding="utf-8") for depth in ("*.y*ml", "*/*.y*ml") for file in config_path.glob(depth)]
    return {str(key): value for key, value in tree.items()}, set(REFERENCE.findall("\n".join([str(raw), *texts])))


def imported(
    tree: Mapping[str, Any],
    referred: Set[str] = frozenset(),
    parallel: Parallel = "as_written",
    allow_unknown: bool = False,
) -> Imported:
    """The recipe of composed values; see read_flagscale."""
    experiment = Keys(_dotted(tree["experiment"], "experiment"))
    for name, only in EXPERIMENT_ONLY.items():
        experiment.only(name, only)
    task = {name: each for name, each in leaves(tree["train"], "train").items() if name != OWN}
    keys = Keys(task)
    launch, layout, held_back = read_launch(tree["experiment"], keys, parallel)
    fields = read_model(keys, launch.tp) | read_training(keys) | layout
    entries, beside = read_data(keys, fields["train_tokens"])
    fields |= {} if beside["import_tokens"].heldout else NO_HELDOUT
    used, ignored, unknown = _account(keys, experiment, tree, task, referred)
    if unknown and allow_unknown:
        ignored |= dict.fromkeys(unknown, "not known to this version, and left aside as you asked")
    else:
        keys.problems += [
            f"{path} is not known{_meant(path)}: correct it, delete it (~{path}), or leave unknown keys aside with "
            "--allow-unknown"
            for path in unknown
        ]
    if problems := [*experiment.problems, *keys.problems]:
        raise ValueError(f"{len(problems)} keys cannot be followed:{listed(problems)}")
    recipe = changed(Recipe(), {f"pretrain.{name}": value for name, value in fields.items()} | beside)
    if own := tree["train"].get(OWN):
        recipe = changed(recipe, own, f"train.{OWN}.")
        used |= {f"train.{OWN}.{name}": "fields of that step" for name in own}
    return Imported(
        recipe=recipe,
        entries=entries,
        launch=launch,
        held_back=tuple(held_back),
        name=str(tree["experiment"].get("exp_name") or "experiment"),
        directory=str(tree["experiment"].get("exp_dir") or tree["experiment"].get("exp_name") or "experiment"),
        action=str(tree.get("action") or "run"),
        used=used,
        ignored=ignored,
    )


def _meant(path: str) -> str:
    if path.startswith("experiment."):
        return nearest(path.removeprefix("experiment."), [*EXPERIMENT, *EXPERIMENT_ONLY, *EXPERIMENT_IGNORED])
    return nearest(path.rsplit(".", 1)[-1], known_keys())


def _dotted(tree: Mapping[str, Any], path: str) -> dict[str, tuple[str, Any]]:
    """{key below `path` with dots: (whole path, value)} of the leaves."""
    found: dict[str, tuple[str, Any]] = {}
    for name, value in tree.items():
        whole = f"{path}.{name}"
        if isinstance(value, dict) and value:
            found |= {f"{name}.{key}": each for key, each in _dotted(value, whole).items()}
        else:
            found[str(name)] = (whole, value)
    return found


def _account(
    keys: Keys, experiment: Keys, tree: Mapping[str, Any], task: Mapping[str, tuple[str, Any]], referred: Set[str]
) -> tuple[dict[str, str], dict[str, str], list[str]]:
    """(used, ignored, unknown): every leaf key of the files is in one of them."""
    used, ignored, unknown = experiment.used | keys.used, {}, []
    for key, (path, value) in _dotted(tree["experiment"], "experiment").items():
        sections = [key.rsplit(".", i)[0] for i in range(key.count(".") + 1)]
        reason = next((EXPERIMENT_IGNORED[each] for each in sections if each in EXPERIMENT_IGNORED), None)
        if path in used:
            continue
        if key in EXPERIMENT:
            used[path] = f"{EXPERIMENT[key]}: {value}"
        elif path in referred:
            used[path] = "other keys refer to it"
        elif reason:
            ignored[path] = reason
        else:
            unknown.append(path)
    for key, (path, _) in task.items():
        if path in used:
            continue
        if key in IGNORED:
            ignored[path] = IGNORED[key]
        elif key in known_keys():
            used[path] = "as without it"
        else:
            unknown.append(path)
    for key, (path, _) in _dotted(tree["train"], "train").items():
        name = key.rsplit(".", 1)[-1].replace("-", "_")
        twin = task.get(ALIASES.get(name, name), ("", None))[0]
        if twin != path and twin in used | ignored:
            used[path] = f"the same as {twin}"
    for key, value in tree.items():
        if key == "action":
            used[key] = f"what to do unless --action says: {value}"
        elif key not in ("experiment", "train"):
            unknown.append(key)
    return used, ignored, unknown


def write_flagscale(recipe: Recipe, folder: Path, name: str) -> Path:
    """Write folder/NAME.yaml and folder/train/NAME.yaml, of which read_flagscale makes the same recipe; the first path.

    What Megatron's words cannot say stands under `openseek` in the task file.
    """
    experiment = {
        "exp_name": name,
        "exp_dir": "${experiment.exp_name}",
        "seed": recipe.pretrain.seed,
        "save_steps": recipe.pretrain.fit.save_every_steps,
        "load": None,
        "task": {"type": "train", "backend": "megatron"},
        "runner": {"nnodes": 1, "nproc_per_node": recipe.pretrain.fit.parallel.world_size},
    }
    train = _task_file(recipe)
    plain = imported({"experiment": experiment, "train": train}).recipe
    train["model"]["seed"] = "${experiment.seed}"
    train["system"]["checkpoint"]["save_interval"] = "${experiment.save_steps}"
    if own := differing(recipe, plain):
        train[OWN] = _escaped(own)
    (folder / "train").mkdir(parents=True, exist_ok=True)
    head = {"defaults": ["_self_", {"train": name}]}
    write_text(folder / "train" / f"{name}.yaml", _yaml(train))
    write_text(folder / f"{name}.yaml", _yaml({**head, "experiment": experiment, "action": "run"}))
    if read_flagscale(folder, name).recipe != recipe:
        raise ValueError(f"{folder / name}.yaml does not say all of the recipe: a value of it is no plain YAML value")
    return folder / f"{name}.yaml"


def _task_file(recipe: Recipe) -> dict[str, Any]:
    config, shape = recipe.pretrain, recipe.pretrain.model
    keys = written_model(shape) | written_training(config) | written_data(recipe.import_tokens, recipe.mix)
    same: dict[str, Same] = {**MODEL, **TRAINING}
    same |= LATENT if shape.attention == "mla" else {}
    same |= EXPERTS if shape.n_routed_experts else {}
    same |= PREDICTION if shape.num_nextn_predict_layers else {}
    for key, field in same.items():
        value: Any = config
        for part in field.field.split("."):
            value = getattr(value, part)
        if value != field.default:
            keys[key] = value
    keys |= {key: only.value for key, only in ONLY.items() if only.value != only.default}
    best = shape.num_experts_per_tok // shape.topk_group
    if shape.n_routed_experts and best != (2 if shape.has_router_bias else 1):
        for key in ("moe_router_num_groups", "moe_router_group_topk"):
            keys.pop(key, None)  # Megatron would score groups in another way: these go under `openseek`
    tree: dict[str, Any] = {"system": {"checkpoint": {}}, "model": {}, "data": {"tokenizer": {}}}
    for key, value in keys.items():
        section: dict[str, Any] = tree
        for part in _section(key, same).split("."):
            section = section.setdefault(part, {})
        section[key] = value
    return tree


def _section(key: str, same: Mapping[str, Same]) -> str:
    """Where FlagScale's users look for a key."""
    known: Mapping[str, Same | Only] = {**ONLY, **same}
    if key in known:
        return known[key].section
    if key in ("padded_vocab_size", "tokenizer_path"):
        return "data.tokenizer"
    if key in ("data_path", "valid_data_path", "split"):
        return "data"
    if key.startswith("lr_"):
        return "model.optimizer.lr_scheduler"
    return "system" if key.startswith("reset_") else "model"


def _escaped(value: Any) -> Any:
    """The value with its `${` kept from being read as an interpolation."""
    if isinstance(value, dict):
        return {key: _escaped(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_escaped(each) for each in value]
    return value.replace("${", "\\${") if isinstance(value, str) else value


def _yaml(tree: Any) -> str:
    """YAML in the order given, with texts that look like numbers in quotes."""
    import yaml

    class Dumper(yaml.SafeDumper):
        """Plain values only."""

    def text(dumper: yaml.SafeDumper, value: str) -> yaml.Node:
        try:
            float(value)
        except ValueError:
            return dumper.represent_str(value)
        return dumper.represent_scalar("tag:yaml.org,2002:str", value, style='"')

    Dumper.add_representer(str, text)
    return yaml.dump(tree, Dumper=Dumper, sort_keys=False, allow_unicode=True, width=110)
