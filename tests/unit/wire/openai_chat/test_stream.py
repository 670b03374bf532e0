import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.event import (
    CitationFound,
    Finish,
    RefusalDelta,
    TextDelta,
    ThinkingDelta,
    ThinkingEnd,
    ToolCallBegin,
    ToolCallDelta,
    UsageReport,
)
from gateway.core.message import NO_EXTRAS, Citation, Extras, Owner, Thinking
from gateway.core.upstream_error import UpstreamKind
from gateway.core.usage import Usage
from gateway.wire.openai_chat import WIRE

STOP = Finish("stop")


def thought(text, **extras):
    return ThinkingEnd(Thinking(text, owner=Owner(WIRE, "fake", "small"), extras=Extras(WIRE, extras)))


USAGE = {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}
REPORT = UsageReport(Usage(3, 4, 7))


def chunk(delta=None, finish=None, **fields):
    return {"choices": [{"index": 0, "delta": delta or {}, "finish_reason": finish}], **fields}


END = chunk(finish="stop")


def call(index=0, id_=None, name=None, arguments=None, **fields):
    return {"tool_calls": [{"index": index, "id": id_, "function": {"name": name, "arguments": arguments}, **fields}]}


def test_a_plain_answer_is_decoded(read, stream):
    chunks = (chunk({"role": "assistant", "content": ""}), chunk({"content": "Hel"}), chunk({"content": "lo"}), END)
    assert read(stream(*chunks, {"choices": [], "usage": USAGE})) == (
        [TextDelta("Hel"), TextDelta("lo"), STOP, REPORT],
        None,
    )


@pytest.mark.parametrize(
    ("delta", "events"),
    [
        ({"content": "a"}, [TextDelta("a")]),
        ({"content": "a", "role": "assistant"}, [TextDelta("a")]),
        ({"content": [{"type": "text", "text": "a"}, {"type": "thinking"}, {"text": "b"}, 1]}, [TextDelta("ab")]),
        ({"reasoning_content": "hm"}, [ThinkingDelta("hm"), thought("hm", field="reasoning_content")]),
        ({"reasoning": "hm", "content": "a"}, [ThinkingDelta("hm"), thought("hm", field="reasoning"), TextDelta("a")]),
        (
            {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}, {"text": "a"}]},
            [ThinkingDelta("hm"), thought("hm", field="content"), TextDelta("a")],
        ),
        ({"annotations": [{"type": "url_citation", "url_citation": {"url": "u"}}]}, [CitationFound(Citation("u"))]),
        ({"refusal": "no"}, [RefusalDelta("no")]),
        ({"content": "a", "refusal": "no"}, [TextDelta("a"), RefusalDelta("no")]),
        (call(0, "c", "f", ""), [ToolCallBegin(0, "c", "f"), ToolCallDelta(0, "{}")]),
        (call(0, "c", "f", {"a": [1]}), [ToolCallBegin(0, "c", "f"), ToolCallDelta(0, '{"a":[1]}')]),
        (call(0, "c", "f", "{}"), [ToolCallBegin(0, "c", "f"), ToolCallDelta(0, "{}")]),
        (call(7, "c", "f", "{}"), [ToolCallBegin(0, "c", "f"), ToolCallDelta(0, "{}")]),
        (call(None, "c", "f", "{}"), [ToolCallBegin(0, "c", "f"), ToolCallDelta(0, "{}")]),
        ({"content": "so", **call(0, "c", "f")}, [TextDelta("so"), ToolCallBegin(0, "c", "f"), ToolCallDelta(0, "{}")]),
        ({"content": "a", "unknown": {"a": 1}}, [TextDelta("a")]),
    ],
)
def test_every_field_of_a_delta_is_decoded(read, stream, delta, events):
    decoded, failure = read(stream(chunk(delta), END))
    assert (decoded[:-1], failure) == (events, None)


def test_logprobs_are_reported_with_their_text(read, stream):
    tokens = {"content": [{"token": "a"}]}
    with_tokens = {"choices": [{"delta": {"content": "a"}, "logprobs": tokens}]}
    assert read(stream(with_tokens, END))[0][0] == TextDelta("a", tokens)


