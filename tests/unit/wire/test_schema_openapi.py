from typing import Any

import pytest
from google.genai import types
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.jsonio import dumps
from gateway.wire.schema_openapi import reduced


@pytest.mark.parametrize(
    ("schema", "result"),
    [
        ({"type": "string", "$schema": "x", "additionalProperties": False}, {"type": "string"}),
        ({"type": "string", "format": "email"}, {"type": "string"}),
        ({"type": "string", "format": "date-time"}, {"type": "string", "format": "date-time"}),
        ({"type": "string", "title": 7, "minLength": True, "maxLength": 3}, {"type": "string", "maxLength": 3}),
        ({"type": ["string", "null"]}, {"type": "string", "nullable": True}),
        ({"type": ["string", "integer"]}, {"anyOf": [{"type": "string"}, {"type": "integer"}]}),
        ({"type": "null"}, {"type": "string", "nullable": True}),
        (True, {"type": "string"}),
        ({}, {"type": "string"}),
        ({"enum": ["a", "b"]}, {"type": "string", "enum": ["a", "b"]}),
        ({"enum": ["a", None]}, {"type": "string", "enum": ["a"], "nullable": True}),
        ({"const": "a"}, {"type": "string", "enum": ["a"]}),
        ({"type": "integer", "enum": [1, 2]}, {"type": "integer", "description": "One of: 1, 2."}),
        ({"const": 1, "description": "It."}, {"type": "integer", "description": "It. One of: 1."}),
        ({"const": True}, {"type": "boolean", "description": "One of: True."}),
        ({"type": "integer", "enum": ["1"]}, {"type": "integer"}),
        ({"type": "array"}, {"type": "array", "items": {"type": "string"}}),
        ({"items": {"type": "integer"}, "uniqueItems": True}, {"type": "array", "items": {"type": "integer"}}),
        (
            {"type": "array", "prefixItems": [{"type": "integer"}, {"type": "string"}]},
            {"type": "array", "items": {"anyOf": [{"type": "integer"}, {"type": "string"}]}},
        ),
        ({"type": "array", "items": [{"type": "integer"}]}, {"type": "array", "items": {"type": "integer"}}),
        ({"type": "integer", "multipleOf": 2, "minimum": 0}, {"type": "integer", "minimum": 0}),
        ({"anyOf": [{"type": "integer"}, {"type": "null"}]}, {"type": "integer", "nullable": True}),
        (
            {"oneOf": [{"type": "integer"}, {"type": "string"}], "description": "It."},
            {"anyOf": [{"type": "integer"}, {"type": "string"}], "description": "It."},
        ),
        (
            {"allOf": [{"properties": {"a": {}}, "required": ["a"]}, {"properties": {"b": True}, "required": ["b"]}]},
            {
                "type": "object",
                "properties": {"a": {"type": "string"}, "b": {"type": "string"}},
                "required": ["a", "b"],
            },
        ),
        ({"type": "object", "propertyNames": {}, "properties": {}}, {"type": "object"}),
        (
            {"properties": {"a": {"$ref": "#/$defs/A"}}, "required": ["a", "gone"], "$defs": {"A": {"type": "number"}}},
            {"type": "object", "properties": {"a": {"type": "number"}}, "required": ["a"]},
        ),
    ],
)
def test_a_schema_keeps_what_google_accepts(schema, result):
    outer = (
        reduced({"type": "object", "properties": {"it": schema}, "$defs": schema.get("$defs", {})}, "f")
        if (isinstance(schema, dict))
        else reduced({"type": "object", "properties": {"it": schema}}, "f")
    )
    assert outer["properties"]["it"] == result
    types.Schema.model_validate(outer)


WORDS = st.sampled_from(["string", "object", "array", "null", "#/$defs/a"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | WORDS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from([
                "type", "properties", "items", "anyOf", "oneOf", "allOf", "enum", "const", "$ref", "$defs", "required",
                "prefixItems", "format", "a", "title", "minimum", "maxLength", "nullable", "default",
            ]),
            inner,
            max_size=5,
        )
    ),
    max_leaves=20,
)  # fmt: skip


@given(st.dictionaries(st.sampled_from(["type", "properties", "items", "anyOf", "allOf", "$ref", "$defs"]), JSON))
def test_any_schema_becomes_one_that_the_makers_types_accept(schema):
    result = reduced(schema, "f")
    dumps(result)
    types.Schema.model_validate(result)
    assert typed(result)


def typed(node: dict[str, Any]) -> bool:
    """Whether every schema has a type or alternatives: Google refuses others."""
    inner = [
        *node.get("properties", {}).values(),
        *node.get("anyOf", ()),
        *([node["items"]] if "items" in node else ()),
    ]
    return ("type" in node or "anyOf" in node) and all(typed(one) for one in inner)
