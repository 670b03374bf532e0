import asyncio
import json
import math
import re
import threading

import pytest
from aiohttp import web

from gateway.core.event import Finish, TextDelta, UsageReport
from gateway.core.message import Message, Text
from gateway.core.turn import Options, Turn
from gateway.core.upstream_error import UpstreamError, UpstreamKind
from gateway.core.usage import Usage
from gateway.upstream.client import ProviderClient
from gateway.upstream.http import USER_AGENT, Limits, Timeouts
from gateway.wire.model import ModelSpec
from gateway.wire.openai_chat.upstream import OpenAIChat

TURN = Turn("openclaw", (Message("user", (Text("hi"),)),))
STREAMED = Turn("openclaw", TURN.messages, stream=True)
MODEL = ModelSpec("m")
WHOLE = {"choices": [{"message": {"content": "Hello"}, "finish_reason": "stop"}], "usage": {"prompt_tokens": 1}}
STOP = Finish("stop")
WAIT = Timeouts(5, 5, 5, 5)
LIMITS = Limits(connect=5, total=5, fallback=WAIT, last=WAIT)


def event(delta=None, finish=None):
    return b"data: " + json.dumps({"choices": [{"delta": delta or {}, "finish_reason": finish}]}).encode() + b"\n\n"


HELLO, END, DONE = event({"content": "Hello"}), event(finish="stop"), b"data: [DONE]\n\n"


@pytest.fixture
def client(http):
    return ProviderClient(http, LIMITS)


def ask(client, remote, turn=STREAMED, wait=WAIT, *, end=math.inf, model=MODEL, **row):
    return client.ask(remote.provider(**row), model, turn, wait, end=end)


async def read(answer):
    events = []
    try:
        while batch := await answer.read():
            events += batch
        assert answer.over
        return events
    finally:
        answer.end()


async def whole(client, remote, wait=WAIT, **options):
    return await read(ask(client, remote, TURN, wait, **options))


async def streamed(client, remote, wait=WAIT, **options):
    return await read(ask(client, remote, STREAMED, wait, **options))


async def failure(awaitable):
    with pytest.raises(UpstreamError) as caught:
        await awaitable
    return caught.value


async def test_a_whole_answer_is_requested_and_decoded(client, remote):
    remote.says(WHOLE)
    assert await whole(client, remote) == [TextDelta("Hello"), STOP, UsageReport(Usage(1, 0, 1))]
    ((request, body),) = remote.asked
    assert request.path == "/v1/chat/completions"
    assert body == {"model": "m", "messages": [{"role": "user", "content": "hi"}]}


async def test_a_provider_gets_the_headers_of_its_row_and_no_others(client, remote):
    remote.says(WHOLE, **{"Set-Cookie": "a=b"})
    for _ in range(2):
        await whole(client, remote)
    headers = dict(remote.asked[-1][0].headers)
    assert headers.pop("Host")
    assert headers.pop("Content-Length")
    assert headers == {
        "Accept": "*/*",
        "Accept-Encoding": "identity",
        "Authorization": f"Bearer {remote.key}",
        "Content-Type": "application/json",
        "User-Agent": USER_AGENT,
    }


async def test_a_streamed_answer_is_requested_and_decoded(client, remote):
    remote.streams(HELLO, END, DONE)
    assert await streamed(client, remote) == [TextDelta("Hello"), STOP]
    assert remote.asked[0][1]["stream"] is True


async def test_a_json_answer_to_a_stream_request_is_decoded(client, remote):
    remote.says(WHOLE)
    assert await streamed(client, remote) == [TextDelta("Hello"), STOP, UsageReport(Usage(1, 0, 1))]