@pytest.mark.parametrize(
    ("fields", "preserved"),
    [
        ({"extra_content": {"google": {"thought_signature": "s"}}}, ["extra_content"]),
        ({"provider_specific_fields": {"thought_signature": "s"}, "extra_content": None}, ["provider_specific_fields"]),
        ({"extra_content": "text", "provider_specific_fields": 1}, []),
        ({"other": {"a": 1}}, []),
    ],
)
def test_a_providers_extra_fields_of_a_call_are_preserved(read, stream, fields, preserved):
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}, **fields}
    events, failure = read(stream({"choices": [{"delta": {"tool_calls": [call]}, "finish_reason": "stop"}]}))
    assert failure is None
    assert events[0].extras == (Extras(WIRE, {name: fields[name] for name in preserved}) if preserved else NO_EXTRAS)


def test_deltas_of_calls_are_assigned_to_their_calls(read, stream):
    parts = (
        call(0, "a", "f", ""),
        call(1, "b", "g", ""),
        call(0, None, None, '{"x":'),
        call(1, "", "", "[]"),
        call(0, arguments="1}"),
    )
    assert read(stream(*map(chunk, parts), chunk(finish="tool_calls")))[0] == [
        *(ToolCallBegin(0, "a", "f"), ToolCallBegin(1, "b", "g"), ToolCallDelta(0, '{"x":'), ToolCallDelta(1, "[]")),
        *(ToolCallDelta(0, "1}"), Finish("tool_calls")),
    ]


@pytest.mark.parametrize("number", [0, None])
def test_calls_with_equal_indexes_are_distinguished_by_id(read, stream, number):
    parts = (
        call(number, "a", "f", "{}"),
        call(number, "a", "f", " "),
        call(number, "b", "f", "[]"),
        call(number, arguments=" "),
    )
    assert read(stream(*map(chunk, parts), chunk(finish="stop")))[0] == [
        *(ToolCallBegin(0, "a", "f"), ToolCallDelta(0, "{}"), ToolCallDelta(0, " ")),
        *(ToolCallBegin(1, "b", "f"), ToolCallDelta(1, "[]"), ToolCallDelta(1, " "), Finish("tool_calls", "stop")),
    ]


@pytest.mark.parametrize("number", [0, None])
@pytest.mark.parametrize("id_", [None, ""])
def test_calls_with_equal_indexes_and_without_ids_are_distinguished_by_name_and_complete_arguments(
    read, stream, number, id_
):
    parts = (
        call(number, id_, "f", '{"a"'),
        call(number, id_, "f", ":1}"),
        call(number, id_, "f", "{}"),
        call(number, id_, "g"),
        call(number, id_, None, "{}"),
    )
    events = read(stream(*map(chunk, parts), chunk(finish="stop")))[0]
    started = [event for event in events if isinstance(event, ToolCallBegin)]
    assert [event.name for event in started] == ["f", "f", "g"]
    assert len({event.id for event in started}) == 3
    arguments = [(event.index, event.arguments) for event in events if isinstance(event, ToolCallDelta)]
    assert arguments == [(0, '{"a"'), (0, ":1}"), (1, "{}"), (2, "{}")]


@pytest.mark.parametrize(
    ("reason", "finish"),
    [
        ("stop", "stop"),
        ("length", "length"),
        ("content_filter", "content_filter"),
        ("eos", "stop"),
        ("end_turn", "stop"),
        ("max_tokens", "length"),
        ("model_length", "length"),
        ("model_context_window_exceeded", "length"),
        ("repetition_truncation", "length"),
        ("MAX_TOKENS", "length"),
        ("sensitive", "content_filter"),
        ("SAFETY", "content_filter"),
        ("something new", "stop"),
    ],
)
def test_every_known_finish_reason_is_mapped(read, stream, reason, finish):
    assert read(stream(chunk({"content": "a"}), chunk(finish=reason)))[0][-1] == Finish(
        finish, None if finish == reason else reason
    )


@pytest.mark.parametrize(
    ("reason", "finish"),
    [("stop", "tool_calls"), ("length", "length"), ("tool_calls", "tool_calls"), ("function_call", "tool_calls")],
)
def test_a_stop_after_calls_becomes_tool_calls(read, stream, reason, finish):
    assert read(stream(chunk(call(0, "c", "f")), chunk(finish=reason)))[0][-1] == Finish(
        finish, None if finish == reason else reason
    )


