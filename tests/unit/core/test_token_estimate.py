import pytest
from msgspec import Raw

from gateway.core.message import Image, Message, Text, ToolCall, ToolResult
from gateway.core.token_estimate import answer_tokens, prompt_tokens, text_bytes
from gateway.core.turn import Sampling, ToolSpec, Turn


def turn(*parts, **fields):
    return Turn("openclaw", (Message("user", parts),), **fields)


@pytest.mark.parametrize(
    ("parts", "tokens"),
    [
        ((), 0),
        ((Text("abcd"),), 1),
        ((Text("abcd"), Text("e")), 2),
        ((Text("漢字漢字"),), 3),
        ((Text("\ud83d"),), 1),
        ((Text(Raw(b'"abcd\\n"')),), 2),
        ((Image("data:image/png;base64," + "A" * 100_000),), 765),
        ((ToolCall("1", "weather", '{"city":"Oslo"}'),), 6),
        ((ToolResult("1", (Text("cold and wet"), Image("data:,"))),), 3 + 765),
    ],
)
def test_a_prompt_is_estimated_by_its_text_and_its_pictures(parts, tokens):
    assert prompt_tokens(turn(*parts)) == tokens


def test_tools_are_part_of_the_prompt():
    tool = ToolSpec("weather", "tells it", {"type": "object"})
    assert prompt_tokens(turn(Text("hi"), tools=(tool,))) == -(-(2 + 7 + 8 + len('{"type":"object"}')) // 4)


@pytest.mark.parametrize(
    ("requested", "limit", "tokens"),
    [(None, None, 1024), (None, 512, 512), (None, 128_000, 1024), (100, None, 100), (100, 50, 50), (5000, 8000, 5000)],
)
def test_an_answer_is_as_long_as_the_caller_allows_or_as_usual(requested, limit, tokens):
    assert answer_tokens(turn(sampling=Sampling(max_tokens=requested)), limit) == tokens


def test_bytes_are_those_of_utf8():
    assert [text_bytes(text) for text in ("", "a", "é", "漢", "\ud83d")] == [0, 1, 2, 3, 3]
