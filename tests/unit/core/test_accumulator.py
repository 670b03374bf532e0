import pytest

from gateway.core.accumulator import Answer, accumulated
from gateway.core.event import (
    Finish,
    RefusalDelta,
    TextDelta,
    ThinkingDelta,
    ToolCallBegin,
    ToolCallDelta,
    UsageReport,
)
from gateway.core.message import Thinking, ToolCall
from gateway.core.usage import Usage

STOP = Finish("stop")
TOOLS = Finish("tool_calls")


def token(text):
    return {"token": text, "logprob": -0.5}


@pytest.mark.parametrize(
    ("events", "reply"),
    [
        ([STOP], Answer(None, "stop")),
        ([TextDelta(""), STOP], Answer("", "stop")),
        ([TextDelta("a"), TextDelta("b"), Finish("length")], Answer("ab", "length")),
        ([ThinkingDelta("h"), ThinkingDelta("m"), STOP], Answer(None, "stop", thinking=(Thinking("hm"),))),
        ([RefusalDelta("n"), RefusalDelta("o"), STOP], Answer(None, "stop", refusal="no")),
        ([STOP, UsageReport(Usage(1, 2, 3))], Answer(None, "stop", Usage(1, 2, 3))),
        ([UsageReport(Usage(1, 2, 3)), STOP], Answer(None, "stop", Usage(1, 2, 3))),
        ([STOP, UsageReport(Usage(1)), UsageReport(Usage(1, 2, 3))], Answer(None, "stop", Usage(1, 2, 3))),
        (
            [TextDelta("so"), ToolCallBegin(0, "c", "f"), ToolCallDelta(0, '{"a'), ToolCallDelta(0, '":1}'), TOOLS],
            Answer("so", "tool_calls", tool_calls=(ToolCall("c", "f", '{"a":1}'),)),
        ),
        (
            [
                ToolCallBegin(0, "a", "f"),
                ToolCallBegin(1, "b", "g"),
                ToolCallDelta(1, "2"),
                ToolCallDelta(0, "1"),
                TOOLS,
            ],
            Answer(None, "tool_calls", tool_calls=(ToolCall("a", "f", "1"), ToolCall("b", "g", "2"))),
        ),
    ],
)
def test_the_events_of_a_stream_add_up_to_its_answer(events, reply):
    assert accumulated(events) == reply


@pytest.mark.parametrize(
    ("pieces", "joined"),
    [
        ([None, None], None),
        (["junk", None], None),
        ([{"content": [token("a")]}, {"content": [token("b")]}], {"content": [token("a"), token("b")]}),
        ([{"content": [token("a")]}, None, {"content": [token("b")]}], {"content": [token("a"), token("b")]}),
        ([{"content": [token("a")], "refusal": None}, {"content": None}], {"content": [token("a")], "refusal": None}),
        ([{"content": None}, {"content": [token("b")]}], {"content": [token("b")]}),
        ([{"content": []}, {"refusal": [token("n")]}], {"content": [], "refusal": [token("n")]}),
        ([{"content": [token("a")]}, ["junk"]], {"content": [token("a")]}),
    ],
)
def test_logprobs_of_pieces_are_joined(pieces, joined):
    assert accumulated([*(TextDelta("x", logprobs) for logprobs in pieces), STOP]).logprobs == joined


def test_an_answer_without_a_finish_raises_assertion_error():
    with pytest.raises(AssertionError, match="without Finish"):
        accumulated([TextDelta("a")])
