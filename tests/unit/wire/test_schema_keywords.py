"""Keywords that a server refuses in the schemas of tools."""

from msgspec.structs import replace

from gateway.core.turn import ToolSpec, Turn
from gateway.wire.schema_keywords import with_known_keywords

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
    turn = with_known_keywords(
        Turn(model="openclaw", messages=(), tools=(ToolSpec("look", parameters=SCHEMA),)), {"pattern", "minLength"}
    )
    assert turn.tools[0].parameters == {
        "type": "object",
        "properties": {
            "pattern": {"type": "string", "default": {"pattern": 1}},
            "many": {"type": "array", "items": {"anyOf": [{"type": "string"}, {"type": "null"}]}},
        },
        "required": ["pattern"],
        "$defs": {"pattern": {"type": "string"}},
    }


def test_a_tool_without_such_a_keyword_stays_the_same_object():
    tool = ToolSpec("look", parameters=SCHEMA)
    plain = replace(tool, parameters=None)
    turn = with_known_keywords(Turn(model="openclaw", messages=(), tools=(tool, plain)), {"format"})
    assert turn.tools[0] is tool
    assert turn.tools[1] is plain


def test_a_schema_that_is_nested_without_end_is_bounded():
    deep: dict[str, object] = {"pattern": "x"}
    for _ in range(5000):
        deep = {"items": deep}
    turn = with_known_keywords(
        Turn(model="openclaw", messages=(), tools=(ToolSpec("look", parameters=deep),)), {"pattern"}
    )
    assert turn.tools[0].parameters is deep
