"""Reduces JSON Schemas to what Anthropic's structured outputs accept.

Objects must be closed, and constraints of numbers, strings and arrays are refused; like the maker's SDK, a removed
constraint goes into the description, where the model reads it
(https://platform.claude.com/docs/en/build-with-claude/structured-outputs).
"""

from collections.abc import Mapping
from typing import Any

from gateway.core.jsonio import dumps

_KEPT = frozenset({"$ref", "type", "enum", "const", "title", "format", "required", "default"})
_LISTS = {"anyOf": "anyOf", "oneOf": "anyOf", "allOf": "allOf"}
_MAPS = frozenset({"properties", "$defs", "definitions"})
_FORMATS = frozenset({"date-time", "time", "date", "duration", "email", "hostname", "uri", "ipv4", "ipv6", "uuid"})
_IGNORED = frozenset({"description", "additionalProperties", "$schema", "$id", "$comment", "examples"})


def reduced(schema: Any) -> Any:
    """The schema, in a form that the provider accepts; anything but an object is returned unchanged."""
    if not isinstance(schema, Mapping):
        return schema
    accepted: dict[str, Any] = {}
    removed: dict[str, Any] = {}
    for name, value in schema.items():
        if name in _MAPS and isinstance(value, Mapping):
            accepted[name] = {key: reduced(below) for key, below in value.items()}
        elif name in _LISTS and isinstance(value, list):
            accepted[_LISTS[name]] = [reduced(below) for below in value]
        elif name == "items":
            accepted[name] = reduced(value)
        elif (name == "format" and value not in _FORMATS) or (name == "minItems" and value not in (0, 1)):
            removed[name] = value
        elif name in _KEPT or name == "minItems":
            accepted[name] = value
        elif name not in _IGNORED:
            removed[name] = value
    if accepted.get("type") == "object" or "properties" in accepted:
        accepted["type"] = accepted.get("type", "object")
        accepted["additionalProperties"] = False
    description = schema.get("description")
    notes = [description] if isinstance(description, str) else []
    if removed:
        notes.append(dumps(removed).decode())
    if notes:
        accepted["description"] = "\n\n".join(notes)
    return accepted


def object_schema(parameters: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """A function's parameters as `input_schema`, whose root must be an object without alternatives."""
    if not parameters:
        return {"type": "object", "properties": {}}
    if parameters.get("type") == "object" and parameters.keys().isdisjoint(_LISTS):
        return parameters
    root = {name: value for name, value in parameters.items() if name not in _LISTS and name != "type"}
    for name in _LISTS:
        for below in parameters.get(name) or ():
            if isinstance(below, Mapping) and isinstance(below.get("properties"), Mapping):
                # Each alternative's fields are offered; which of them go together is for the caller's check.
                root["properties"] = {**root.get("properties", {}), **below["properties"]}
    return {"type": "object", **root}
