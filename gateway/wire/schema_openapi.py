"""Reduces a JSON Schema to the subset of OpenAPI that Google's `parameters` and `responseSchema` accept.

Google refuses a whole request for one keyword that it does not know (https://ai.google.dev/api/caching#Schema). What
the subset can't express is dropped, or described in words, and named in a debug line.
"""

from collections.abc import Mapping
from typing import Any

import structlog

from gateway.wire.schema_refs import inlined

log = structlog.get_logger(__name__)

_KEPT: dict[str, type | tuple[type, ...]] = {
    "title": str,
    "description": str,
    "pattern": str,
    "nullable": bool,
    **dict.fromkeys(("minItems", "maxItems", "minProperties", "maxProperties", "minLength", "maxLength"), int),
    **dict.fromkeys(("minimum", "maximum"), (int, float)),
    **dict.fromkeys(("default", "example"), object),
    "propertyOrdering": list,
}
"""Keywords that are sent as they are, if their value has this type."""

_HANDLED = frozenset({
    "type", "format", "enum", "const", "items", "prefixItems", "properties", "required", "anyOf", "oneOf", "allOf",
    "$schema", "$id", "$comment",
})  # fmt: skip
_FORMATS = {
    "string": frozenset({"enum", "date-time"}),
    "number": frozenset({"float", "double"}),
    "integer": frozenset({"int32", "int64"}),
}
_TYPES = frozenset({"string", "number", "integer", "boolean", "array", "object"})


def reduced(schema: Mapping[str, Any], name: str) -> dict[str, Any]:
    """The schema with its references resolved and without what Google refuses; `name` is for the log."""
    reducer = _Reducer()
    result = reducer.node(inlined(schema))
    if reducer.dropped:
        log.debug("Fields of a schema were dropped", schema=name, fields=sorted(reducer.dropped))
    return result


class _Reducer:
    def __init__(self) -> None:
        self.dropped: set[str] = set()

    def node(self, node: Any) -> dict[str, Any]:
        """One schema. It always has a type, or alternatives."""
        if not isinstance(node, dict):  # `true` accepts anything
            return {"type": "string"}
        node = _merged(node)
        result = {name: value for name, value in node.items() if value is not None and _is_supported(name, value)}
        self.dropped.update(name for name in node if name not in result and name not in _HANDLED)
        self._values(node, result)
        variants = node.get("anyOf") or node.get("oneOf")
        types = _types_of(node)
        if "null" in types:
            result["nullable"] = True
            types.remove("null")
        if isinstance(variants, list) and variants:
            self._variants(variants, result)
        elif len(types) > 1:
            self._variants([{**_without_type(node), "type": one} for one in types], result)
        else:
            self._typed(types[0] if types else _guessed(node), node, result)
        return result

    def _variants(self, variants: list[Any], result: dict[str, Any]) -> None:
        """Alternatives; null is a property of the schema, and a single one is no alternative."""
        others = [one for one in variants if not (isinstance(one, dict) and one.get("type") == "null")]
        if len(others) < len(variants):
            result["nullable"] = True
        reduced_ones = [self.node(one) for one in others]
        if len(reduced_ones) == 1:
            result.update({name: value for name, value in reduced_ones[0].items() if name not in result})
        elif reduced_ones:
            result["anyOf"] = reduced_ones
        else:
            result["type"] = "string"

    def _typed(self, kind: str, node: Mapping[str, Any], result: dict[str, Any]) -> None:
        result["type"] = kind
        if (form := node.get("format")) is not None:
            if isinstance(form, str) and form in _FORMATS.get(kind, ()):
                result["format"] = form
            else:
                self.dropped.add("format")
        if kind == "array":
            self._items(node, result)
        if kind == "object":
            self._properties(node, result)
        if kind != "string":
            result.pop("enum", None)

    def _items(self, node: Mapping[str, Any], result: dict[str, Any]) -> None:
        items = node.get("items")
        tuples = items if isinstance(items, list) else node.get("prefixItems")
        if isinstance(tuples, list) and tuples:
            self.dropped.add("prefixItems")
            result["items"] = self.node({"anyOf": tuples} if len(tuples) > 1 else tuples[0])
        else:
            result["items"] = self.node(items)

    def _properties(self, node: Mapping[str, Any], result: dict[str, Any]) -> None:
        properties = node.get("properties")
        if not isinstance(properties, dict) or not properties:
            return
        result["properties"] = {name: self.node(one) for name, one in properties.items()}
        required = node.get("required")
        if isinstance(required, list) and (known := [name for name in _list(required) if name in properties]):
            result["required"] = known

    def _values(self, node: Mapping[str, Any], result: dict[str, Any]) -> None:
        """`enum` and `const`: Google knows enumerations of texts only, so that the description lists others."""
        values = [node["const"]] if "const" in node else node.get("enum")
        if not isinstance(values, list):
            return
        if None in values:
            result["nullable"] = True
            values = [value for value in values if value is not None]
        if values and all(isinstance(value, str) and value for value in values):
            result["enum"] = values
        elif values:
            self.dropped.add("enum")
            words = f"One of: {', '.join(map(str, values))}."
            result["description"] = f"{result['description']} {words}" if result.get("description") else words


def _is_supported(name: str, value: Any) -> bool:
    kind = _KEPT.get(name)
    return (
        kind is not None and isinstance(value, kind) and (kind is bool or kind is object or not isinstance(value, bool))
    )


def _merged(node: dict[str, Any]) -> dict[str, Any]:
    """The schema with its `allOf` in it."""
    parts = node.get("allOf")
    if not isinstance(parts, list):
        return node
    merged: dict[str, Any] = {}
    for part in (*parts, {name: value for name, value in node.items() if name != "allOf"}):
        if not isinstance(part, dict):
            continue
        whole = _merged(part)
        properties = {**_object(merged.get("properties")), **_object(whole.get("properties"))}
        required = [*_list(merged.get("required")), *_list(whole.get("required"))]
        merged |= whole
        merged |= {"properties": properties} if properties else {}
        merged |= {"required": list(dict.fromkeys(required))} if required else {}
    return merged


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return [one for one in value if isinstance(one, str)] if isinstance(value, list) else []


def _types_of(node: Mapping[str, Any]) -> list[str]:
    kind = node.get("type")
    kinds = kind if isinstance(kind, list) else [kind]
    names = [one.lower() for one in kinds if isinstance(one, str)]
    return [one for one in names if one in _TYPES or one == "null"]


def _without_type(node: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in node.items() if name not in ("type", "description", "title")}


def _guessed(node: Mapping[str, Any]) -> str:
    """The type of a schema that names none."""
    if "properties" in node:
        return "object"
    if "items" in node or "prefixItems" in node:
        return "array"
    values = [node["const"]] if "const" in node else _any_list(node.get("enum"))
    if values and all(isinstance(value, bool) for value in values):
        return "boolean"
    if values and all(isinstance(value, int) for value in values):
        return "integer"
    if values and all(isinstance(value, int | float) for value in values):
        return "number"
    return "string"


def _any_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
