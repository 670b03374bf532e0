import pytest

from gateway.core.errors import ToolChoiceUnmet
from gateway.core.event import Finish, TextDelta, ToolCallBegin, ToolCallDelta, UsageReport
from gateway.core.turn import AUTO, ToolChoice
from gateway.core.usage import NO_USAGE
from gateway.runs.filters.tool_choice import ToolChoiceGuard, demands_call

REQUIRED = ToolChoice("required")
PINNED = ToolChoice("pinned", "weather")
PROSE = TextDelta("Let me look.")
WEATHER = ToolCallBegin(0, "c0", "weather")
TIME = ToolCallBegin(1, "c1", "time")
TOOLS = Finish("tool_calls")


@pytest.mark.parametrize(
    ("choice", "demanded"),
    [(None, False), (AUTO, False), (ToolChoice("none"), False), (REQUIRED, True), (PINNED, True)],
)
def test_required_and_pinned_demand_a_call(choice, demanded):
    assert demands_call(choice) is demanded


@pytest.mark.parametrize("choice", [REQUIRED, PINNED])
def test_text_is_held_back_until_the_call_begins(choice):
    event_filter = ToolChoiceGuard(choice)
    assert event_filter.feed([PROSE]) == []
    assert event_filter.feed([TextDelta("Now."), WEATHER]) == [PROSE, TextDelta("Now."), WEATHER]
    more = [ToolCallDelta(0, "{}"), TOOLS]
    assert event_filter.feed(more) is more


def test_other_calls_do_not_satisfy_a_pinned_call():
    event_filter = ToolChoiceGuard(PINNED)
    assert event_filter.feed([TIME, ToolCallDelta(1, "{}")]) == []
    assert event_filter.feed([WEATHER]) == [TIME, ToolCallDelta(1, "{}"), WEATHER]


@pytest.mark.parametrize(
    ("choice", "batches", "sentence"),
    [
        (REQUIRED, [[PROSE], [Finish("stop")]], "tool_choice=required was not satisfied by the agent response"),
        (REQUIRED, [[PROSE, Finish("length"), UsageReport(NO_USAGE)]], "tool_choice=required was not satisfied"),
        (PINNED, [[Finish("stop")]], "tool_choice required a weather tool call, but the agent did not produce one"),
        (PINNED, [[TIME], [TOOLS]], "tool_choice required a weather tool call"),
    ],
)
def test_an_answer_without_the_call_never_reaches_the_client(choice, batches, sentence):
    event_filter = ToolChoiceGuard(choice)
    *held, last = batches
    assert [event_filter.feed(batch) for batch in held] == [[]] * len(held)
    with pytest.raises(ToolChoiceUnmet, match=sentence) as caught:
        event_filter.feed(last)
    assert (caught.value.status, caught.value.type, caught.value.param) == (502, "api_error", "tool_choice")


def test_a_whole_answer_in_one_batch_passes_at_once():
    batch = [PROSE, WEATHER, ToolCallDelta(0, "{}"), TOOLS]
    assert ToolChoiceGuard(REQUIRED).feed(batch) == batch