@pytest.mark.parametrize("asked", [whole, streamed])
@pytest.mark.parametrize(
    ("status", "kind"), [(400, UpstreamKind.INVALID_REQUEST), (401, UpstreamKind.AUTH), (503, UpstreamKind.OVERLOADED)]
)
async def test_an_error_body_is_read_in_pieces(client, remote, asked, status, kind):
    body = json.dumps({"error": {"message": f"no {remote.key} " + "x" * 500, "param": "messages"}}).encode()
    remote.streams(body[:20], body[20:60], body[60:], status=status, content_type="application/json")
    error = await failure(asked(client, remote))
    assert (error.kind, error.upstream_status, error.param) == (kind, status, "messages")
    assert remote.key not in error.message
    assert error.message.endswith("x" * 500)


@pytest.mark.parametrize("asked", [whole, streamed])
async def test_a_truncated_error_body_keeps_its_status(client, remote, asked):
    async def cut(request):
        response = web.StreamResponse(status=429, headers={"Content-Length": "500", "Retry-After": "7"})
        await response.prepare(request)
        await response.write(b'{"error":')
        request.transport.abort()
        return response

    remote.answer = cut
    error = await failure(asked(client, remote))
    assert (error.kind, error.retry_after) == (UpstreamKind.RATE_LIMITED, 7.0)


@pytest.mark.parametrize("asked", [whole, streamed])
@pytest.mark.parametrize("status", [204, 301, 304])
async def test_any_other_2xx_status_is_an_error(client, remote, asked, status):
    remote.says(status=status, Location="http://127.0.0.1:9/")
    error = await failure(asked(client, remote))
    assert error.kind is UpstreamKind.UNUSABLE
    assert "which is no answer" in error.message
    assert len(remote.asked) == 1


@pytest.mark.parametrize("asked", [whole, streamed])
async def test_an_error_inside_a_200_is_reported_without_the_key(client, remote, asked):
    remote.says({"error": {"message": f"bad {remote.key}", "code": 429}})
    error = await failure(asked(client, remote))
    assert (error.kind, error.message) == (UpstreamKind.RATE_LIMITED, f"{named(remote)} failed: bad [redacted]")


async def test_an_answer_that_exceeds_the_size_limit_is_abandoned(client, remote):
    async def flood(request):
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        try:
            while True:
                await response.write(b" " * 2**20)
        finally:
            ended.set()

    ended = asyncio.Event()
    remote.answer = flood
    error = await failure(whole(client, remote))
    assert (error.kind, error.message) == (UpstreamKind.MALFORMED, f"{named(remote)}: its answer is too large.")
    async with asyncio.timeout(30):
        await ended.wait()


async def test_a_broken_stream_gives_its_earlier_events(client, remote):
    async def cut(request):
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        await response.write(HELLO)
        await seen.wait()
        request.transport.abort()
        return response

    seen = asyncio.Event()
    remote.answer = cut
    answer = ask(client, remote)
    assert await answer.read() == [TextDelta("Hello")]
    seen.set()
    error = await failure(answer.read())
    answer.end()
    assert error.kind is UpstreamKind.TRANSPORT


async def test_ending_a_stream_aborts_the_request_at_the_provider(client, remote):
    ended = asyncio.Event()

    async def forever(request):
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        await response.write(HELLO)
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    remote.answer = forever
    answer = ask(client, remote)
    assert await answer.read() == [TextDelta("Hello")]
    answer.end()
    async with asyncio.timeout(30):
        await ended.wait()


def named(remote):
    return f"The provider 'acme' ({remote.url.removeprefix('http://').removesuffix('/v1')})"


@pytest.fixture
def silent(remote):
    """The provider sends these pieces and then stays silent, or closes the connection after `pause` seconds."""

    def says(*pieces, pause=None):
        async def answer(request):
            response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
            await response.prepare(request)
            for piece in pieces:
                await response.write(piece)
            await asyncio.sleep(60.0 if pause is None else pause)
            request.transport.abort()
            return response

        remote.answer = answer

    return says


QUICK = Timeouts(first_event=0.1, idle=0.2, thinking=0.4, whole=0.15)


