"""Plain values (YAML, JSON, dotted overrides) into frozen config dataclasses, with errors that name the field.

`changed(config, {"pretrain.train_tokens": 1000})` gives a copy; a field that does not exist, a value of the wrong
type or out of range is a ValueError with the remedy. A class whose `presets` names a module with a table PRESETS takes
the key "preset": the copy starts from that value, and the other keys change it.
"""

import dataclasses
import difflib
import importlib
import types
import typing
from pathlib import Path
from typing import Any, Literal, TypeVar, Union

C = TypeVar("C")
_NONE = type(None)
MERGE = "tag:yaml.org,2002:merge"


def read_yaml(text: str) -> Any:
    """YAML as plain values; ValueError where it is broken, or where a mapping has a key twice and would lose one."""
    import yaml

    class Strict(yaml.SafeLoader):
        """Plain values only, and every key once."""

        def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
            keys = [self.construct_object(key, deep=True) for key, _ in node.value if key.tag != MERGE]
            if twice := [key for i, key in enumerate(keys) if key in keys[:i]]:
                line = node.start_mark.line + 1
                raise ValueError(f"{twice[0]!r} is given twice in the mapping at line {line}: give it once")
            return super().construct_mapping(node, deep)

    try:
        return yaml.load(text, Strict)
    except yaml.YAMLError as error:
        raise ValueError(f"not valid YAML: {error}") from error


def changed(config: C, values: dict[str, Any], path: str = "") -> C:
    """A copy of a config dataclass with fields replaced; keys are names or dotted paths, values may be nested dicts."""
    nested: dict[str, Any] = {}
    for key, value in values.items():
        name, _, rest = str(key).partition(".")
        if not rest:
            nested[name] = (
                {**nested[name], **value} if isinstance(value, dict) and isinstance(nested.get(name), dict) else value
            )
        elif isinstance(nested.setdefault(name, {}), dict):
            nested[name] = {**nested[name], rest: value}
        else:
            raise ValueError(
                f"{path}{name} is given twice, as a value and by the dotted field {key!r}: give one of them"
            )
    if "preset" in nested and (module := getattr(type(config), "presets", "")):
        config = _preset(config, nested.pop("preset"), module, f"{path}preset")
    hints = typing.get_type_hints(type(config))
    known = {f.name for f in dataclasses.fields(typing.cast(Any, config)) if f.init}
    replaced = {}
    for name, value in nested.items():
        if name not in known:
            raise ValueError(f"{path}{name} is no field of {type(config).__name__}{_nearest(name, known)}")
        replaced[name] = convert(value, hints[name], getattr(config, name), f"{path}{name}")
    try:
        return dataclasses.replace(typing.cast(Any, config), **replaced)
    except ValueError as error:
        raise ValueError(f"{path.rstrip('.') or type(config).__name__}: {error}") from error


def _preset(config: C, name: Any, module: str, path: str) -> C:
    """The config with the fields of the value `name` in the module's PRESETS."""
    presets = importlib.import_module(module).PRESETS
    if name not in presets:
        raise ValueError(f"{path} is {name!r}: use one of {', '.join(presets)}")
    fields = {f.name: getattr(presets[name], f.name) for f in dataclasses.fields(presets[name])}
    return dataclasses.replace(typing.cast(Any, config), **fields)


