from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from gateway.wire.schema_refs import MAX_DEPTH, MAX_NODES, inlined


def test_references_are_replaced_by_their_targets_and_definitions_are_gone():
    schema = {
        "type": "object",
        "properties": {"a": {"$ref": "#/$defs/A", "description": "own"}, "b": {"$ref": "#/properties/a"}},
        "$defs": {"A": {"type": "object", "description": "A", "properties": {"c": {"$ref": "#/$defs/C"}}}, "C": True},
    }
    a = {"type": "object", "description": "own", "properties": {"c": {}}}
    assert inlined(schema) == {"type": "object", "properties": {"a": a, "b": a}}


def test_a_property_may_be_called_as_a_keyword():
    schema = {
        "properties": {"$defs": {"type": "string"}, "enum": {"$ref": "#/definitions/x"}},
        "definitions": {"x": {}},
    }
    assert inlined(schema) == {"properties": {"$defs": {"type": "string"}, "enum": {}}}


def test_values_are_not_schemas():
    schema = {"enum": [{"$ref": "#/nowhere"}], "default": {"$defs": 1}}
    assert inlined(schema) == schema


def test_a_cyclic_unknown_or_remote_reference_accepts_anything():
    node = {"type": "object", "properties": {"next": {"$ref": "#/$defs/node"}}}
    assert inlined({"$ref": "#/$defs/node", "$defs": {"node": node}}) == {"type": "object", "properties": {"next": {}}}
    for ref in ("#/$defs/x", "https://schemas.example/a.json", "#/properties/0/x", "#anchor"):
        assert inlined({"properties": {"a": {"$ref": ref}}}) == {"properties": {"a": {}}}


def test_references_that_double_at_each_level_are_cut():
    schema: dict[str, Any] = {"$ref": "#/$defs/d0", "$defs": {}}
    for level in range(60):
        ref = {"$ref": f"#/$defs/d{level + 1}"}
        schema["$defs"][f"d{level}"] = {"anyOf": [ref, ref]}
    assert 1000 < nodes(inlined(schema)) <= MAX_NODES + 2


def test_deep_nesting_is_cut():
    schema: dict[str, Any] = {}
    for _ in range(5000):
        schema = {"items": schema}
    assert nodes(inlined(schema)) <= MAX_DEPTH + 2


def nodes(schema: Any) -> int:
    count, rest = 0, [schema]
    while rest:
        node = rest.pop()
        count += 1
        rest += node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
    return count


JSON = st.recursive(
    st.none() | st.booleans() | st.text(max_size=3) | st.just("#/$defs/a"),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["$ref", "$defs", "properties", "items", "a", "enum"]), inner, max_size=4)
    ),
)


@given(st.dictionaries(st.sampled_from(["$ref", "$defs", "properties", "a"]), JSON))
def test_any_schema_can_be_resolved(schema):
    assert isinstance(inlined(schema), dict)
