import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from gateway.core.accumulator import Accumulator
from gateway.core.event import (
    Finish,
    ForeignFound,
    RefusalDelta,
    TextDelta,
    ThinkingDelta,
    ToolCallBegin,
    ToolCallDelta,
    UsageReport,
)
from gateway.core.message import Foreign
from gateway.core.upstream_error import UpstreamError, UpstreamKind
from gateway.core.usage import Usage
from gateway.runs.failover import another_model_may_answer
from gateway.runs.rescue import Diverged, Replay, plain_text, seen_answer, shows_content

STOP = Finish("stop")


def seen(*events, limit=None):
    made = Accumulator(limit)
    for event in events:
        made.add([event])
    return made


def replayed(shown, *events):
    replay = Replay(shown)
    return [one for event in events for one in replay.feed([event])]


def test_the_seen_part_is_withheld_and_the_new_part_passed_on():
    shown = seen(TextDelta("Hel"), TextDelta("lo"))
    assert replayed(shown, TextDelta("H"), TextDelta("ello, w"), TextDelta("orld"), STOP) == [
        TextDelta(", w"),
        TextDelta("orld"),
        STOP,
    ]


def test_without_a_seen_part_everything_is_passed_on():
    assert not seen()
    assert replayed(seen(), TextDelta("Hi"), STOP) == [TextDelta("Hi"), STOP]


@pytest.mark.parametrize(
    "events",
    [
        [TextDelta("Jello")],
        [TextDelta("Hello"), STOP],
        [TextDelta("Help")],
        [STOP],
        [ToolCallBegin(0, "c", "f"), STOP],
    ],
)
def test_a_different_answer_is_one_error(events):
    with pytest.raises(Diverged) as caught:
        replayed(seen(TextDelta("Hello w")), *events)
    assert (caught.value.status, caught.value.type, caught.value.code) == (502, "upstream_error", "answer_diverged")
    assert not another_model_may_answer(caught.value)


def test_a_different_second_answer_names_the_cause_of_the_break():
    cause = UpstreamError(UpstreamKind.TRANSPORT, "The provider 'p' (p:443) broke off its answer.")
    with pytest.raises(Diverged) as caught:
        Replay(seen(TextDelta("Hello")), cause).feed([TextDelta("Jello")])
    assert "broke off (The provider 'p' (p:443) broke off its answer), and" in caught.value.message


def test_reasoning_before_repeated_text_is_not_sent_twice():
    shown = seen(ThinkingDelta("hm"), TextDelta("Hel"))
    assert replayed(shown, ThinkingDelta("hm"), TextDelta("Hello"), ThinkingDelta("so")) == [
        TextDelta("lo"),
        ThinkingDelta("so"),
    ]


def test_tool_calls_are_repeated_with_their_arguments_and_keep_the_first_id():
    shown = seen(TextDelta("So:"), ToolCallBegin(0, "first", "f"), ToolCallDelta(0, '{"a'))
    events = [TextDelta("So:"), ToolCallBegin(0, "other", "f"), ToolCallDelta(0, '{"a":1}'), ToolCallBegin(1, "b", "g")]
    assert replayed(shown, *events) == [ToolCallDelta(0, '":1}'), ToolCallBegin(1, "b", "g")]


@pytest.mark.parametrize(
    "events",
    [
        [ToolCallBegin(0, "c", "g")],
        [ToolCallBegin(0, "c", "f"), ToolCallDelta(0, '{"b')],
        [ToolCallBegin(0, "c", "f"), ToolCallDelta(0, "{"), Finish("tool_calls")],
    ],
)
def test_a_different_call_is_one_error(events):
    with pytest.raises(Diverged):
        replayed(seen(ToolCallBegin(0, "c", "f"), ToolCallDelta(0, '{"a')), *events)


def test_new_events_wait_until_the_seen_part_is_repeated():
    shown = seen(TextDelta("So"), ToolCallBegin(0, "c", "f"), ToolCallDelta(0, "{"))
    replay = Replay(shown)
    assert replay.feed([TextDelta("So, then")]) == []
    assert replay.feed([ToolCallBegin(0, "d", "f")]) == []
    assert replay.feed([ToolCallDelta(0, "{}")]) == [TextDelta(", then"), ToolCallDelta(0, "}")]


def test_reasoning_may_differ_and_usage_is_that_of_the_answer_that_ended():
    shown = seen(ThinkingDelta("hm"), TextDelta("Yes"))
    usage = UsageReport(Usage(1, 2, 3))
    assert replayed(shown, ThinkingDelta("well"), TextDelta("Yes."), STOP, usage)[-3:] == [TextDelta("."), STOP, usage]


def test_a_refusal_is_not_text():
    shown = seen(RefusalDelta("I can"))
    assert replayed(shown, RefusalDelta("I can't")) == [RefusalDelta("'t")]
    with pytest.raises(Diverged):
        replayed(shown, TextDelta("I can't"), STOP)


def test_logprobs_of_a_split_delta_are_omitted():
    assert replayed(seen(TextDelta("He")), TextDelta("Hello", {"content": [1]}), TextDelta("!", {"content": [2]})) == [
        TextDelta("llo"),
        TextDelta("!", {"content": [2]}),
    ]


def test_an_answer_above_the_limit_is_not_replayed():
    assert not seen(*[TextDelta("x" * 30)] * 3, limit=100).overflowed
    shown = seen(*[TextDelta("x" * 30)] * 4, limit=100)
    assert shown.overflowed
    assert shows_content(shown)
    assert shown


@given(text=st.text(min_size=1, max_size=60), data=st.data())
def test_with_any_break_and_any_batches_nothing_is_lost_or_repeated(text, data):
    def pieces(whole):
        cuts = sorted(data.draw(st.sets(st.integers(1, max(1, len(whole) - 1)), max_size=8)))
        return [TextDelta(part) for a, b in zip([0, *cuts], [*cuts, len(whole)], strict=True) if (part := whole[a:b])]

    broken = data.draw(st.integers(0, len(text)))
    first = pieces(text[:broken]) if broken else []
    again = replayed(seen(*first), *pieces(text), STOP)
    assert "".join(one.text for one in [*first, *again[:-1]]) == text
    assert again[-1] is STOP
    assert all(one.text for one in again[:-1])


def test_texts_in_different_forms_compare_equal():
    shown = seen(TextDelta(Raw(b'"H\\u0065l"')))
    assert replayed(shown, TextDelta(Raw(b'"Hello"'))) == [TextDelta("lo")]


def test_an_answer_need_not_repeat_reasoning_alone():
    shown = seen_answer()
    shown.add([ThinkingDelta("hm")])
    assert not shows_content(shown)
    shown.add([TextDelta("a")])
    assert shows_content(shown)
    assert plain_text(shown) == "a"


def test_reasoning_is_not_sent_twice():
    assert replayed(seen(ThinkingDelta("hm"), TextDelta("a")), ThinkingDelta("hm"), TextDelta("ab"), STOP) == [
        *(TextDelta("b"), STOP),
    ]


def picture(name):
    return ForeignFound(Foreign("w", {"message": {"images": [name]}}, f"![]({name})"))


def test_a_repeated_image_is_not_sent_twice_and_another_one_is_another_answer():
    shown = seen(TextDelta("See"), picture("a"))
    assert shows_content(seen(picture("a")))
    assert replayed(shown, TextDelta("See"), picture("a"), picture("b"), STOP) == [picture("b"), STOP]
    for other in (picture("b"), STOP):
        with pytest.raises(Diverged):
            replayed(shown, TextDelta("See"), other)
