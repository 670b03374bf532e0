import pytest

from gateway.core.event import (
    Finish,
    RefusalDelta,
    TextDelta,
    ThinkingDelta,
    ToolCallBegin,
    ToolCallDelta,
    UsageReport,
)
from gateway.core.message import ToolCall
from gateway.core.reply import Reply, fold
from gateway.core.usage import Usage

STOP = Finish("stop")
TOOLS = Finish("tool_calls")


def token(text):
    return {"token": text, "logprob": -0.5}


@pytest.mark.parametrize(
    ("events", "reply"),
    [
        ([STOP], Reply(None, "stop")),
        ([TextDelta(""), STOP], Reply("", "stop")),
        ([TextDelta("a"), TextDelta("b"), Finish("length")], Reply("ab", "length")),
        ([ThinkingDelta("h"), ThinkingDelta("m"), STOP], Reply(None, "stop", thinking="hm")),
        ([RefusalDelta("n"), RefusalDelta("o"), STOP], Reply(None, "stop", refusal="no")),
        ([STOP, UsageReport(Usage(1, 2, 3))], Reply(None, "stop", Usage(1, 2, 3))),
        ([UsageReport(Usage(1, 2, 3)), STOP], Reply(None, "stop", Usage(1, 2, 3))),
        ([STOP, UsageReport(Usage(1)), UsageReport(Usage(1, 2, 3))], Reply(None, "stop", Usage(1, 2, 3))),
        (
            [TextDelta("so"), ToolCallBegin(0, "c", "f"), ToolCallDelta(0, '{"a'), ToolCallDelta(0, '":1}'), TOOLS],
            Reply("so", "tool_calls", tool_calls=(ToolCall("c", "f", '{"a":1}'),)),
        ),
        (
            [
                ToolCallBegin(0, "a", "f"),
                ToolCallBegin(1, "b", "g"),
                ToolCallDelta(1, "2"),
                ToolCallDelta(0, "1"),
                TOOLS,
            ],
            Reply(None, "tool_calls", tool_calls=(ToolCall("a", "f", "1"), ToolCall("b", "g", "2"))),
        ),
    ],
)
def test_a_stream_folds_to_its_answer(events, reply):
    assert fold(events) == reply


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
    assert fold([*(TextDelta("x", logprobs) for logprobs in pieces), STOP]).logprobs == joined


def test_an_answer_without_an_end_is_a_fault_of_ours():
    with pytest.raises(AssertionError, match="without Finish"):
        fold([TextDelta("a")])
