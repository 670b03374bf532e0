from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from gateway.core.accumulator import accumulated
from gateway.core.event import Finish, RefusalDelta, TextDelta, ToolCallBegin, UsageReport
from gateway.core.usage import Usage
from gateway.wire.stop_sequences import StopSequences

TEXTS = st.text("abé\n", max_size=20)
STOPS = st.text("abé\n", min_size=1, max_size=4)


@given(TEXTS, STOPS, st.lists(st.integers(0, 20), max_size=6))
def test_the_text_ends_before_the_stop_sequence_under_any_split(text, stop, cuts):
    edges = sorted({0, len(text), *(cut for cut in cuts if cut < len(text))})
    stopper = StopSequences((stop,))
    pieces = [[TextDelta(text[start:end])] for start, end in pairwise(edges)]
    answer = accumulated([event for batch in (*pieces, [Finish("length")]) for event in stopper.feed(batch)])
    before, stopped, _ = text.partition(stop)
    assert (answer.text or "") == before
    assert (answer.finish, answer.stop_sequence) == (("stop", stop) if stopped else ("length", None))


def test_the_first_of_several_sequences_ends_the_text():
    assert StopSequences(("END", "STOP")).feed([TextDelta("a STOP b END"), Finish("stop")]) == [
        TextDelta("a "),
        Finish("stop", "stop", "STOP"),
    ]


def test_nothing_but_the_end_and_the_usage_follows():
    stopper = StopSequences(("END",))
    usage = UsageReport(Usage(1, 2, 3))
    batch = [TextDelta("a END b"), RefusalDelta("x"), ToolCallBegin(0, "c", "f"), Finish("tool_calls"), usage]
    assert stopper.feed(batch) == [TextDelta("a "), Finish("stop", "tool_calls", "END"), usage]


def test_the_beginning_of_a_sequence_that_does_not_come_is_passed_on_before_other_content():
    stopper = StopSequences(("END",))
    assert stopper.feed([TextDelta("a EN")]) == [TextDelta("a ")]
    call = ToolCallBegin(0, "c", "f")
    assert stopper.feed([call, Finish("tool_calls")]) == [TextDelta("EN"), call, Finish("tool_calls")]
