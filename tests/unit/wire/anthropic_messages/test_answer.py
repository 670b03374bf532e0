import json
from itertools import pairwise

import pytest
from anthropic import AsyncAnthropic
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.accumulator import accumulated
from gateway.core.answer import Answer
from gateway.core.event import CitationFound, Finish, RefusalDelta, TextDelta, ThinkingEnd, UsageReport
from gateway.core.message import Foreign, Owner, Text, Thinking, ToolCall
from gateway.core.upstream_error import UpstreamError, UpstreamKind
from gateway.core.usage import Usage
from gateway.wire.anthropic_messages import WIRE
from gateway.wire.anthropic_messages.answer import StreamParser, parse_answer
from gateway.wire.model import ModelSpec
from tests.unit.wire.anthropic_messages import provider

MODEL = ModelSpec("small", provider="house")
OWNER = Owner(WIRE, "house", "small")


def named(kind, **fields):
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **fields})}\n\n".encode()


START = named("message_start", message={"usage": {"input_tokens": 5, "output_tokens": 1}})
STOP = named("message_stop")
PING = named("ping")


def begin(index, **block):
    return named("content_block_start", index=index, content_block=block)


def delta(index, kind, **fields):
    return named("content_block_delta", index=index, delta={"type": kind, **fields})


def end(index):
    return named("content_block_stop", index=index)


def reason(stop, **fields):
    return named("message_delta", delta={"stop_reason": stop, **fields}, usage={"output_tokens": 9})


TEXT = [begin(0, type="text", text=""), delta(0, "text_delta", text="Hello"), end(0)]
CALL = [begin(0, type="tool_use", id="toolu_1", name="f", input={}), end(0)]


def events(*pieces):
    parser = StreamParser(MODEL)
    batch = [event for piece in pieces for event in parser.feed(piece)]
    return batch + parser.close()


def answer(*pieces):
    return accumulated(events(*pieces))


def failure(*pieces):
    with pytest.raises(UpstreamError) as caught:
        events(*pieces)
    return caught.value


BLOCKS = st.one_of(
    st.builds(lambda text: Text(text or "x"), st.text(max_size=9)),
    st.builds(lambda text, signature: Thinking(text, signature, owner=OWNER), st.text(max_size=9), st.text(max_size=5)),
    st.builds(lambda data: Thinking(encrypted=data, owner=OWNER), st.text(max_size=9)),
    st.builds(
        lambda name, value: ToolCall("", name, json.dumps(value, ensure_ascii=False)),
        st.sampled_from("fg"),
        st.dictionaries(st.text(max_size=4), st.one_of(st.none(), st.text(max_size=4), st.integers()), max_size=3),
    ),
)


def streamed(parts):
    """The frames of an answer with these parts, in this order."""
    frames = [START]
    for index, part in enumerate(parts):
        match part:
            case Text():
                frames += [begin(index, type="text", text=""), *(delta(index, "text_delta", text=c) for c in part.text)]
            case ToolCall(_, name, arguments):
                frames.append(begin(index, type="tool_use", id=f"toolu_{index}", name=name, input={}))
                frames += [delta(index, "input_json_delta", partial_json=piece) for piece in arguments]
            case Thinking(text, signature) if signature is not None:
                frames.append(begin(index, type="thinking", thinking="", signature=""))
                frames += [delta(index, "thinking_delta", thinking=piece) for piece in text]
                frames.append(delta(index, "signature_delta", signature=signature))
            case Thinking(encrypted=data):
                frames.append(begin(index, type="redacted_thinking", data=data))
        frames += [end(index), PING]
    calls = any(isinstance(part, ToolCall) for part in parts)
    return [*frames, reason("tool_use" if calls else "end_turn"), STOP]


def merged(parts):
    """Neighbouring texts are one text; calls have the provider's ids."""
    pieces = []
    for index, part in enumerate(parts):
        if isinstance(part, Text) and pieces and isinstance(pieces[-1], Text):
            pieces[-1] = Text(pieces[-1].text + part.text)
        elif isinstance(part, ToolCall):
            pieces.append(ToolCall(f"toolu_{index}", part.name, part.arguments))
        else:
            pieces.append(part)
    return tuple(part for part in pieces)


