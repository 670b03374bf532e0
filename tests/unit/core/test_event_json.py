import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.event import (
    CitationFound,
    Finish,
    ForeignFound,
    RefusalDelta,
    TextDelta,
    ThinkingDelta,
    ThinkingEnd,
    ToolCallBegin,
    ToolCallDelta,
    ToolWork,
    UsageReport,
)
from gateway.core.event_json import read_batch, write_batch
from gateway.core.jsonio import dumps
from gateway.core.message import NO_EXTRAS, Foreign, Thinking
from gateway.core.message_json import UnknownVersion
from gateway.core.usage import Usage
from tests.unit.core.message_values import citations, extras, messages, raw_texts, texts, thinking, values

optional = st.none() | texts
counts = st.integers(0, 2**53)
indexes = st.integers(0, 200)
events = (
    st.builds(TextDelta, raw_texts, values)
    | st.builds(ThinkingDelta, texts, st.sampled_from(["raw", "summary"]))
    | st.builds(ThinkingEnd, thinking)
    | st.builds(RefusalDelta, texts)
    | st.builds(CitationFound, citations)
    | st.builds(ForeignFound, st.just(Foreign("openai-responses", {"item": {"type": "web_search_call"}})))
    | st.builds(ToolCallBegin, indexes, texts, texts, extras, st.sampled_from(["function", "custom"]), optional)
    | st.builds(ToolCallDelta, indexes, texts)
    | st.builds(ToolWork, st.lists(messages, max_size=3).map(tuple))
    | st.builds(UsageReport, st.builds(Usage, *[counts] * 4, st.none() | counts, counts))
    | st.builds(Finish, st.sampled_from(["stop", "length", "tool_calls", "content_filter"]), optional, optional)
)


@given(st.lists(events, max_size=6))
def test_a_batch_is_read_as_it_was_written(batch):
    read = read_batch(write_batch(batch))
    assert read == batch
    assert [type(event) for event in read] == [type(event) for event in batch]
    assert write_batch(read) == write_batch(batch)


@given(st.lists(messages, max_size=3).map(tuple))
def test_the_agents_own_messages_stay_hidden(work):
    (read,) = read_batch(write_batch([ToolWork(work)]))
    assert [message.hidden for message in read.messages] == [message.hidden for message in work]


def test_every_kind_of_event_has_a_form():
    plain = [
        TextDelta("a"),
        ThinkingDelta("b"),
        ThinkingEnd(Thinking("b")),
        ToolCallBegin(0, "c", "f", NO_EXTRAS),
        Finish("stop"),
    ]
    assert read_batch(write_batch(plain)) == plain


@pytest.mark.parametrize("kind", ["hologram", "thinking_end", "citation"])
def test_an_event_that_is_not_known_is_refused(kind):
    document = dumps([{"type": kind, "block": {"type": "text", "text": "x"}, "citation": {"type": "text", "text": ""}}])
    with pytest.raises(UnknownVersion, match=kind):
        read_batch(document)
