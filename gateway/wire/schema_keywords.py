"""Leaves keywords out of the schemas of tools, for servers refusing them (`compat.unsupportedToolSchemaKeywords`)."""

from collections.abc import Collection, Mapping
from typing import Any

import structlog
from msgspec.structs import replace

from gateway.core.turn import ToolSpec, Turn
from gateway.wire.schema_refs import MAX_DEPTH

log = structlog.get_logger(__name__)

_NAMES_OF_CALLER = frozenset({"properties", "patternProperties", "$defs", "definitions", "dependentSchemas"})
_DATA = frozenset({"const", "default", "enum", "example", "examples", "required"})


def with_known_keywords(turn: Turn, unsupported: Collection[str]) -> Turn:
    """The turn with tools whose schemas have none of the `unsupported` keywords, at any depth."""
    return replace(turn, tools=tuple(_tool(tool, unsupported) for tool in turn.tools))


def _tool(tool: ToolSpec, unsupported: Collection[str]) -> ToolSpec:
    if tool.parameters is None:
        return tool
    left_out: set[str] = set()
    parameters = _schema(tool.parameters, unsupported, left_out, 0)
    if not left_out:
        return tool
    log.debug("Keywords of a tool's schema are left out", tool=tool.name, keywords=sorted(left_out))
    return replace(tool, parameters=parameters)


def _schema(node: Mapping[str, Any], unsupported: Collection[str], left_out: set[str], depth: int) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for name, value in node.items():
        if name in unsupported:
            left_out.add(name)
        elif name in _NAMES_OF_CALLER and isinstance(value, Mapping):  # they may have the names of keywords
            fields[name] = {key: _value(one, unsupported, left_out, depth) for key, one in value.items()}
        else:
            fields[name] = value if name in _DATA else _value(value, unsupported, left_out, depth)
    return fields


def _value(value: Any, unsupported: Collection[str], left_out: set[str], depth: int) -> Any:
    if depth > MAX_DEPTH:
        return value
    if isinstance(value, Mapping):
        return _schema(value, unsupported, left_out, depth + 1)
    if isinstance(value, list):
        return [_value(item, unsupported, left_out, depth + 1) for item in value]
    return value