@given(st.lists(BLOCKS, min_size=1, max_size=6), st.lists(st.integers(0, 4000), max_size=6))
def test_blocks_in_any_order_keep_it_under_any_split(parts, cuts):
    stream = b"".join(streamed(parts))
    edges = [0, *sorted(cut for cut in cuts if cut < len(stream)), len(stream)]
    result = answer(*(stream[start:stop] for start, stop in pairwise(edges)))
    assert result.parts == merged(parts)


@given(st.data())
def test_a_stream_that_is_cut_is_never_an_answer(data):
    frames = streamed((Thinking("hm", "s", owner=OWNER), Text("Hé 👋"), ToolCall("", "f", '{"a": "é"}')))
    stream = b"".join(frames)
    complete = len(stream) - len(STOP)
    cut = data.draw(st.integers(0, complete - 3))
    assert failure(stream[:cut]).kind in (UpstreamKind.TRANSPORT, UpstreamKind.MALFORMED)
    assert answer(stream[:complete]) == answer(stream)


async def test_the_makers_own_parser_reads_the_same(aiohttp_server):
    from aiohttp import web  # noqa: PLC0415

    thinking = (Thinking("hm", "c2ln", owner=OWNER), Thinking(encrypted="ZGF0YQ==", owner=OWNER))
    sent_answer = Answer(
        "Hé 👋🏽.", "tool_calls", Usage(9, 7, 16, 2, 1, 3, 1), (ToolCall("toolu_1", "f", '{"a": "é"}'),), thinking
    )

    async def handle(request):
        stream = (await request.json()).get("stream")
        body = b"".join(provider.frames(sent_answer)) if stream else provider.whole(sent_answer)
        return web.Response(
            body=body, headers={"Content-Type": provider.STREAM_TYPE if stream else provider.WHOLE_TYPE}
        )

    app = web.Application()
    app.router.add_post("/v1/messages", handle)
    url = str((await aiohttp_server(app)).make_url("/"))
    async with AsyncAnthropic(api_key="k", base_url=url, max_retries=0) as client:
        asked = {"model": "small", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}
        async with client.messages.stream(**asked) as stream:
            final = await stream.get_final_message()
        whole = await client.messages.create(**asked)
    ours = accumulated(parse_answer(provider.whole(sent_answer), MODEL))
    assert answer(*provider.frames(sent_answer)) == ours
    for message in (final, whole):
        thought, redacted, text, call = message.content
        assert (thought.thinking, thought.signature) == (ours.thinking[0].text, ours.thinking[0].signature)
        assert redacted.data == ours.thinking[1].encrypted
        assert text.text == ours.text
        assert (call.id, call.name, call.input) == ("toolu_1", "f", json.loads(ours.tool_calls[0].arguments))
        usage = message.usage
        prompt = usage.input_tokens + usage.cache_read_input_tokens + usage.cache_creation_input_tokens
        assert (prompt, usage.output_tokens) == (ours.usage.prompt, ours.usage.completion)
        assert message.stop_reason == ours.raw_finish
    assert ours.usage == sent_answer.usage


@pytest.mark.parametrize(
    ("stop", "finish", "content"),
    [
        ("end_turn", "stop", TEXT),
        ("stop_sequence", "stop", TEXT),
        ("pause_turn", "stop", TEXT),
        ("max_tokens", "length", TEXT),
        ("model_context_window_exceeded", "length", TEXT),
        ("tool_use", "tool_calls", CALL),
        ("end_turn", "tool_calls", CALL),
        ("max_tokens", "length", CALL),
        ("refusal", "content_filter", TEXT),
        ("something_new", "stop", TEXT),
    ],
)
def test_the_providers_own_reason_is_preserved(stop, finish, content):
    result = answer(START, *content, reason(stop), STOP)
    assert (result.finish, result.raw_finish) == (finish, stop)


def test_the_sequence_that_stopped_an_answer_is_named():
    assert answer(START, *TEXT, reason("stop_sequence", stop_sequence="END"), STOP).stop_sequence == "END"


def test_a_refusal_is_explained():
    details = {"type": "refusal", "category": "bio", "explanation": "I can't."}
    assert events(START, reason("refusal", stop_details=details), STOP)[:2] == [
        RefusalDelta("I can't."),
        Finish("content_filter", "refusal"),
    ]


def test_an_end_with_tool_use_needs_a_call():
    error = failure(START, *TEXT[:1], reason("tool_use"), STOP)
    assert error.kind is UpstreamKind.MALFORMED


