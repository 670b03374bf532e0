from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from msgspec import Raw

from gateway.core.event import (
    Finish,
    RefusalDelta,
    TextDelta,
    ThinkingDelta,
    ThinkingEnd,
    ToolCallBegin,
    UsageReport,
)
from gateway.core.message import Thinking
from gateway.core.usage import NO_USAGE
from gateway.runs.filters.reasoning import ReasoningFilter

STOP = Finish("stop")

ANSWERS = [
    # text, shown, thought
    ("Hello", "Hello", ""),
    ("<think>why</think>Because", "Because", "why"),
    ("<thinking>why</thinking>Because", "Because", "why"),
    ("\n <think>why</think>\n\nBecause", "Because", "why"),
    ("<think></think>Because", "Because", ""),
    ("<think>a</think><think>b</think>c", "c", "ab"),
    ("<think>a < b </thin </thinking></think>c", "c", "a < b </thin </thinking>"),
    ("<think>never closed", "", "never closed"),
    ("<think>never closed</thi", "", "never closed</thi"),
    ("<think>only</think>\n\n", "", "only"),
    ("<final>Yes</final>", "Yes", ""),
    ("<final>Yes</final> and no", "Yes and no", ""),
    ("<final>Yes", "Yes", ""),
    ("<final>Yes</fin", "Yes</fin", ""),
    ("<final>a </b> c</final>", "a </b> c", ""),
    ("<think>why</think><final>Yes</final>", "Yes", "why"),
    ("[[reply_to_current]]Yes", "Yes", ""),
    ("[[reply_to_current]] Yes", "Yes", ""),
    ("[[reply_to: 12]]Yes", "Yes", ""),
    ("[[ reply_to: 12]]Yes", "Yes", ""),
    ("[[reply_to:]]Yes", "Yes", ""),
    ("<think>a</think>[[reply_to_current]]<final>b</final>", "b", "a"),
    ("[[reply_to: " + "x" * 300 + "]]Yes", "[[reply_to: " + "x" * 300 + "]]Yes", ""),
    ("[[reply_to: 12] ]Yes", "[[reply_to: 12] ]Yes", ""),
    ("[[reply_to: 12", "[[reply_to: 12", ""),
    ("[[ reply_too: 1]]", "[[ reply_too: 1]]", ""),
    ("[1] a source", "[1] a source", ""),
    ("[[", "[[", ""),
    ("<", "<", ""),
    ("<thin air>", "<thin air>", ""),
    ("<p>Hi</p>", "<p>Hi</p>", ""),
    ("  indented", "  indented", ""),
    ("   ", "   ", ""),
    ("\N{NO-BREAK SPACE}<think>a</think>b", "b", "a"),
    ("Use <think>a</think> for that", "Use <think>a</think> for that", ""),
    ("a</final>b", "a</final>b", ""),
    ("</think>b", "</think>b", ""),
    ("<final>a</final>b</final>c", "ab</final>c", ""),
    ("a[[reply_to_current]]", "a[[reply_to_current]]", ""),
]
TAGS = (
    "<think>",
    "</think>",
    "<thinking>",
    "</thinking>",
    "<final>",
    "</final>",
    "[[reply_to_current]]",
    "[[reply_to: 7]]",
)
PIECES = st.sampled_from(
    [*TAGS, "[[ reply_to:", "]]", "]", "<", "[", "</", " ", "\n", "a", "b <c", "\N{NO-BREAK SPACE}"]
)
TEXTS = st.lists(PIECES, min_size=1, max_size=8).map("".join)


def ended(text):
    return ThinkingEnd(Thinking(text))


def split(*pieces):
    """Visible text and reasoning of an answer in these pieces, one per batch."""
    event_filter = ReasoningFilter()
    events = [event for piece in pieces if piece for event in event_filter.feed([TextDelta(piece)])]
    events += event_filter.feed([STOP])
    assert events[-1] == STOP
    shown = "".join(event.text for event in events if isinstance(event, TextDelta))
    thought = "".join(event.text for event in events if isinstance(event, ThinkingDelta))
    assert all(event.text for event in events[:-1] if not isinstance(event, ThinkingEnd))
    blocks = "".join(event.block.text for event in events if isinstance(event, ThinkingEnd))
    assert blocks == thought
    return shown, thought


@pytest.mark.parametrize(("text", "shown", "thought"), ANSWERS)
def test_the_split_does_not_depend_on_batches(text, shown, thought):
    assert split(text) == (shown, thought)
    assert split(*text) == (shown, thought)
    for position in range(1, len(text)):
        assert split(text[:position], text[position:]) == (shown, thought), position


