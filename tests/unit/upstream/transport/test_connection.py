import asyncio
import gc
import gzip
import socket
import struct
import weakref

import pytest

from gateway.upstream.http import Client
from gateway.upstream.transport.endpoint import endpoint
from gateway.upstream.transport.errors import BodyBroken, Disconnected, NotHTTP, StaleConnection

OK = b"HTTP/1.1 200 OK\r\n"
HELLO = OK + b"Content-Length: 5\r\n\r\nhello"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
LARGE = b"".join(bytes([number % 251]) * 4096 for number in range(2000))
STORED = gzip.compress(LARGE, 0, mtime=0)


def framed(*pieces):
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)


def then_closed(data):
    async def answer(writer):
        writer.write(data)
        writer.close()

    return answer


def then_reset(data):
    async def answer(writer):
        writer.write(data)
        await writer.drain()
        reset = struct.pack("ii", 1, 0)
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset)
        writer.transport.abort()

    return answer


def without_end(head, piece):
    """Sends until the other side closes."""

    async def answer(writer):
        writer.write(head)
        while True:
            writer.write(piece)
            await writer.drain()

    return answer


async def test_a_request_is_sent_as_it_was_given(ask, wire, whole):
    wire.answers = [HELLO]
    response = await ask(b'{"a":1}', X_Key="k")
    assert (response.status, response.headers) == (200, {"content-length": "5"})
    assert await whole(response) == b"hello"
    ((head, body),) = wire.asked
    assert head.startswith(b"POST /v1 HTTP/1.1\r\nHost: 127.0.0.1:")
    assert head.endswith(b"X-Key: k\r\nContent-Length: 7\r\n\r\n")
    assert body == b'{"a":1}'


@pytest.mark.parametrize(
    "answer",
    [
        HELLO,
        CHUNKED + framed(b"he", b"llo") + b"0\r\n\r\n",
        CHUNKED + b"5;a=b\r\nhello\r\n0\r\nTrailer: x\r\n\r\n",
        b"HTTP/1.1 103 Early Hints\r\nLink: <x>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n" + HELLO,
        b"HTTP/1.1 200\r\ncontent-length:5\r\n\r\nhello",
    ],
)
async def test_an_answer_is_understood_however_its_bytes_arrive(ask, wire, whole, answer):
    async def split(writer):
        writer.write(answer[:at])
        await writer.drain()
        for _ in range(3):
            await asyncio.sleep(0)
        writer.write(answer[at:])

    wire.answers = [split]
    for cut in range(len(answer)):
        at = cut
        response = await ask()
        assert (response.status, await whole(response)) == (200, b"hello")
        assert "link" not in response.headers, "it was an announcement's"
    assert wire.connections == 1


@pytest.mark.parametrize(
    "answer",
    [
        CHUNKED + framed(LARGE[:100_000], LARGE[100_000:]) + b"0\r\n\r\n",
        OK + b"Content-Length: %d\r\n\r\n%b" % (len(LARGE), LARGE),
        OK + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n%b" % (len(STORED), STORED),
    ],
)
async def test_a_large_answer_waits_for_its_reader_and_its_connection_is_used_again(ask, wire, whole, answer):
    sent = asyncio.Event()

    async def slowly(writer):
        writer.write(answer)
        await writer.drain()
        sent.set()

    wire.answers = [slowly, HELLO]
    response = await ask()
    for _ in range(200):
        await asyncio.sleep(0)
    assert not sent.is_set(), "the server had to wait"
    assert await whole(response) == LARGE
    assert await whole(await ask()) == b"hello"
    assert wire.connections == 1


@pytest.mark.parametrize(
    ("answer", "body"),
    [
        (b"HTTP/1.0 200 OK\r\n\r\nhello", b"hello"),
        (OK + b"\r\nhello", b"hello"),
        (OK + b"Connection: close\r\nContent-Length: 5\r\n\r\nhello", b"hello"),
        (HELLO + b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil", b"hello"),
        (HELLO + b"nonsense", b"hello"),
    ],
)
async def test_a_connection_that_ends_or_sends_extra_data_is_not_reused(ask, wire, whole, answer, body):
    wire.answers = [then_closed(answer), HELLO]
    assert await whole(await ask()) == body
    assert await whole(await ask()) == b"hello"
    assert wire.connections == 2


async def test_data_without_a_request_is_no_response(ask, wire, whole):
    async def twice(writer):
        writer.write(HELLO)
        await seen.wait()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")

    seen = asyncio.Event()
    wire.answers = [twice, HELLO]
    assert await whole(await ask()) == b"hello"
    seen.set()
    await wire.until(lambda: wire.open == 0)
    assert await whole(await ask()) == b"hello"
    assert wire.connections == 2


@pytest.mark.parametrize(
    "answer",
    [
        then_closed(OK + b"Content-Length: 50\r\n\r\nhello"),
        then_closed(CHUNKED + framed(b"hello")),
        then_closed(CHUNKED + framed(b"hello") + b"zz\r\n"),
        then_reset(CHUNKED + framed(b"hello")),
        then_closed(OK + b"Content-Encoding: gzip\r\n\r\n" + gzip.compress(b"hello", mtime=0)[:-4]),
    ],
)
async def test_data_before_a_broken_body_is_read_first(ask, wire, answer):
    wire.answers = [answer]
    response = await ask()
    assert await response.read() == b"hello"
    with pytest.raises(BodyBroken):
        await response.read()
    with pytest.raises(BodyBroken):
        await response.read()
    response.end()


@pytest.mark.parametrize(
    "answer",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
        b"HTTP/2 200\r\n\r\n",
        b"HTTP/1.1 999999 OK\r\n\r\n",
        b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
        OK + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\nhello",
        OK + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        OK + b"Content-Length: -5\r\n\r\nhello",
        without_end(OK, b"X-Filler: x\r\n"),
        without_end(OK + b"X-Filler: ", b"x" * 1000),
        without_end(b"", b"HTTP/1.1 103 Early\r\n\r\n"),
    ],
)
async def test_a_response_that_is_not_http_closes_its_connection(ask, wire, answer):
    wire.answers = [answer]
    with pytest.raises(NotHTTP):
        async with asyncio.timeout(30):
            await ask()
    await wire.until(lambda: wire.open == 0)