@pytest.mark.parametrize(
    ("asked", "text"), [(whole, "sent no answer within 0.15 s."), (streamed, "sent no first event within 0.1 s.")]
)
async def test_a_silent_provider_times_out(client, remote, silent, asked, text):
    silent()
    error = await failure(asked(client, remote, QUICK))
    assert (error.kind, error.message) == (UpstreamKind.TIMEOUT, f"{named(remote)} {text}")


async def test_silence_in_the_middle_of_an_answer_is_a_stall(client, remote, silent):
    silent(HELLO)
    error = await failure(streamed(client, remote, QUICK))
    text = "stopped in the middle of its answer and was silent for 0.2 s."
    assert (error.kind, error.message) == (UpstreamKind.STALL, f"{named(remote)} {text}")


@pytest.mark.parametrize("pieces", [(), (HELLO,)])
async def test_the_time_limit_of_the_run_is_reported_as_total_timeout(client, remote, silent, pieces):
    silent(*pieces)
    end = asyncio.get_running_loop().time() + 0.1
    error = await failure(streamed(client, remote, end=end))
    assert error.kind is UpstreamKind.TOTAL_TIMEOUT
    assert error.message == f"{named(remote)} did not complete its answer before the time limit of the whole run."


@pytest.mark.parametrize("pieces", [[b": wait\n\n"], [event({"role": "assistant"})], [event({"content": ""})]])
async def test_pings_comments_and_empty_deltas_do_not_extend_the_timeout(client, remote, silent, pieces):
    silent(*pieces)
    error = await failure(streamed(client, remote, QUICK))
    assert "no first event within 0.1 s" in error.message


THINKING = [
    {"model": ModelSpec("m", reasoning=True)},
    {"model": ModelSpec("m", params={"reasoning_effort": "high"})},
    {"local": True},
]


@pytest.mark.parametrize("options", THINKING, ids=["reasoning", "effort of the model", "local"])
async def test_a_reasoning_or_local_model_has_more_time_for_its_first_event(client, remote, silent, options):
    silent()
    error = await failure(streamed(client, remote, QUICK, **options))
    assert "no first event within 0.4 s" in error.message
    error = await failure(whole(client, remote, QUICK, **options))
    assert "no answer within 0.4 s" in error.message


@pytest.mark.parametrize(("effort", "wait"), [("low", "0.4"), ("none", "0.1"), (None, "0.1")])
async def test_a_requested_effort_extends_the_first_timeout(client, remote, silent, effort, wait):
    silent()
    turn = Turn("openclaw", TURN.messages, stream=True, options=Options(effort=effort))
    error = await failure(read(ask(client, remote, turn, QUICK)))
    assert f"no first event within {wait} s" in error.message


async def test_reasoning_extends_the_timeout_and_text_does_not(client, remote, silent):
    silent(event({"reasoning_content": "hm"}))
    assert "silent for 0.4 s" in (await failure(streamed(client, remote, QUICK))).message
    silent(event({"reasoning_content": "hm"}), HELLO)
    assert "silent for 0.2 s" in (await failure(streamed(client, remote, QUICK))).message


def named_event(kind, **fields):
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **fields})}\n\n".encode()


BEGUN, PING = named_event("message_start", message={"usage": {"input_tokens": 3}}), named_event("ping")
THINKS = named_event("content_block_start", index=0, content_block={"type": "thinking", "thinking": ""})
SIGNED = named_event("content_block_delta", index=0, delta={"type": "signature_delta", "signature": "c2ln"})
ANSWERED = [
    SIGNED,
    named_event("content_block_stop", index=0),
    named_event("content_block_start", index=1, content_block={"type": "text", "text": ""}),
    named_event("content_block_delta", index=1, delta={"type": "text_delta", "text": "Hello"}),
    named_event("content_block_stop", index=1),
    named_event("message_delta", delta={"stop_reason": "end_turn"}, usage={"output_tokens": 9}),
    named_event("message_stop"),
]


async def ping_pause():
    await asyncio.sleep(0.04)


