"""Keywords that a server refuses in the schemas of tools."""

from gateway.wire.schema_keywords import without

SCHEMA = {
    "type": "object",
    "properties": {
        "pattern": {"type": "string", "pattern": "^a$", "default": {"pattern": 1}},
        "many": {"type": "array", "items": {"anyOf": [{"pattern": "b", "type": "string"}, {"type": "null"}]}},
    },
    "required": ["pattern"],
    "$defs": {"pattern": {"minLength": 1, "type": "string"}},
}


def test_a_keyword_is_left_out_at_every_depth_but_names_and_data_of_the_caller_stay():
    assert without(SCHEMA, lambda name, _: name in ("pattern", "minLength"), "look") == {
        "type": "object",
        "properties": {
            "pattern": {"type": "string", "default": {"pattern": 1}},
            "many": {"type": "array", "items": {"anyOf": [{"type": "string"}, {"type": "null"}]}},
        },
        "required": ["pattern"],
        "$defs": {"pattern": {"type": "string"}},
    }


def test_a_schema_without_such_a_keyword_stays_the_same_object():
    assert without(SCHEMA, lambda name, _: name == "format", "look") is SCHEMA


def test_a_schema_that_is_nested_without_end_is_bounded():
    deep: dict[str, object] = {"pattern": "x"}
    for _ in range(5000):
        deep = {"items": deep}
    assert without(deep, lambda name, _: name == "pattern", "look") is deep