@pytest.mark.parametrize("start", [{}, {"a": 1}, "", None])
def test_a_call_without_pieces_has_the_arguments_of_its_start(start):
    start_event = begin(0, type="tool_use", id="toolu_1", name="f", input=start)
    assert answer(START, start_event, end(0), reason("tool_use"), STOP).tool_calls[0].arguments == json.dumps(
        start or {}
    )


@pytest.mark.parametrize("ids", [("a", "a"), ("", ""), (None, None)])
def test_calls_get_ids_of_their_own(ids):
    calls = [
        piece
        for index, id_ in enumerate(ids)
        for piece in (begin(index, type="tool_use", id=id_, name="f"), end(index))
    ]
    first, second = answer(START, *calls, reason("tool_use"), STOP).tool_calls
    assert first.id != second.id


def test_half_a_character_waits_for_the_other_half():
    halves = [delta(0, "text_delta", text="\ud83d"), delta(0, "text_delta", text="\ude00!")]
    assert events(START, TEXT[0], *halves, end(0), reason("end_turn"), STOP)[0] == TextDelta("😀!")


def test_counts_are_cumulative_so_the_largest_of_each_kind_counts():
    start = named("message_start", message={"usage": {
        "input_tokens": 5, "cache_read_input_tokens": 20, "cache_creation_input_tokens": 7, "output_tokens": 3,
        "cache_creation": {"ephemeral_5m_input_tokens": 4, "ephemeral_1h_input_tokens": 3},
    }})  # fmt: skip
    usage = {
        "input_tokens": 5,
        "cache_read_input_tokens": 20,
        "output_tokens": 9,
        "output_tokens_details": {"thinking_tokens": 4},
    }
    last = named("message_delta", delta={"stop_reason": "end_turn"}, usage=usage)
    assert events(start, *TEXT, last, STOP)[-1] == UsageReport(Usage(32, 9, 41, 20, 4, 7, 3))


@pytest.mark.parametrize("usage", [None, [], {}, {"input_tokens": -1, "output_tokens": "9"}])
def test_a_provider_without_counts_reports_none(usage):
    end_ = named("message_delta", delta={"stop_reason": "end_turn"}, usage=usage)
    assert events(named("message_start", message={}), *TEXT, end_, STOP)[-1] == Finish("stop", "end_turn")


LOCATIONS = [
    (
        {"type": "web_search_result_location", "url": "https://a.example", "title": "A", "cited_text": "x"},
        "https://a.example",
        "A",
    ),
    (
        {"type": "search_result_location", "source": "https://b.example", "title": None, "cited_text": "x"},
        "https://b.example",
        None,
    ),
    ({"type": "page_location", "document_title": "a.pdf", "start_page_number": 1, "cited_text": "x"}, "", "a.pdf"),
]


@pytest.mark.parametrize(("location", "url", "title"), LOCATIONS)
def test_a_citation_covers_its_block(location, url, title):
    pieces = [
        begin(1, type="text", text="", citations=[]),
        delta(1, "text_delta", text="so it is"),
        delta(1, "citations_delta", citation=location),
        end(1),
    ]
    result = answer(START, *TEXT, *pieces, reason("end_turn"), STOP)
    (citation,) = result.citations
    assert (citation.url, citation.title, citation.start, citation.end) == (url, title, 5, 13)
    assert citation.extras.of(WIRE)["cited_text"] == "x"
    body = {"type": "message", "content": [
        {"type": "text", "text": "Hello", "citations": None},
        {"type": "text", "text": "so it is", "citations": [location, "nonsense"]},
    ], "stop_reason": "end_turn"}  # fmt: skip
    assert accumulated(parse_answer(json.dumps(body).encode(), MODEL)).citations == (citation,)


def test_an_open_block_of_reasoning_is_a_sign_of_life():
    parser = StreamParser(MODEL)
    seen = []
    for piece in (
        START,
        PING,
        begin(0, type="thinking", thinking=""),
        PING,
        delta(0, "signature_delta", signature="s"),
        end(0),
    ):
        batch = parser.feed(piece)
        seen.append(parser.thinking)
    assert seen == [False, False, True, True, True, False]
    assert batch == [ThinkingEnd(Thinking("", "s", owner=OWNER))]