async def test_reasoning_that_is_not_shown_may_take_as_long_as_reasoning_that_is(client, remote):
    remote.streams(BEGUN, THINKS, *(piece for _ in range(6) for piece in (PING, ping_pause)), *ANSWERED)
    _, text, *_ = await streamed(client, remote, QUICK, wire="anthropic-messages")
    assert text == TextDelta("Hello")


@pytest.mark.parametrize(
    ("started", "wait"), [((BEGUN,), "0.1"), ((BEGUN, THINKS), "0.4")], ids=["silent", "reasoning"]
)
async def test_a_minute_of_pings_alone_is_no_answer(client, remote, started, wait):
    remote.streams(*started, *(piece for _ in range(20) for piece in (PING, ping_pause)))
    error = await failure(streamed(client, remote, QUICK, wire="anthropic-messages"))
    assert error.kind is UpstreamKind.TIMEOUT
    assert f"no first event within {wait} s" in error.message


@pytest.mark.parametrize("pieces", [(), (HELLO,)])
async def test_a_connection_that_breaks_after_a_long_silence_is_a_stall(http, remote, silent, pieces):
    client = ProviderClient(http, Limits(last=WAIT, stall_after=0.1))
    silent(*pieces, pause=0.15)
    error = await failure(streamed(client, remote))
    assert error.kind is UpstreamKind.STALL
    silence = re.search(r"broke off its answer after ([0-9.]+) s of silence\.$", error.message)
    assert float(silence[1]) >= 0.1
    silent(*pieces, pause=0.0)
    assert (await failure(streamed(client, remote))).kind is UpstreamKind.TRANSPORT


async def test_a_slow_client_does_not_count_as_silence_of_the_provider(http, remote, silent):
    client = ProviderClient(http, Limits(last=WAIT, stall_after=0.2))
    silent(HELLO, pause=0.0)
    answer = ask(client, remote)
    await answer.read()
    await asyncio.sleep(0.3)
    assert (await failure(answer.read())).kind is UpstreamKind.TRANSPORT
    answer.end()


async def test_a_providers_own_timeout_replaces_the_others(client, remote, silent):
    silent()
    for asked in (whole, streamed):
        for options in ({}, *THINKING):
            error = await failure(asked(client, remote, timeout=0.1, **options))
            assert error.kind is UpstreamKind.TIMEOUT


async def test_a_client_disconnect_is_not_reported_as_a_timeout(client, remote, silent):
    silent(HELLO)
    task = asyncio.create_task(streamed(client, remote, QUICK))
    while not remote.asked:
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_prepare_is_awaited_before_the_request(client, remote):
    ready = []

    async def prepare():
        ready.append(len(remote.asked))

    remote.says(WHOLE)
    await whole(client, remote, prepare=prepare)
    assert ready == [0]


async def test_a_server_that_streams_unasked_is_understood(client, remote):
    remote.streams(HELLO, END, DONE)
    assert await whole(client, remote) == [TextDelta("Hello"), STOP]


@pytest.mark.parametrize("asked", [whole, streamed])
@pytest.mark.parametrize("content_type", ["application/json", "text/plain", "application/octet-stream"])
async def test_a_stream_of_another_media_type_is_read(client, remote, asked, content_type):
    remote.streams(HELLO, END, DONE, content_type=content_type)
    assert await asked(client, remote) == [TextDelta("Hello"), STOP]


@pytest.mark.parametrize("asked", [whole, streamed])
async def test_a_body_whose_media_type_is_that_of_a_stream_is_read(client, remote, asked):
    remote.says(WHOLE, content_type="text/event-stream")
    assert await asked(client, remote) == [TextDelta("Hello"), STOP, UsageReport(Usage(1, 0, 1))]


@pytest.mark.parametrize("asked", [whole, streamed])
async def test_an_error_body_that_is_announced_as_a_stream_keeps_its_reason(client, remote, asked):
    remote.says({"error": {"message": "no credit", "code": "insufficient_quota"}}, content_type="text/event-stream")
    error = await failure(asked(client, remote))
    assert (error.kind, error.code) == (UpstreamKind.BILLING, "insufficient_quota")
    assert error.message.endswith("no credit")