@given(TEXTS, st.lists(st.integers(1, 60), max_size=3))
@example("[[reply_to: 7]]a", [14])
@example("[[ reply_to: 7]]a", [3])
def test_the_split_of_any_text_does_not_depend_on_batches(text, positions):
    edges = sorted({0, *(min(position, len(text)) for position in positions), len(text)})
    pieces = [text[start:end] for start, end in pairwise(edges)]
    assert split(*pieces) == split(text)


@given(TEXTS)
def test_nothing_is_lost_but_tags_and_the_space_around_them(text):
    event_filter = ReasoningFilter()
    events = [*event_filter.feed([TextDelta(text)]), *event_filter.feed([STOP])][:-1]
    result = "".join(event.text for event in events if not isinstance(event, ThinkingEnd))
    # Positions in `result` that can be reached by having read this much of `text`.
    reached = [set() for _ in range(len(text) + 1)]
    reached[0] = {0}
    for position, character in enumerate(text):
        here = reached[position]
        reached[position + 1] |= {at + 1 for at in here if result[at : at + 1] == character}
        if character.isspace():
            reached[position + 1] |= here
        for tag in (tag for tag in (*TAGS, "[[ reply_to:") if text.startswith(tag, position)):
            end = text.find("]]", position) + 2 if tag == "[[ reply_to:" else position + len(tag)
            reached[end] |= here if end > position else set()
    assert len(result) in reached[-1]


@given(TEXTS.filter(lambda text: not text.isspace()))
def test_text_after_the_beginning_passes_unchanged(text):
    assert split("So: ", text) == ("So: " + text, "")


def test_the_beginning_is_passed_on_as_soon_as_it_can_not_be_a_tag():
    event_filter = ReasoningFilter()
    assert event_filter.feed([TextDelta("<thi")]) == []
    assert event_filter.feed([TextDelta("s")]) == [TextDelta("<this")]
    assert event_filter.feed([TextDelta("<think>")]) == [TextDelta("<think>")]


def test_reasoning_is_passed_on_as_it_arrives():
    event_filter = ReasoningFilter()
    assert event_filter.feed([TextDelta("<think>a")]) == [ThinkingDelta("a")]
    assert event_filter.feed([TextDelta("b</th")]) == [ThinkingDelta("b")]
    assert event_filter.feed([TextDelta("ink>c")]) == [ended("ab"), TextDelta("c")]


def test_a_plain_batch_passes_unchanged():
    event_filter = ReasoningFilter()
    batch = [TextDelta("Hi", {"content": []}), STOP]
    assert event_filter.feed(batch) is batch
    more = [TextDelta("<think>")]
    assert event_filter.feed(more) is more


def test_other_events_keep_their_position():
    event_filter = ReasoningFilter()
    begin = ToolCallBegin(0, "c", "f")
    batch = [ThinkingDelta("hm"), RefusalDelta("no"), TextDelta("<final>a"), begin, STOP, UsageReport(NO_USAGE)]
    assert event_filter.feed(batch) == [
        *(ThinkingDelta("hm"), RefusalDelta("no"), TextDelta("a"), begin, STOP, UsageReport(NO_USAGE))
    ]


def test_held_text_comes_before_the_finish():
    event_filter = ReasoningFilter()
    assert event_filter.feed([TextDelta("<fin")]) == []
    assert event_filter.feed([STOP, UsageReport(NO_USAGE)]) == [TextDelta("<fin"), STOP, UsageReport(NO_USAGE)]


def test_unusual_white_space_counts_as_white_space():
    odd = TextDelta("\N{NO-BREAK SPACE}<think>a</think>b")
    assert ReasoningFilter().feed([odd]) == [ThinkingDelta("a"), ended("a"), TextDelta("b")]
    assert ReasoningFilter().feed([ThinkingDelta("x"), odd]) == [
        *(ThinkingDelta("x"), ThinkingDelta("a"), ended("a"), TextDelta("b"))
    ]


def test_raw_text_is_decoded_only_if_it_may_begin_with_a_tag():
    plain = [TextDelta(Raw(b'"Hello"')), Finish("stop")]
    assert ReasoningFilter().feed(plain) is plain
    for written in (b'"<think>hm</think>Hello"', b'"\\u003cthink>hm</think>Hello"', b'" <think>hm</think>Hello"'):
        assert ReasoningFilter().feed([TextDelta(Raw(written))]) == [
            ThinkingDelta("hm"),
            ended("hm"),
            TextDelta("Hello"),
        ]
