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
    """What is shown and what is thought of an answer that comes in these pieces, each in a batch of its own."""
    stage = ReasoningFilter()
    events = [event for piece in pieces if piece for event in stage.feed([TextDelta(piece)])]
    events += stage.feed([STOP])
    assert events[-1] == STOP
    shown = "".join(event.text for event in events if isinstance(event, TextDelta))
    thought = "".join(event.text for event in events if isinstance(event, ThinkingDelta))
    assert all(event.text for event in events[:-1] if not isinstance(event, ThinkingEnd))
    blocks = "".join(event.block.text for event in events if isinstance(event, ThinkingEnd))
    assert blocks == thought
    return shown, thought


@pytest.mark.parametrize(("text", "shown", "thought"), ANSWERS)
def test_an_answer_is_split_the_same_wherever_it_is_cut(text, shown, thought):
    assert split(text) == (shown, thought)
    assert split(*text) == (shown, thought)
    for position in range(1, len(text)):
        assert split(text[:position], text[position:]) == (shown, thought), position


@given(TEXTS, st.lists(st.integers(1, 60), max_size=3))
@example("[[reply_to: 7]]a", [14])
@example("[[ reply_to: 7]]a", [3])
def test_any_text_is_split_the_same_wherever_it_is_cut(text, positions):
    edges = sorted({0, *(min(position, len(text)) for position in positions), len(text)})
    pieces = [text[start:end] for start, end in pairwise(edges)]
    assert split(*pieces) == split(text)


@given(TEXTS)
def test_nothing_is_lost_but_tags_and_the_space_around_them(text):
    stage = ReasoningFilter()
    events = [*stage.feed([TextDelta(text)]), *stage.feed([STOP])][:-1]
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
def test_once_the_answer_has_begun_it_is_left_alone(text):
    assert split("So: ", text) == ("So: " + text, "")


def test_the_beginning_is_shown_as_soon_as_it_can_be_no_tag():
    stage = ReasoningFilter()
    assert stage.feed([TextDelta("<thi")]) == []
    assert stage.feed([TextDelta("s")]) == [TextDelta("<this")]
    assert stage.feed([TextDelta("<think>")]) == [TextDelta("<think>")]


def test_a_thought_is_passed_on_as_it_comes():
    stage = ReasoningFilter()
    assert stage.feed([TextDelta("<think>a")]) == [ThinkingDelta("a")]
    assert stage.feed([TextDelta("b</th")]) == [ThinkingDelta("b")]
    assert stage.feed([TextDelta("ink>c")]) == [ended("ab"), TextDelta("c")]


def test_a_plain_batch_is_passed_on_as_it_is():
    stage = ReasoningFilter()
    batch = [TextDelta("Hi", {"content": []}), STOP]
    assert stage.feed(batch) is batch
    more = [TextDelta("<think>")]
    assert stage.feed(more) is more


def test_everything_but_text_passes_in_its_place():
    stage = ReasoningFilter()
    begin = ToolCallBegin(0, "c", "f")
    batch = [ThinkingDelta("hm"), RefusalDelta("no"), TextDelta("<final>a"), begin, STOP, UsageReport(NO_USAGE)]
    assert stage.feed(batch) == [
        *(ThinkingDelta("hm"), RefusalDelta("no"), TextDelta("a"), begin, STOP, UsageReport(NO_USAGE))
    ]


def test_what_was_held_back_comes_before_the_end():
    stage = ReasoningFilter()
    assert stage.feed([TextDelta("<fin")]) == []
    assert stage.feed([STOP, UsageReport(NO_USAGE)]) == [TextDelta("<fin"), STOP, UsageReport(NO_USAGE)]


def test_a_space_that_is_none_of_the_usual_ones_is_one_wherever_it_comes():
    odd = TextDelta("\N{NO-BREAK SPACE}<think>a</think>b")
    assert ReasoningFilter().feed([odd]) == [ThinkingDelta("a"), ended("a"), TextDelta("b")]
    assert ReasoningFilter().feed([ThinkingDelta("x"), odd]) == [
        *(ThinkingDelta("x"), ThinkingDelta("a"), ended("a"), TextDelta("b"))
    ]


def test_text_that_nobody_has_decoded_is_looked_at_only_where_a_tag_may_be():
    plain = [TextDelta(Raw(b'"Hello"')), Finish("stop")]
    assert ReasoningFilter().feed(plain) is plain
    for written in (b'"<think>hm</think>Hello"', b'"\\u003cthink>hm</think>Hello"', b'" <think>hm</think>Hello"'):
        assert ReasoningFilter().feed([TextDelta(Raw(written))]) == [
            ThinkingDelta("hm"),
            ended("hm"),
            TextDelta("Hello"),
        ]