CHECK = "Check models.providers.acme.baseUrl."


async def test_a_page_in_place_of_an_answer_is_named(client, remote):
    remote.says(b"<html><title>Sign in</title></html>", content_type="text/html")
    error = await failure(whole(client, remote))
    assert error.kind is UpstreamKind.MALFORMED
    assert error.message.endswith(f"not valid JSON at line 1, column 1: Sign in; its type is 'text/html'. {CHECK}")
    assert "Sign in" in error.log_message
    error = await failure(streamed(client, remote))
    assert error.message.endswith(f"the stream ended without an answer; its type is 'text/html'. {CHECK}")


async def test_a_text_in_place_of_an_event_is_quoted_for_the_client_but_not_in_a_log(client, remote):
    remote.streams(b"event: error\ndata: the upstream died\n\n")
    error = await failure(streamed(client, remote))
    assert error.message.endswith("not valid JSON at line 1, column 1: the upstream died")
    assert error.log_message.endswith("not valid JSON at line 1, column 1.")


def finished(text):
    return event({"content": text}, "stop")


def stops_with_pause(pause, *after):
    """A provider that says `stop` in every chunk and pauses before the rest of its answer; None for no end at all."""

    async def answer(request):
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        await response.write(finished("Hel"))
        await response.write(finished("lo"))
        await asyncio.sleep(pause)
        for one in after:
            await response.write(one)
        if not after:
            await asyncio.sleep(60)
        return response

    return answer


@pytest.fixture
def _no_usage_wait(monkeypatch):
    monkeypatch.setattr("gateway.upstream.client._USAGE_WAIT", 0.01)


@pytest.mark.usefixtures("_no_usage_wait")
class TestAStopInEveryChunk:
    async def test_text_after_a_pause_is_not_cut(self, client, remote):
        remote.answer = stops_with_pause(0.1, finished(" there"), DONE)
        assert await streamed(client, remote) == [*map(TextDelta, ("Hel", "lo", " there")), STOP]

    async def test_silence_is_a_stall_and_no_success(self, client, remote):
        remote.answer = stops_with_pause(0.1)
        error = await failure(streamed(client, remote, Timeouts(5.0, 0.2, 5.0, 5.0)))
        assert error.kind is UpstreamKind.STALL

    async def test_a_finish_reason_by_itself_still_ends_an_answer_that_stays_open(self, client, remote):
        async def open_end(request):
            response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
            await response.prepare(request)
            await response.write(HELLO + END)
            await asyncio.sleep(60)
            return response

        remote.answer = open_end
        assert await streamed(client, remote) == [TextDelta("Hello"), STOP]

    async def test_one_finish_reason_beside_text_ends_it_after_the_limit_of_any_silence(self, client, remote):
        async def open_end(request):
            response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
            await response.prepare(request)
            await response.write(finished("Hello"))
            await asyncio.sleep(60)
            return response

        remote.answer = open_end
        assert await streamed(client, remote, Timeouts(5.0, 0.2, 5.0, 5.0)) == [TextDelta("Hello"), STOP]


@pytest.mark.parametrize(
    ("messages", "beside"),
    [
        (TURN.messages, False),
        (TURN.messages * 600, True),
        ((Message("user", (Text("hi"),) * 600, content_is_array=True),), True),
    ],
    ids=["small", "many messages", "many parts"],
)
async def test_a_large_turn_is_encoded_beside_the_event_loop(client, remote, monkeypatch, messages, beside):
    """For 32,000 items it takes a tenth of a second, in which nobody else would be served."""
    threads = []
    request = OpenAIChat.request

    def recorded(self, turn, model):
        threads.append(threading.current_thread() is not threading.main_thread())
        return request(self, turn, model)

    monkeypatch.setattr(OpenAIChat, "request", recorded)
    remote.says(WHOLE)
    await read(ask(client, remote, Turn("openclaw", messages)))
    assert threads == [beside]
    assert len(remote.asked[0][1]["messages"]) == len(messages)
