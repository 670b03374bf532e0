import asyncio

import aiohttp
import pytest
from aiohttp import web
from structlog.testing import capture_logs

from gateway.core.errors import Unavailable
from gateway.http.answers.event_stream import EventStream
from gateway.http.chain import chained
from gateway.http.keys import DRAIN
from gateway.http.response_headers import RESPONSE_HEADERS, ResponseHeaders
from gateway.http.routes import Route
from gateway.http.server.drain import Drain

NEVER = 60.0  # seconds, longer than any test takes
SOON = 0.02


@pytest.fixture
async def answer(aiohttp_client):
    """Send a request to an app whose handler runs the test's `work` on its stream; the response's body is unread."""

    async def ask(work, *, opening=NEVER, heartbeat=NEVER, ping=None):
        async def handler(request):
            async with EventStream(request, headers=lambda **_: {"x-run": "running"}, **limits) as stream:
                await work(stream)
            return stream

        limits = {"opening": opening, "heartbeat": heartbeat, "ping": ping}
        app = web.Application()
        app[DRAIN] = Drain()
        app[RESPONSE_HEADERS] = ResponseHeaders(app[DRAIN])
        app.router.add_post("/", chained(Route(("POST",), ("/",), handler, None, public=True)))
        client = await aiohttp_client(app)
        return await client.post("/")

    return ask


async def test_frames_are_written_unchanged(answer):
    async def work(stream):
        await stream.relay(b"data: 1\n\n")
        await stream.relay(b"data: 2\n\ndata: 3\n\n")
        await stream.finish(b"data: [DONE]\n\n")

    response = await answer(work)
    assert await response.read() == b"data: 1\n\ndata: 2\n\ndata: 3\n\ndata: [DONE]\n\n"


async def test_the_response_has_the_headers_of_a_stream_and_of_the_run(answer):
    async def work(stream):
        await stream.finish(b"data: [DONE]\n\n")

    headers = (await answer(work)).headers
    assert headers["Content-Type"] == "text/event-stream; charset=utf-8"
    assert headers["Cache-Control"] == "no-cache"
    assert headers["X-Accel-Buffering"] == "no"
    assert headers["x-run"] == "running"
    assert "Content-Length" not in headers


async def test_a_clients_own_heartbeat_opens_a_silent_stream_and_is_repeated(answer):
    go_on = asyncio.Event()

    async def work(stream):
        await go_on.wait()
        await stream.finish(b"data: 1\n\n")

    ping = b"event: ping\ndata: {}\n\n"
    response = await answer(work, opening=SOON, heartbeat=SOON, ping=ping)
    assert [await response.content.readexactly(len(ping)) for _ in range(3)] == [ping] * 3
    go_on.set()
    assert (await response.read()).replace(ping, b"") == b"data: 1\n\n"


async def test_a_heartbeat_opens_a_silent_stream(answer):
    go_on = asyncio.Event()

    async def work(stream):
        assert not stream.is_open
        await go_on.wait()
        assert stream.is_open
        await stream.relay(b"data: 1\n\n")
        await stream.finish(b"")

    response = await answer(work, opening=SOON)  # returns when the headers have arrived
    assert response.status == 200
    assert await response.content.readuntil(b"\n\n") == b": waiting for the model\n\n"
    go_on.set()
    assert await response.read() == b"data: 1\n\n"


async def test_an_idle_stream_sends_heartbeats_between_frames(answer):
    go_on = asyncio.Event()

    async def work(stream):
        await stream.relay(b"data: 1\n\n")
        await go_on.wait()
        await stream.finish(b"data: 2\n\n")

    response = await answer(work, heartbeat=SOON)
    assert await response.content.readuntil(b"\n\n") == b"data: 1\n\n"
    for _ in range(3):
        assert (await response.content.readuntil(b"\n\n")).startswith(b": ")
    go_on.set()
    assert (await response.read()).endswith(b"data: 2\n\n")


async def test_a_failure_before_the_first_frame_keeps_its_status(answer):
    async def work(stream):
        raise Unavailable("not now")

    response = await answer(work)
    assert response.status == 503
    assert (await response.json())["error"]["message"] == "not now"
    assert response.headers["Content-Type"] == "application/json; charset=utf-8"


async def test_a_failure_in_an_open_stream_cannot_change_the_status(answer):
    go_on = asyncio.Event()

    async def work(stream):
        await go_on.wait()
        assert stream.is_open
        await stream.finish(b'data: {"error":1}\n\n')

    response = await answer(work, opening=SOON)
    go_on.set()
    assert response.status == 200
    assert await response.read() == b': waiting for the model\n\ndata: {"error":1}\n\n'


async def test_the_first_frame_waits_for_a_heartbeat_that_is_opening_the_stream(answer):
    async def work(stream):
        stream._open_early()
        await stream.relay(b"data: 1\n\n")
        await stream.finish(b"")

    response = await answer(work)
    assert await response.read() == b": waiting for the model\n\ndata: 1\n\n"


async def test_a_large_burst_arrives_whole(answer):
    burst = b"".join(b"data: %d\n\n" % number for number in range(50_000))

    async def work(stream):
        await stream.relay(burst)
        await stream.finish(b"data: [DONE]\n\n")

    assert await (await answer(work)).read() == burst + b"data: [DONE]\n\n"


@pytest.mark.parametrize("error", [RuntimeError("a bug"), Unavailable("away")])
async def test_an_unexpected_error_aborts_an_open_stream_without_writing_to_it(answer, error):
    go_on = asyncio.Event()

    async def work(stream):
        await stream.relay(b"data: 1\n\n")
        await go_on.wait()
        raise error

    response = await answer(work)
    assert await response.content.readuntil(b"\n\n") == b"data: 1\n\n"
    go_on.set()
    with pytest.raises(aiohttp.ClientPayloadError) as caught:
        await response.read()
    assert "HTTP/1.1" not in str(caught.value)
    assert "HTTP/1.1" not in repr(caught.value.__cause__)


async def test_a_mistake_of_ours_in_an_open_stream_is_logged_and_breaks_the_connection(answer):
    async def work(stream):
        await stream.relay(b"data: 1\n\n")
        raise KeyError("a mistake")

    with capture_logs() as logs:
        response = await answer(work)
        with pytest.raises(aiohttp.ClientPayloadError):
            await response.read()
    assert [(line["event"], str(line["exc_info"])) for line in logs] == [("Request failed", "'a mistake'")]


async def test_a_client_that_leaves_between_two_writes_is_no_error(answer):
    async def work(stream):
        await stream.relay(b"data: 1\n\n")
        stream._request.transport.abort()
        await stream.relay(b"data: 2\n\n")

    with capture_logs() as logs:
        response = await answer(work)
        with pytest.raises(aiohttp.ClientError):
            await response.read()
    assert [(line["log_level"], line["event"]) for line in logs] == [("debug", "The client disconnected")]
