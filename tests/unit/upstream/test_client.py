import asyncio
import json
import math
from contextlib import aclosing

import pytest
from aiohttp import web

from gateway.core.event import Finish, TextDelta, UsageReport
from gateway.core.message import Message, Text
from gateway.core.turn import Turn
from gateway.core.upstream_error import UpstreamError, UpstreamKind
from gateway.core.usage import Usage
from gateway.upstream.client import ProviderClient
from gateway.upstream.http import USER_AGENT, Limits
from gateway.wire.compat import ModelSpec

TURN = Turn("openclaw", (Message("user", (Text("hi"),)),))
STREAMED = Turn("openclaw", TURN.messages, stream=True)
MODEL = ModelSpec("m")
WHOLE = {"choices": [{"message": {"content": "Hello"}, "finish_reason": "stop"}], "usage": {"prompt_tokens": 1}}
STOP = Finish("stop")
LIMITS = Limits(connect=5, first_event=5, idle=5, silence=5, total=5)


def event(delta=None, finish=None):
    return b"data: " + json.dumps({"choices": [{"delta": delta or {}, "finish_reason": finish}]}).encode() + b"\n\n"


HELLO, END, DONE = event({"content": "Hello"}), event(finish="stop"), b"data: [DONE]\n\n"


@pytest.fixture
def caller(http):
    return ProviderClient(http, LIMITS)


async def whole(caller, remote, **row):
    return await caller.whole(remote.provider(**row), MODEL, TURN, math.inf)


async def streamed(caller, remote, **row):
    async with aclosing(caller.stream(remote.provider(**row), MODEL, STREAMED, math.inf)) as batches:
        return [one async for batch in batches for one in batch]


async def failure(awaitable):
    with pytest.raises(UpstreamError) as caught:
        await awaitable
    return caught.value


async def test_a_whole_answer_is_asked_for_and_read(caller, remote):
    remote.says(WHOLE)
    assert await whole(caller, remote) == [TextDelta("Hello"), STOP, UsageReport(Usage(1, 0, 1))]
    ((request, body),) = remote.asked
    assert request.path == "/v1/chat/completions"
    assert body == {"model": "m", "messages": [{"role": "user", "content": "hi"}]}


async def test_a_provider_gets_the_headers_of_its_row_and_no_others(caller, remote):
    remote.says(WHOLE, **{"Set-Cookie": "a=b"})
    for _ in range(2):
        await whole(caller, remote)
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


async def test_a_streamed_answer_is_asked_for_and_read(caller, remote):
    remote.streams(HELLO, END, DONE)
    assert await streamed(caller, remote) == [TextDelta("Hello"), STOP]
    assert remote.asked[0][1]["stream"] is True


async def test_a_server_that_does_not_stream_is_understood(caller, remote):
    remote.says(WHOLE)
    assert await streamed(caller, remote) == [TextDelta("Hello"), STOP, UsageReport(Usage(1, 0, 1))]


@pytest.mark.parametrize("ask", [whole, streamed])
@pytest.mark.parametrize(
    ("status", "kind"), [(400, UpstreamKind.INVALID_REQUEST), (401, UpstreamKind.AUTH), (503, UpstreamKind.OVERLOADED)]
)
async def test_a_refusal_is_read_even_when_it_comes_in_pieces(caller, remote, ask, status, kind):
    body = json.dumps({"error": {"message": f"no {remote.key} " + "x" * 500, "param": "messages"}}).encode()
    remote.streams(body[:20], body[20:60], body[60:], status=status, content_type="application/json")
    error = await failure(ask(caller, remote))
    assert (error.kind, error.upstream_status, error.param) == (kind, status, "messages")
    assert remote.key not in error.message
    assert error.message.endswith("x" * 500)


@pytest.mark.parametrize("ask", [whole, streamed])
async def test_a_refusal_that_is_cut_keeps_its_status(caller, remote, ask):
    async def cut(request):
        response = web.StreamResponse(status=429, headers={"Content-Length": "500", "Retry-After": "7"})
        await response.prepare(request)
        await response.write(b'{"error":')
        request.transport.abort()
        return response

    remote.answer = cut
    error = await failure(ask(caller, remote))
    assert (error.kind, error.retry_after) == (UpstreamKind.RATE_LIMITED, 7.0)


@pytest.mark.parametrize("ask", [whole, streamed])
@pytest.mark.parametrize("status", [204, 301, 304])
async def test_any_other_success_is_none(caller, remote, ask, status):
    remote.says(status=status, Location="http://127.0.0.1:9/")
    error = await failure(ask(caller, remote))
    assert error.kind is UpstreamKind.SERVER_ERROR
    assert len(remote.asked) == 1


@pytest.mark.parametrize("ask", [whole, streamed])
async def test_an_error_inside_a_200_is_told_without_the_key(caller, remote, ask):
    remote.says({"error": {"message": f"bad {remote.key}", "code": 429}})
    error = await failure(ask(caller, remote))
    assert (error.kind, error.message) == (UpstreamKind.RATE_LIMITED, "bad [redacted]")


async def test_an_answer_without_end_is_given_up(caller, remote):
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
    error = await failure(whole(caller, remote))
    assert (error.kind, error.message) == (UpstreamKind.MALFORMED, "The provider's answer is too large.")
    async with asyncio.timeout(5):
        await ended.wait()


async def test_a_stream_that_breaks_gives_what_came_before(caller, remote):
    async def cut(request):
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        await response.write(HELLO)
        await seen.wait()
        request.transport.abort()
        return response

    seen = asyncio.Event()
    remote.answer = cut
    async with aclosing(caller.stream(remote.provider(), MODEL, STREAMED, math.inf)) as batches:
        assert await anext(batches) == [TextDelta("Hello")]
        seen.set()
        error = await failure(anext(batches))
    assert error.kind is UpstreamKind.TRANSPORT


async def test_closing_a_stream_ends_the_request_at_the_provider(caller, remote):
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
    stream = caller.stream(remote.provider(), MODEL, STREAMED, math.inf)
    assert await anext(stream) == [TextDelta("Hello")]
    await stream.aclose()
    async with asyncio.timeout(5):
        await ended.wait()


@pytest.mark.parametrize("ask", [whole, streamed])
async def test_a_provider_that_is_silent_is_given_up(http, remote, ask):
    async def silence(request):
        await asyncio.Event().wait()

    remote.answer = silence
    error = await failure(
        ask(ProviderClient(http, Limits(connect=5, first_event=0.1, idle=0.1, silence=0.1, total=5)), remote)
    )
    assert error.kind is UpstreamKind.TIMEOUT


async def test_a_providers_own_limit_replaces_the_others(http, remote):
    async def silence(request):
        await asyncio.Event().wait()

    remote.answer = silence
    for ask in (whole, streamed):
        assert (await failure(ask(ProviderClient(http, LIMITS), remote, timeout=0.1))).kind is UpstreamKind.TIMEOUT


async def test_a_provider_is_made_ready_before_it_is_asked(caller, remote):
    ready = []

    async def prepare():
        ready.append(len(remote.asked))

    remote.says(WHOLE)
    await whole(caller, remote, prepare=prepare)
    assert ready == [0]
