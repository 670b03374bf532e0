"""Walks the file's tree along the models: drops accepted keys without a field, reports typos, resolves values.

The result holds only keys that the models know; pydantic checks the values afterwards.
"""

import difflib
import re
from collections.abc import Iterable
from functools import cache
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from gateway.config.params import has_effect
from gateway.config.problems import Problem, join
from gateway.config.secrets import MISSING, Resolver, is_reference
from gateway.config.section import Section

_Fields = dict[str, tuple[str, type[Section]] | None]


_PARAMS = "params"
_INDEX = re.compile(r"\[\d+\]")


class Walk:
    """One walk. `problems` are unknown keys and values that can't be resolved; `inert` are paths of keys that the file
    sets without effect, with `[]` in place of an index, each once.
    """

    def __init__(self, resolver: Resolver) -> None:
        self._resolver = resolver
        self._inert: dict[str, None] = {}

    @property
    def inert(self) -> tuple[str, ...]:
        """Paths of keys without effect, in the order of the file."""
        return tuple(self._inert)

    def section(self, raw: dict[str, Any], model: type[Section], path: str) -> dict[str, Any]:
        """The part of `raw` that `model` has keys for; null means absent."""
        fields = _fields(model)
        result: dict[str, Any] = {}
        for name, value in raw.items():
            key = model.RENAMED.get(name, name)
            here = join(path, name)
            if value is None:
                continue
            if name in model.UNUSED:
                self._note(here)
            elif key not in fields:
                self._resolver.problems.append(unknown(name, [*fields, *model.UNUSED], path))
            elif key in result:
                problem = Problem(here, f"is another spelling of {key!r}, which is set too; keep one")
                self._resolver.problems.append(problem)
            else:
                if key in _inert(model):
                    self._note(here)
                elif key == _PARAMS and isinstance(value, dict):
                    self._note_params(value, here)
                resolved = self._value(value, fields[key], here)
                if resolved is not MISSING:
                    result[key] = resolved
        return result

    def _note_params(self, params: dict[str, Any], path: str) -> None:
        for name, value in params.items():
            if value is not None and not has_effect(name, value):
                self._note(join(path, name))

    def _note(self, path: str) -> None:
        path = _INDEX.sub("[]", path)
        if not any(path.startswith((f"{above}.", f"{above}[")) for above in self._inert):
            self._inert[path] = None

    def _value(self, value: Any, nested: tuple[str, type[Section]] | None, path: str) -> Any:
        container, section = nested or ("", Section)
        if container == "map" and isinstance(value, dict):
            pairs = ((key, self._one(item, section, join(path, key))) for key, item in value.items())
            return {key: item for key, item in pairs if item is not MISSING}
        if container == "list" and isinstance(value, list):
            items = (self._one(item, section, join(path, index)) for index, item in enumerate(value))
            return [item for item in items if item is not MISSING]
        if container == "one" and not is_reference(value):
            return self._one(value, section, path)
        return self._resolver.resolve(value, path)

    def _one(self, value: Any, section: type[Section], path: str) -> Any:
        if isinstance(value, dict):
            return self.section(value, section, path)
        return self._resolver.resolve(value, path)


def unknown(name: str, known: Iterable[str], path: str = "") -> Problem:
    """The problem of an unknown key inside `path`; it names the nearest known one."""
    near = nearest(name, known)
    if near is None:
        return Problem(join(path, name), "unknown key; remove it")
    return Problem(join(path, name), f"unknown key; did you mean {near!r}?", intended=join(path, near))


def nearest(name: str, known: Iterable[str], cutoff: float = 0.6) -> str | None:
    """The known name most similar to `name`, ignoring case and underscores; None if none is similar."""
    folded = {key.lower(): key for key in known}
    close = difflib.get_close_matches(name.lower().replace("_", ""), folded, n=1, cutoff=cutoff)
    return folded[close[0]] if close else None


@cache
def _fields(model: type[Section]) -> _Fields:
    return {field.alias or name: _section_in(field.annotation) for name, field in model.model_fields.items()}


@cache
def _inert(model: type[Section]) -> frozenset[str]:
    """The keys in the file of the model's fields without effect."""
    return frozenset(model.model_fields[name].alias or name for name in model.INERT)


def _section_in(annotation: Any) -> tuple[str, type[Section]] | None:
    """The section that a field holds: alone, as values of a map, or as items of a list; None for plain values."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return "one", annotation
    if origin is Annotated:
        return _section_in(arguments[0])
    if origin in (Union, UnionType):
        return next((nested for nested in map(_section_in, arguments) if nested), None)
    if origin is dict and (nested := _section_in(arguments[1])):
        return "map", nested[1]
    if origin is tuple and (nested := _section_in(arguments[0])):
        return "list", nested[1]
    return None
