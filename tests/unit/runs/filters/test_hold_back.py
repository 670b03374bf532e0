import pytest
from msgspec import Raw

from gateway.core.event import Finish, RefusalDelta, TextDelta, ToolCallBegin, ToolCallDelta, UsageReport
from gateway.core.usage import Usage
from gateway.runs.filters.hold_back import ALL, HoldBack

STOP = Finish("stop")
CALL = ToolCallBegin(0, "c", "f")


def fed(event_filter, *events):
    return [event_filter.feed([event]) for event in events]


def test_the_beginning_is_withheld_until_it_is_long_enough():
    assert fed(HoldBack(5), TextDelta("Hel"), TextDelta("lo"), TextDelta("!")) == [
        [],
        [TextDelta("Hel"), TextDelta("lo")],
        [TextDelta("!")],
    ]


def test_a_short_answer_is_passed_on_at_its_end():
    usage = UsageReport(Usage())
    assert fed(HoldBack(50), TextDelta("Hi"), STOP, usage) == [[], [TextDelta("Hi"), STOP], [usage]]


@pytest.mark.parametrize("event", [RefusalDelta("I can't"), ToolCallDelta(0, '{"a":1}'), TextDelta(Raw(b'"Hello"'))])
def test_every_kind_of_text_counts(event):
    assert fed(HoldBack(5), CALL, event) == [[], [CALL, event]]


def test_all_of_an_answer_can_be_withheld():
    text = [TextDelta("x" * 1000)] * 5
    assert fed(HoldBack(ALL), *text, STOP) == [[]] * 5 + [[*text, STOP]]


def test_an_answer_above_the_memory_limit_is_passed_on():
    half = TextDelta("x" * 2**23)
    assert fed(HoldBack(ALL), half, half, half) == [[], [half, half], [half]]
