import tracemalloc

import pytest

from gateway.core.accumulator import Accumulator, accumulated
from gateway.core.answer import Answer
from gateway.core.event import (
    CitationFound,
    Finish,
    RefusalDelta,
    TextDelta,
    ThinkingDelta,
    ThinkingEnd,
    ToolCallBegin,
    ToolCallDelta,
    ToolWork,
    UsageReport,
)
from gateway.core.message import Citation, Message, Refusal, Text, Thinking, ToolCall
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


ONE, TWO = ToolCall("1", "f", "{}"), ToolCall("2", "g", "")
HM, AH = Thinking("hm", "sig"), Thinking("ah")


@pytest.mark.parametrize(
    ("events", "parts"),
    [
        ([ThinkingEnd(HM), TextDelta("a"), TextDelta("b")], (HM, Text("ab"))),
        ([TextDelta("a"), ThinkingEnd(HM), TextDelta("b"), TextDelta("c")], (Text("a"), HM, Text("bc"))),
        (
            [
                ThinkingEnd(HM),
                ToolCallBegin(0, "1", "f"),
                ToolCallDelta(0, "{}"),
                ThinkingEnd(AH),
                TextDelta("b"),
                ToolCallBegin(1, "2", "g"),
            ],
            (HM, ONE, AH, Text("b"), TWO),
        ),
        ([TextDelta(""), ThinkingEnd(HM), TextDelta("b")], (HM, Text("b"))),
        ([RefusalDelta("n"), TextDelta("a"), RefusalDelta("o")], (Refusal("no"), Text("a"))),
        ([TextDelta("a"), ThinkingDelta("h"), ThinkingDelta("m")], (Text("a"), Thinking("hm"))),
        (
            [TextDelta("a"), CitationFound(Citation("http://s")), TextDelta("b")],
            (Text("ab"), Citation("http://s")),
        ),
    ],
)
def test_the_content_of_an_answer_keeps_the_models_order(events, parts):
    answer = accumulated([*events, STOP])
    assert answer.parts == parts
    assert answer.messages() == (Message("assistant", parts),)
    assert answer.text == "".join(part.text for part in parts if type(part) is Text)


def test_reading_the_text_in_between_changes_nothing():
    accumulator = Accumulator()
    for event in (TextDelta("a"), TextDelta("b"), ThinkingEnd(HM), TextDelta("c"), TextDelta("d")):
        accumulator.add([event])
        assert "abcd".startswith(accumulator.text)
    accumulator.add([STOP])
    assert accumulator.answer().parts == (Text("ab"), HM, Text("cd"))


def test_beyond_the_limit_the_order_holds_no_text():
    accumulator = Accumulator(limit=3)
    accumulator.add([TextDelta("ab"), ThinkingEnd(HM), TextDelta("cd"), STOP])
    assert accumulator.overflowed
    assert accumulator.answer().parts == (HM,)


def test_with_a_limit_unfinished_reasoning_beyond_it_and_logprobs_are_dropped():
    accumulator = Accumulator(limit=3)
    accumulator.add([TextDelta("ab", {"content": [token("ab")]}), ThinkingDelta("hm")])
    assert accumulator.overflowed
    assert accumulator.thinking == ()
    assert accumulator.logprobs is None


def test_large_pieces_beyond_the_limit_do_not_wait_in_numbers():
    accumulator = Accumulator(limit=100)
    tracemalloc.start()
    try:
        for number in range(1000):
            accumulator.add([TextDelta(f"{number}" * 2**14)])
        assert tracemalloc.get_traced_memory()[0] < 2**20
    finally:
        tracemalloc.stop()


def test_reasoning_beside_the_agents_own_calls_is_not_repeated_in_the_answers_message():
    work = (Message("assistant", (HM, ONE), hidden=True),)
    answer = accumulated([ThinkingEnd(HM), TextDelta("a"), ToolWork(work), ThinkingEnd(AH), TextDelta("b"), STOP])
    assert answer.messages() == (Message("assistant", (Text("a"), AH, Text("b"))),)


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