def _nearest(name: str, known: set[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    return f": did you mean {close[0]!r}?" if close else f"; its fields are {', '.join(sorted(known))}"


def differing(new: C, old: C) -> dict[str, Any]:
    """The fields in which `new` differs, as plain nested values: changed(old, differing(new, old)) equals `new`."""
    hints = typing.get_type_hints(type(new))
    found: dict[str, Any] = {}
    for field in dataclasses.fields(typing.cast(Any, new)):
        value, before = getattr(new, field.name), getattr(old, field.name)
        if not field.init or (value == before and type(value) is type(before)):
            continue
        same_class = dataclasses.is_dataclass(value) and type(value) is type(before)
        found[field.name] = differing(value, before) if same_class else plain(value, hints[field.name])
    return found


def plain(value: Any, hint: Any = None) -> Any:
    """A config's value, declared as `hint`, as dicts, lists and scalars that `convert` reads back."""
    arguments = typing.get_args(hint)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        hints = typing.get_type_hints(type(value))
        names = [field.name for field in dataclasses.fields(value) if field.init]
        chosen = {"class": type(value).__name__} if sum(map(dataclasses.is_dataclass, arguments)) > 1 else {}
        return chosen | {name: plain(getattr(value, name), hints[name]) for name in names}
    if isinstance(value, dict):
        return {key: plain(each, arguments[1] if len(arguments) > 1 else None) for key, each in value.items()}
    if isinstance(value, list | tuple):
        optional = [each for each in arguments if typing.get_origin(each) in (list, tuple)]
        inner = typing.get_args(optional[0]) if optional and typing.get_origin(hint) not in (list, tuple) else arguments
        repeated = len(inner) == 1 or inner[1:] == (Ellipsis,)
        return [plain(each, inner[0 if repeated else i] if inner else None) for i, each in enumerate(value)]
    return str(value) if isinstance(value, Path) else value


def convert(value: Any, hint: Any, present: Any, path: str) -> Any:
    """`value` as the type `hint`; `present`, the value it replaces, gives what a nested dict leaves out."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if hint is Any:
        return value
    if origin in (Union, types.UnionType):
        return _union(value, arguments, present, path)
    if origin is Literal:
        if value not in arguments:
            raise ValueError(f"{path} is {value!r}: use one of {', '.join(map(repr, arguments))}")
        return value
    if dataclasses.is_dataclass(hint):
        return _dataclass(value, hint, present, path)
    if origin in (tuple, list):
        return _sequence(value, origin, arguments, present, path)
    if origin is dict or hint is dict:
        if not isinstance(value, dict):
            raise _wrong(value, "a mapping", path)
        kind = arguments[1] if arguments else Any
        return {str(k): convert(v, kind, None, f"{path}.{k}") for k, v in value.items()}
    return _scalar(value, hint, path)


def _wrong(value: Any, wanted: str, path: str) -> ValueError:
    return ValueError(f"{path} is {value!r} ({type(value).__name__}): it must be {wanted}")


def _union(value: Any, arguments: tuple[Any, ...], present: Any, path: str) -> Any:
    if value is None and _NONE in arguments:
        return None
    others = [a for a in arguments if a is not _NONE]
    classes: dict[str, Any] = {a.__name__: a for a in others if dataclasses.is_dataclass(a) and isinstance(a, type)}
    if isinstance(value, dict) and len(classes) > 1:
        kind = value.get("class", type(present).__name__)
        if kind not in classes:
            raise ValueError(f"{path}.class is {kind!r}: use one of {', '.join(sorted(classes))}")
        return convert({k: v for k, v in value.items() if k != "class"}, classes[kind], present, path)
    errors = []
    for hint in others:
        try:
            return convert(value, hint, present, path)
        except ValueError as error:
            errors.append(error)
    raise errors[0]


def _dataclass(value: Any, hint: Any, present: Any, path: str) -> Any:
    if isinstance(value, hint):
        return value
    if not isinstance(value, dict):
        raise _wrong(value, f"the fields of {hint.__name__}", path)
    if type(present) is hint:
        return changed(present, value, f"{path}.")
    required = [
        f.name
        for f in dataclasses.fields(hint)
        if f.init and f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING
    ]
    if missing := [n for n in required if n not in value]:
        raise ValueError(f"{path} lacks {', '.join(missing)}, which {hint.__name__} needs")
    hints, fields = typing.get_type_hints(hint), {f.name: f for f in dataclasses.fields(hint) if f.init}
    # In one go: some classes refuse their own defaults.
    known = [n for n in value if n in fields] if "preset" not in value else required
    start = {n: convert(value[n], hints[n], _default(fields[n]), f"{path}.{n}") for n in known}
    try:
        made = hint(**start)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    return changed(made, {k: v for k, v in value.items() if k not in start}, f"{path}.")


def _default(field: "dataclasses.Field[Any]") -> Any:
    """What a field holds unless it is given; None where it must be."""
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return None if field.default is dataclasses.MISSING else field.default


def _sequence(value: Any, origin: type, arguments: tuple[Any, ...], present: Any, path: str) -> Any:
    if isinstance(value, dict) and isinstance(present, tuple | list):
        # {"0": {...}} or "sources.0.path" changes one element in place.
        items = list(present)
        for key, item in value.items():
            index, _, rest = str(key).partition(".")
            if not index.isdigit() or int(index) >= len(items):
                raise ValueError(f"{path}.{key}: {path} has the elements 0 to {len(items) - 1}")
            hint = _element(arguments, int(index), path)
            items[int(index)] = convert({rest: item} if rest else item, hint, items[int(index)], f"{path}.{index}")
        return origin(items)
    if not isinstance(value, list | tuple):
        raise _wrong(value, "a list", path)
    return origin(convert(v, _element(arguments, i, path), None, f"{path}.{i}") for i, v in enumerate(value))


def _element(arguments: tuple[Any, ...], index: int, path: str) -> Any:
    if len(arguments) == 2 and arguments[1] is Ellipsis or len(arguments) == 1:
        return arguments[0]
    if index >= len(arguments):
        raise ValueError(f"{path} takes {len(arguments)} elements")
    return arguments[index]


def _scalar(value: Any, hint: Any, path: str) -> Any:
    if hint is Path and isinstance(value, str | Path):
        return Path(value)
    if hint is float and isinstance(value, int | float | str) and not isinstance(value, bool):
        try:
            return float(value)  # YAML reads 1e-3 as a string
        except ValueError:
            raise _wrong(value, "a number", path) from None
    if hint is int and isinstance(value, float) and value.is_integer():
        return int(value)
    if hint is int and isinstance(value, bool) or not isinstance(value, hint):
        raise _wrong(value, {int: "a whole number", bool: "true or false", str: "text"}.get(hint, hint.__name__), path)
    return value
