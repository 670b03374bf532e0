import pytest

from gateway.core.event import Finish, RefusalDelta, TextDelta, ToolCallBegin
from gateway.core.message import Message, Text
from gateway.core.turn import Turn
from gateway.runs.prefill import prefilled
from gateway.runs.rescue import Diverged, Seen

TURN = Turn("openclaw", (Message("user", (Text("hi"),)),), stream=True)
STOP = Finish("stop")


def seen(*events):
    made = Seen()
    made.add(list(events))
    return made


def test_the_answer_so_far_ends_the_conversation_and_the_rest_passes():
    turn, rest = prefilled(TURN, seen(TextDelta("Hello"), TextDelta(", w")))
    assert turn.messages == (*TURN.messages, Message("assistant", (Text("Hello, w"),)))
    assert rest.feed([TextDelta("orld"), STOP]) == [TextDelta("orld"), STOP]


def test_white_space_at_the_end_is_said_again_and_withheld():
    turn, rest = prefilled(TURN, seen(TextDelta("Hello, \n")))
    assert turn.messages[-1] == Message("assistant", (Text("Hello,"),))
    assert rest.feed([TextDelta(" ")]) == []
    assert rest.feed([TextDelta("\nworld")]) == [TextDelta("world")]


def test_an_answer_that_goes_on_without_the_white_space_is_another_one():
    _, rest = prefilled(TURN, seen(TextDelta("Hello, ")))
    with pytest.raises(Diverged):
        rest.feed([TextDelta("world")])


@pytest.mark.parametrize(
    "events",
    [
        [ToolCallBegin(0, "c", "f")],
        [TextDelta("So:"), ToolCallBegin(0, "c", "f")],
        [RefusalDelta("No")],
        [TextDelta(" ")],
    ],
)
def test_only_text_can_be_continued(events):
    assert prefilled(TURN, seen(*events)) is None