@pytest.mark.parametrize(
    ("chunks", "reports"),
    [
        ([chunk({"content": "a"}), END], []),
        ([chunk(finish="stop", usage=USAGE)], [REPORT]),
        ([END, {"choices": [], "usage": USAGE}], [REPORT]),
        ([END, {"usage": USAGE}], [REPORT]),
        ([chunk({"content": "a"}), END, {"choices": [], "usage": None}], []),
        ([{"choices": [], "usage": {"prompt_tokens": 1}}, {"choices": [], "usage": USAGE}, END], [REPORT]),
        ([{"choices": [], "usage": {"prompt_tokens": 1}}, END, {"choices": [], "usage": USAGE}], [REPORT]),
        ([chunk({"content": "a"}, usage=USAGE), END], []),
        ([chunk({"content": "a"}, usage={"prompt_tokens": 1}), chunk(finish="stop", usage=USAGE)], [REPORT]),
        ([chunk({"content": "a"}, usage={"prompt_tokens": 1}), END, {"choices": [], "usage": USAGE}], [REPORT]),
    ],
)
def test_only_usage_at_the_end_is_reported(read, stream, chunks, reports):
    events, _ = read(stream(*chunks))
    assert [event for event in events if isinstance(event, UsageReport)] == reports
    assert events[-1] == (reports or [STOP])[-1]


