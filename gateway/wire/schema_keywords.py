"""Leaves keywords out of JSON Schemas, for servers that refuse them."""

from collections.abc import Callable, Mapping
from typing import Any

import structlog

from gateway.wire.schema_refs import MAX_DEPTH

log = structlog.get_logger(__name__)

Refuses = Callable[[str, Any], bool]
"""Whether a keyword with this value is refused."""

_NAMES_OF_CALLER = frozenset({"properties", "patternProperties", "$defs", "definitions", "dependentSchemas"})
_DATA = frozenset({"const", "default", "enum", "example", "examples", "required"})


def without(schema: Mapping[str, Any], refuses: Refuses, tool: str) -> Mapping[str, Any]:
    """The schema without refused keywords, at any depth; the same object if it has none. A debug line names them and
    the `tool`.
    """
    left_out: set[str] = set()
    accepted = _schema(schema, refuses, left_out, 0)
    if not left_out:
        return schema
    log.debug("Keywords of a tool's schema are left out", tool=tool, keywords=sorted(left_out))
    return accepted


def _schema(node: Mapping[str, Any], refuses: Refuses, left_out: set[str], depth: int) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for name, value in node.items():
        if refuses(name, value):
            left_out.add(name)
        elif name in _NAMES_OF_CALLER and isinstance(value, Mapping):  # they may have the names of keywords
            fields[name] = {key: _value(one, refuses, left_out, depth) for key, one in value.items()}
        else:
            fields[name] = value if name in _DATA else _value(value, refuses, left_out, depth)
    return fields


def _value(value: Any, refuses: Refuses, left_out: set[str], depth: int) -> Any:
    if depth > MAX_DEPTH:
        return value
    if isinstance(value, Mapping):
        return _schema(value, refuses, left_out, depth + 1)
    if isinstance(value, list):
        return [_value(item, refuses, left_out, depth + 1) for item in value]
    return value