def test_blocks_of_tools_that_the_provider_runs_are_parts_that_only_this_format_understands():
    own = [
        begin(0, type="server_tool_use", id="srvtoolu_1", name="web_search", input={}),
        delta(0, "input_json_delta", partial_json='{"query": "x"}'),
        end(0),
        begin(1, type="web_search_tool_result", tool_use_id="srvtoolu_1", content=[{"type": "web_search_result"}]),
        end(1),
    ]
    search = {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "x"}}
    result = {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": [{"type": "web_search_result"}]}
    parts = answer(START, *own, *TEXT, reason("end_turn"), STOP).parts
    assert parts == (Foreign(WIRE, search, ""), Foreign(WIRE, result, ""), Text("Hello"))


@pytest.mark.parametrize(
    ("frames", "finish"),
    [
        ([*TEXT, reason("end_turn")], "stop"),  # no message_start, no message_stop
        ([START, delta(0, "text_delta", text="Hello"), reason("end_turn"), STOP], "stop"),  # no block around the text
        ([START, *TEXT[:2], reason("end_turn"), STOP], "stop"),  # the block does not end
        ([START, begin(0, type="text", text="Hello"), end(0), reason("stop"), STOP], "stop"),  # text in the start
        ([START, *TEXT, reason(None), reason("end_turn"), STOP], "stop"),
        ([START, *TEXT, reason("end_turn"), b"data: [DONE]\n\n"], "stop"),
        ([START, *TEXT, reason("end_turn"), b"data: nonsense\n\n"], "stop"),
        ([START, *TEXT, reason("end_turn"), named("error", error={"type": "api_error"})], "stop"),
        ([START.replace(b"\n", b"\r\n"), *TEXT, reason("end_turn"), STOP], "stop"),
        ([named("something_new"), START, *TEXT, reason("end_turn"), STOP], "stop"),
    ],
)
def test_what_compatible_servers_leave_out_is_not_needed(frames, finish):
    result = answer(*frames)
    assert (result.text, result.finish) == ("Hello", finish)


@pytest.mark.parametrize(
    "frames",
    [
        [b"data: nonsense\n\n"],
        [b'data: {"type": 5}\n\n'],
        [START, begin(0, type="tool_use", id="a")],
        [START, begin(0, type="thinking"), delta(0, "text_delta", text="x")],
        [START, *TEXT[:2], delta(0, "input_json_delta", partial_json="{")],
        [START, *TEXT, STOP],
        [],
        [PING, PING],
    ],
)
def test_what_can_not_be_read_is_no_answer(frames):
    assert failure(b"".join(frames)).kind is UpstreamKind.MALFORMED


def test_an_error_in_the_stream_comes_after_what_was_sent_before_it():
    error = named("error", error={"type": "overloaded_error", "message": "Overloaded"})
    parser = StreamParser(MODEL)
    assert parser.feed(b"".join([START, *TEXT[:2], error])) == [TextDelta("Hello")]
    with pytest.raises(UpstreamError) as caught:
        parser.close()
    assert (caught.value.kind, caught.value.message) == (UpstreamKind.OVERLOADED, "Overloaded")
    assert failure(START, error).kind is UpstreamKind.OVERLOADED


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ({"type": "error", "error": {"type": "api_error", "message": "x"}}, UpstreamKind.SERVER_ERROR),
        ({"type": "message", "stop_reason": "end_turn"}, UpstreamKind.MALFORMED),
        ({"type": "message", "content": [], "stop_reason": None}, UpstreamKind.MALFORMED),
        ({"type": "message", "content": [{"type": "text"}], "stop_reason": "end_turn"}, UpstreamKind.MALFORMED),
        (
            {"type": "message", "content": [{"type": "text", "text": "x"}], "stop_reason": "tool_use"},
            UpstreamKind.MALFORMED,
        ),
        ("nonsense", UpstreamKind.MALFORMED),
    ],
)
def test_a_whole_answer_that_is_none_is_an_error(body, kind):
    with pytest.raises(UpstreamError) as caught:
        parse_answer(json.dumps(body).encode(), MODEL)
    assert caught.value.kind is kind


def test_a_citation_without_form_is_passed_over():
    assert not [
        one
        for one in events(START, *TEXT[:2], delta(0, "citations_delta", citation=5), end(0), reason("end_turn"), STOP)
        if isinstance(one, CitationFound)
    ]