@pytest.mark.parametrize("delta", [{}, {"role": "assistant", "content": ""}, {"content": None}, {"unknown": {"a": 1}}])
@pytest.mark.parametrize("end", [b"", b"data: [DONE]\n\n"])
def test_an_empty_answer_is_one_only_if_the_provider_counts_what_the_model_wrote(read, stream, delta, end):
    for usage in ([], [{"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 0}}]):
        events, failure = read(stream(chunk(delta), END, *usage, end=end))
        assert (events, failure.kind) == ([], UpstreamKind.MALFORMED)
    assert read(stream(chunk(delta), END, {"choices": [], "usage": USAGE}, end=end)) == ([STOP, REPORT], None)
    assert read(stream(chunk(delta), chunk(finish="length"), end=end)) == ([Finish("length")], None)


@pytest.mark.parametrize("end", [b"", b"data: [DONE]", b"data:[DONE]\n\n", b"data: [DONE]\r\n\r\n", b": bye\n\n"])
def test_a_finished_answer_is_complete_however_its_stream_ends(read, stream, end):
    assert read(stream(chunk({"content": "a"}), END, end=end)) == ([TextDelta("a"), STOP], None)


def test_a_tool_calls_finish_without_a_call_is_malformed(read, stream):
    assert read(stream(chunk(finish="tool_calls")))[1].kind is UpstreamKind.MALFORMED


def test_a_stop_on_every_chunk_does_not_end_the_answer(read, stream):
    chunks = [chunk({"content": word}, finish="stop") for word in ("a", "b", "c")]
    assert read(stream(*chunks)) == ([TextDelta("a"), TextDelta("b"), TextDelta("c"), STOP], None)


def test_text_after_a_finish_continues_the_answer_and_needs_another_finish(read, stream):
    chunks = (chunk({"content": "a"}), END, chunk({"content": "b"}))
    assert read(stream(*chunks, END)) == ([TextDelta("a"), TextDelta("b"), STOP], None)
    events, failure = read(stream(*chunks, end=b""))
    assert events == [TextDelta("a"), TextDelta("b")]
    assert failure.kind is UpstreamKind.TRANSPORT


def test_a_whole_message_in_a_chunk_is_decoded(read, stream):
    whole = {"choices": [{"index": 0, "message": {"role": "assistant", "content": "a"}, "finish_reason": "stop"}]}
    assert read(stream(whole)) == ([TextDelta("a"), STOP], None)


def test_a_legacy_text_completion_is_malformed(read, stream):
    events, failure = read(stream({"choices": [{"index": 0, "text": "a", "finish_reason": None}]}))
    assert (events, failure.kind) == ([], UpstreamKind.MALFORMED)


def test_the_legacy_function_call_is_decoded(read, stream):
    pieces = ({"name": "f", "arguments": '{"a"'}, {"arguments": ":1}"})
    chunks = [chunk({"function_call": piece}) for piece in pieces]
    begin, *deltas, end = read(stream(*chunks, chunk(finish="function_call")))[0]
    assert (begin.name, deltas) == ("f", [ToolCallDelta(0, '{"a"'), ToolCallDelta(0, ":1}")])
    assert end == Finish("tool_calls", "function_call")


def test_a_second_choice_is_not_mixed_into_the_answer(read, stream):
    other = {"choices": [{"index": 1, "delta": {"content": "X"}, "finish_reason": None}]}
    assert read(stream(chunk({"content": "a"}), other, END))[0] == [TextDelta("a"), STOP]


def test_streamed_reasoning_is_one_block_that_ends_before_the_text(read, stream):
    chunks = (chunk({"reasoning_content": "h"}), chunk({"reasoning_content": "m"}), chunk({"content": "a"}), END)
    assert read(stream(*chunks))[0] == [
        *(ThinkingDelta("h"), ThinkingDelta("m"), thought("hm", field="reasoning_content"), TextDelta("a"), STOP),
    ]


def test_reasoning_details_are_merged_and_stored_for_their_model(read, stream):
    def detail(**fields):
        return chunk({"reasoning_details": [{"type": "reasoning.text", "index": 0, **fields}]})

    sealed = {"type": "reasoning.encrypted", "data": "x", "index": 1}
    chunks = (detail(text="h"), detail(text="m"), detail(signature="s"), chunk({"reasoning_details": [sealed]}))
    events, failure = read(stream(*chunks, chunk(call(0, "c", "f", "{}")), chunk(finish="tool_calls")))
    assert failure is None
    assert events[:2] == [ThinkingDelta("h"), ThinkingDelta("m")]
    joined = {"type": "reasoning.text", "index": 0, "text": "hm", "signature": "s"}
    assert events[2] == thought("hm", reasoning_details=[joined, sealed])


@pytest.mark.parametrize("separator", [b"\ndata: ", b"\r\ndata:"])
def test_events_that_are_not_separated_by_a_blank_line_are_read_one_by_one(read, stream, separator):
    first, second, done = stream(chunk({"content": "a"}), END).split(b"\n\n")[:3]
    joined = separator.join([first, second[6:], done[6:]])
    assert read(joined + b"\n\n") == ([TextDelta("a"), STOP], None)
    events, failure = read(separator.join([first, b'{"choices":', done[6:]]) + b"\n\n")
    assert (events, failure.kind) == ([TextDelta("a")], UpstreamKind.MALFORMED)


def test_data_after_done_is_ignored(read, stream):
    garbage = b"data: nonsense\n\n"
    assert read(stream(chunk({"content": "a"}), END) + garbage) == ([TextDelta("a"), STOP], None)
    assert read(stream(chunk({"content": "a"}), END, end=garbage)) == ([TextDelta("a"), STOP], None)


@pytest.mark.parametrize(
    ("raw", "kind", "text"),
    [
        (b"", UpstreamKind.MALFORMED, "the stream ended without an answer"),
        (b": hello\n\n", UpstreamKind.MALFORMED, "the stream ended without an answer"),
        (b"data: [DONE]\n\n", UpstreamKind.MALFORMED, "the stream ended without an answer"),
        (b'data: {"choices":[]}\n\n', UpstreamKind.MALFORMED, "the stream ended without an answer"),
        (b'data: {"choices":[{"delta":{"content":"a"}}]}\n\n', UpstreamKind.TRANSPORT, "broke off"),
        (b'data: {"choices":[{"delta":{"content":"a"}}]}\n\ndata: [DONE]\n\n', UpstreamKind.TRANSPORT, "broke off"),
        (b'data: {"choices":[{"delta":{"role":"assistant"}}]}\n\n', UpstreamKind.TRANSPORT, "broke off"),
        (b'data: {"choices":[{"delta":{"content":"a"}}]}\n\ndata: {"cho', UpstreamKind.MALFORMED, "not valid JSON"),
        (b"data: nonsense\n\n", UpstreamKind.MALFORMED, "could not be read"),
        (b"<html>502 Bad Gateway</html>\n", UpstreamKind.MALFORMED, "the stream ended without an answer"),
        (b"data: [1]\n\n", UpstreamKind.MALFORMED, "could not be read"),
        (b"data: NaN\n\n", UpstreamKind.MALFORMED, "could not be read"),
    ],
)
def test_a_truncated_or_invalid_stream_is_never_a_success(read, raw, kind, text):
    _, failure = read(raw)
    assert failure.kind is kind
    assert text in failure.message


@pytest.mark.parametrize(
    "error",
    [{"message": "overheated", "type": "overloaded_error"}, {"message": "overheated", "code": 503}],
)
def test_an_error_anywhere_in_the_stream_is_reported(read, stream, error):
    before = chunk({"content": "a"})
    with_choices = chunk({"content": ""}, finish="error", error=error)
    in_choice = {"choices": [{"delta": {}, "finish_reason": "error", "error": error}]}
    for last in ({"error": error}, with_choices, chunk(error=error), in_choice):
        events, failure = read(stream(before, last))
        assert events == [TextDelta("a")]
        assert (failure.kind, failure.message) == (UpstreamKind.OVERLOADED, "overheated")


def test_the_finish_reason_error_without_details_is_an_error(read, stream):
    _, failure = read(stream(chunk({"content": "a"}), chunk(finish="error")))
    assert failure.kind is UpstreamKind.SERVER_ERROR


@given(st.text(min_size=1, max_size=12), st.lists(st.integers(0, 24), max_size=4))
def test_a_split_surrogate_pair_is_rejoined(read, stream, text, positions):
    units = text.encode("utf-16-le")
    edges = sorted({0, len(units), *(2 * position for position in positions if 2 * position < len(units))})
    pieces = [units[a:b].decode("utf-16-le", "surrogatepass") for a, b in pairwise(edges)]
    events, failure = read(stream(*(chunk({"content": piece}) for piece in pieces), END))
    assert failure is None
    assert "".join(event.text for event in events[:-1]) == text


def test_half_a_surrogate_pair_alone_is_replaced(read, stream):
    chunks = (chunk({"content": "a\ud83d"}), chunk({"content": "b\ude00c"}), END)
    events, failure = read(stream(*chunks))
    assert failure is None
    json.dumps([event.text for event in events[:-1]], ensure_ascii=False).encode()


@pytest.mark.parametrize("number", [0, None])
def test_calls_without_an_id_are_distinguished_by_their_names_and_whole_arguments(read, stream, number):
    parts = (
        call(number, None, "f", '{"x":'),
        call(number, None, "f", "1}"),
        call(number, None, "f", "{}"),
        call(number, None, "g", "[]"),
        call(number, None, " ", " "),
    )
    events, failure = read(stream(*map(chunk, parts), chunk(finish="stop")))
    assert failure is None
    begins = [event for event in events if isinstance(event, ToolCallBegin)]
    assert [(event.index, event.name) for event in begins] == [(0, "f"), (1, "f"), (2, "g")]
    assert len({event.id for event in begins}) == 3
    assert [(event.index, event.arguments) for event in events if isinstance(event, ToolCallDelta)] == [
        *((0, '{"x":'), (0, "1}"), (1, "{}"), (2, "[]"), (2, " ")),
    ]


@pytest.mark.parametrize("id_", [None, "a"])
def test_a_name_that_comes_in_pieces_is_never_passed_on_as_a_whole_one(read, stream, id_):
    parts = call(0, "a", "get_", ""), call(0, id_, "weather", "{}")
    events, failure = read(stream(*map(chunk, parts), chunk(finish="tool_calls")))
    assert (events, failure.kind) == ([ToolCallBegin(0, "a", "get_")], UpstreamKind.MALFORMED)


def test_a_call_after_a_stop_makes_the_end_one_of_calls(read, stream):
    late = chunk(call(0, "a", "f", "{}"))
    assert read(stream(chunk({"content": "x"}), END, late))[0][-1] == Finish("tool_calls", "stop")