@pytest.mark.parametrize("piece", [b"X-Trailer: x\r\n", b"x" * 1000])
async def test_endless_trailers_are_refused(ask, wire, piece):
    wire.answers = [without_end(CHUNKED + framed(b"hello") + b"0\r\nA: ", piece)]
    response = await ask()
    assert await response.read() == b"hello"
    with pytest.raises((NotHTTP, BodyBroken)):
        await response.read()
    response.end()


@pytest.mark.parametrize(("answer", "untouched"), [(b"", True), (b"HTTP/1.1 2", False), (OK + b"A: b", False)])
async def test_a_connection_that_ends_before_the_head_does(ask, wire, answer, untouched):
    wire.answers = [then_closed(answer)]
    with pytest.raises(Disconnected) as caught:
        await ask()
    assert caught.value.untouched is untouched
    assert len(wire.asked) == 1, "a new connection's end is not to be mended"


TIMED_OUT = b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"


@pytest.mark.parametrize("end", [then_closed(b""), then_reset(b""), then_closed(TIMED_OUT)])
async def test_a_kept_connection_that_ends_as_it_is_used_is_stale_and_nothing_is_sent_twice(ask, wire, whole, end):
    wire.answers = [HELLO, end, HELLO]
    assert await whole(await ask(b"1")) == b"hello"
    with pytest.raises(StaleConnection):
        await ask(b"2")
    assert await whole(await ask(b"2")) == b"hello"
    assert [body for _, body in wire.asked] == [b"1", b"2", b"2"]
    await wire.until(lambda: wire.open == 1)


async def test_a_fresh_connection_is_made_where_one_is_wanted(client, wire, whole):
    wire.answers = [HELLO]
    target = endpoint(wire.url, {}, {})
    assert await whole(await client.post(target, b"1")) == b"hello"
    assert await whole(await client.post(target, b"2", fresh=True)) == b"hello"
    assert wire.connections == 2


@pytest.mark.parametrize(("end", "outcome"), [(then_closed(b""), Disconnected), (then_closed(TIMED_OUT), 408)])
async def test_a_kept_connection_that_ends_late_has_failed(wire, whole, end, outcome):
    late = Client(connect=5.0, stale_window=-1.0)
    try:
        wire.answers = [HELLO, end, HELLO]
        target = endpoint(wire.url, {}, {})
        assert await whole(await late.post(target, b"1")) == b"hello"
        if outcome == 408:
            response = await late.post(target, b"2")
            assert response.status == 408
            response.end()
        else:
            with pytest.raises(outcome):
                await late.post(target, b"2")
    finally:
        await late.close()
    assert len(wire.asked) == 2


async def test_a_408_on_a_new_connection_is_the_servers_answer(ask, wire):
    wire.answers = [then_closed(TIMED_OUT)]
    response = await ask()
    assert response.status == 408
    response.end()


async def test_an_answer_that_is_not_wanted_any_more_closes_its_connection(ask, wire):
    wire.answers = [without_end(CHUNKED, framed(b"hello"))]
    response = await ask()
    assert await response.read()
    response.end()
    assert await response.read() == b""
    await wire.until(lambda: wire.open == 0)


async def test_a_cancelled_wait_closes_the_connection(ask, wire):
    async def never(_writer):
        """The next read notices that the other side has closed."""

    wire.answers = [never]
    task = asyncio.ensure_future(ask())
    await wire.until(lambda: wire.asked)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await wire.until(lambda: wire.open == 0)


async def test_an_unread_body_is_not_part_of_the_next_response(ask, wire, whole):
    wire.answers = [HELLO, OK + b"Content-Length: 3\r\n\r\nbye"]
    first = await ask()
    assert first.read_to_end
    first.end()
    assert await whole(await ask()) == b"bye"
    assert wire.connections == 1


async def test_an_answer_before_the_request_was_sent_ends_the_connection(ask, wire):
    """The server would read the rest of the request as the next one."""

    async def early(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno")
        await writer.drain()
        await over.wait()
        writer.close()

    over = asyncio.Event()
    server = await asyncio.start_server(early, "127.0.0.1", 0)
    wire.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    response = await ask(b"x" * 30_000_000)
    assert response.status == 413
    assert await response.read() == b"no"
    connection = response._connection
    response.end()
    assert not connection.usable
    over.set()
    server.close()


@pytest.mark.parametrize("answer", [HELLO, then_closed(OK + b"Content-Length: 50\r\n\r\nhello"), b"nonsense\r\n\r\n"])
async def test_a_connection_that_has_ended_is_gone_without_the_garbage_collector(client, wire, answer):
    wire.answers = [answer]
    connection = await client._dialer.connect(endpoint(wire.url, {}, {}).origin)
    try:
        await connection.send(b"POST / HTTP/1.1\r\nContent-Length: 0\r\n\r\n")
        while await connection.read():
            pass
    except (BodyBroken, NotHTTP):
        pass
    connection.abort()
    await connection.closed()
    gone = weakref.ref(connection)
    gc.disable()
    try:
        del connection
        await asyncio.sleep(0)
        assert gone() is None
    finally:
        gc.enable()
