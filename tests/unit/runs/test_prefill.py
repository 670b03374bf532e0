import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.event import Finish, RefusalDelta, TextDelta, ThinkingDelta, ThinkingEnd, ToolCallBegin
from gateway.core.message import Message, Owner, Text, Thinking
from gateway.core.turn import Turn
from gateway.runs.prefill import PrefillRejected, prefilled
from gateway.runs.rescue import Diverged, seen_answer

TURN = Turn("openclaw", (Message("user", (Text("hi"),)),), stream=True)
STOP = Finish("stop")


def seen(*events):
    made = seen_answer()
    made.add(list(events))
    return made


def continued(text, *pieces):
    """The text that passes of a continuation in these pieces."""
    _, filter_ = prefilled(TURN, seen(TextDelta(text)))
    passed = [one for piece in pieces for one in filter_.feed([TextDelta(piece)])]
    passed += filter_.feed([STOP])
    return "".join(event.text for event in passed if isinstance(event, TextDelta))


@pytest.mark.parametrize(
    ("text", "head"),
    [
        ("Once upon a ti", "Once upon a"),
        ("Once upon a ", "Once upon"),
        ("Once upon a \n", "Once upon"),
        ("one two\nthree", "one two"),
        ("从前有一个国王他有三个女儿都很美丽可爱", "从前有"),
    ],
)
def test_the_answer_so_far_ends_the_conversation_without_its_last_word(text, head):
    turn, _ = prefilled(TURN, seen(TextDelta(text[:5]), TextDelta(text[5:])))
    assert turn.messages == (*TURN.messages, Message("assistant", (Text(head),)))


@pytest.mark.parametrize(
    ("text", "pieces", "continuation"),
    [
        ("Once upon a ti", [" ti", "me there"], "me there"),
        ("Once upon a ", [" a time"], "time"),
        ("Once upon a", [" a", " time"], " time"),
        # the model may drop the space between head and continuation
        ("Once upon a ti", ["ti", "me there"], "me there"),
        ("Once upon a", ["a time"], " time"),
        ("one two\nthree", ["\n", "three four"], " four"),
    ],
)
def test_the_continuation_after_the_last_word_is_passed_on(text, pieces, continuation):
    assert continued(text, *pieces) == continuation


@pytest.mark.parametrize("pieces", [["upon a time"], [" upon a time"], [" another word"], []])
def test_a_repeated_missing_or_different_word_is_no_continuation(pieces):
    with pytest.raises(PrefillRejected):
        continued("Once upon a ti", *pieces)


def test_a_model_that_starts_over_is_treated_as_a_replay():
    text = "Once upon a time there was a king who had three daughters, and"
    assert continued(text, "Once upon", text[9:], " all were", " wise") == " all were wise"
    assert continued("Once upon a ti", "Once upon a time") == "me"


def test_the_reasoning_of_a_continuation_is_passed_on_only_if_another_model_needs_it_for_its_calls():
    first, second = (Thinking("so", owner=Owner("wire", "provider", model)) for model in ("one", "two"))
    for block, passed in ((first, []), (second, [ThinkingEnd(second)])):
        _, filter_ = prefilled(TURN, seen(ThinkingDelta("so"), ThinkingEnd(first), TextDelta("Once upon a ti")))
        begin, end = ToolCallBegin(0, "call", "look"), Finish("tool_calls")
        events = filter_.feed([ThinkingDelta("so"), ThinkingEnd(block), TextDelta(" time")])
        events += filter_.feed([begin, end])
        assert events == [TextDelta("me"), *passed, begin, end]


def test_a_model_that_starts_over_with_other_words_has_diverged():
    text = "Once upon a time there was a king who had three daughters, and"
    with pytest.raises(Diverged):
        continued(text, text[:50], "two sons")


def test_reasoning_before_the_continuation_is_ignored():
    _, filter_ = prefilled(TURN, seen(TextDelta("Once upon a ti")))
    assert filter_.feed([ThinkingDelta("hm")]) == []
    assert filter_.feed([TextDelta(" time")])[-1] == TextDelta("me")


@given(st.lists(st.text("abc \n", min_size=1, max_size=8), min_size=2, max_size=6), st.data())
def test_a_continuation_never_loses_or_repeats_a_character(words, data):
    whole = "".join(words)
    at = data.draw(st.integers(1, len(whole)))
    asked = prefilled(TURN, seen(TextDelta(whole[:at])))
    if asked is None:
        return
    head = asked[0].messages[-1].parts[0].text
    continuation = whole[len(head) :]
    cut = data.draw(st.integers(0, len(continuation)))
    passed = []
    try:
        for piece in (continuation[:cut], continuation[cut:]):
            if piece:
                passed += asked[1].feed([TextDelta(piece)])
        passed += asked[1].feed([STOP])
    except (PrefillRejected, Diverged):
        return  # asked again or reported; never a wrong answer
    text = whole[:at] + "".join(event.text for event in passed if isinstance(event, TextDelta))
    assert text == whole


@pytest.mark.parametrize(
    "events",
    [
        [ToolCallBegin(0, "c", "f")],
        [TextDelta("So it is:"), ToolCallBegin(0, "c", "f")],
        [RefusalDelta("No way")],
        [TextDelta(" ")],
        [TextDelta("One")],
    ],
)
def test_only_text_of_more_than_a_word_can_be_continued(events):
    assert prefilled(TURN, seen(*events)) is None
