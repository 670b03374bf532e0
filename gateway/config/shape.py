"""Walks the file's tree beside the models: drops what is accepted but not ours, finds typos, resolves values.

The result holds only keys that the models know; pydantic checks the values afterwards.
"""

import difflib
from collections.abc import Iterable
from functools import cache
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from gateway.config.problems import Problem, join
from gateway.config.secrets import MISSING, Resolver, is_reference
from gateway.config.section import Section

_Fields = dict[str, tuple[str, type[Section]] | None]


def walk(raw: dict[str, Any], model: type[Section], path: str, resolver: Resolver) -> dict[str, Any]:
    """The part of `raw` that `model` has keys for. Problems go to `resolver.problems`; null means absent."""
    fields = _fields(model)
    result: dict[str, Any] = {}
    for name, value in raw.items():
        key = model.RENAMED.get(name, name)
        here = join(path, name)
        if name in model.UNUSED or value is None:
            continue
        if key not in fields:
            resolver.problems.append(unknown(name, [*fields, *model.UNUSED], path))
        elif key in result:
            resolver.problems.append(Problem(here, f"is another spelling of {key!r}, which is there too; keep one"))
        elif (found := _value(value, fields[key], here, resolver)) is not MISSING:
            result[key] = found
    return result


def unknown(name: str, known: Iterable[str], path: str = "") -> Problem:
    """The problem of an unknown key inside `path`, with the nearest known one."""
    near = nearest(name, known)
    if near is None:
        return Problem(join(path, name), "unknown key; remove it")
    return Problem(join(path, name), f"unknown key; did you mean {near!r}?", join(path, near))


def nearest(name: str, known: Iterable[str], cutoff: float = 0.6) -> str | None:
    """The known name most like `name`, capitals and underscores aside."""
    folded = {key.lower(): key for key in known}
    close = difflib.get_close_matches(name.lower().replace("_", ""), folded, n=1, cutoff=cutoff)
    return folded[close[0]] if close else None


def _value(value: Any, nested: tuple[str, type[Section]] | None, path: str, resolver: Resolver) -> Any:
    container, section = nested or ("", Section)
    if container == "map" and isinstance(value, dict):
        pairs = ((key, _one(item, section, join(path, key), resolver)) for key, item in value.items())
        return {key: item for key, item in pairs if item is not MISSING}
    if container == "list" and isinstance(value, list):
        items = (_one(item, section, join(path, index), resolver) for index, item in enumerate(value))
        return [item for item in items if item is not MISSING]
    if container == "one" and not is_reference(value):
        return _one(value, section, path, resolver)
    return resolver.resolve(value, path)


def _one(value: Any, section: type[Section], path: str, resolver: Resolver) -> Any:
    return walk(value, section, path, resolver) if isinstance(value, dict) else resolver.resolve(value, path)


@cache
def _fields(model: type[Section]) -> _Fields:
    return {field.alias or name: _section_in(field.annotation) for name, field in model.model_fields.items()}


def _section_in(annotation: Any) -> tuple[str, type[Section]] | None:
    """The section that a field holds: alone, as values of a map, or as items of a list; None for plain values."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return "one", annotation
    if origin is Annotated:
        return _section_in(arguments[0])
    if origin in (Union, UnionType):
        return next((found for found in map(_section_in, arguments) if found), None)
    if origin is dict and (found := _section_in(arguments[1])):
        return "map", found[1]
    if origin is tuple and (found := _section_in(arguments[0])):
        return "list", found[1]
    return None
