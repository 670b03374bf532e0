"""Large requests are sent in pieces."""

import asyncio

import pytest

from gateway.upstream.transport.connection import PIECE, ProviderConnection
from gateway.upstream.transport.endpoint import endpoint
from gateway.upstream.transport.errors import Disconnected

HELLO = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
TOO_LARGE = b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 2\r\n\r\nno"
LARGE = bytes(range(256)) * (20 * PIECE // 256) + b"the end"


@pytest.mark.parametrize("size", [PIECE, PIECE + 1, 2 * PIECE, len(LARGE)])
async def test_a_body_of_any_size_arrives_as_it_is_and_the_connection_is_used_again(ask, wire, whole, size):
    wire.answers = [HELLO]
    for _ in range(2):
        assert await whole(await ask(LARGE[-size:])) == b"hello"
    assert [body for _, body in wire.asked] == [LARGE[-size:]] * 2
    assert wire.connections == 1


async def test_others_have_their_turn_between_the_pieces(ask, wire, whole):
    wire.answers = [HELLO]
    turns, sending = 0, True

    async def other():
        nonlocal turns
        while sending:
            turns += 1
            await asyncio.sleep(0)

    running = asyncio.create_task(other())
    response = await ask(LARGE)
    sending = False
    await running
    assert turns >= len(LARGE) // PIECE
    assert await whole(response) == b"hello"


@pytest.fixture
async def hasty():
    """The URL of a server that responds after the head, and never reads the body. `then` is what it does after that."""

    class Hasty:
        response = TOO_LARGE
        connections = 0

        async def before(self):
            pass

        async def then(self, _writer):
            await self.left.wait()

    made = Hasty()
    made.left = asyncio.Event()

    async def connected(reader, writer):
        made.connections += 1
        await reader.readuntil(b"\r\n\r\n")
        await made.before()
        writer.write(made.response)
        await made.then(writer)
        writer.transport.abort()

    server = await asyncio.start_server(connected, "127.0.0.1", 0, limit=2**10)
    made.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    yield made
    made.left.set()
    server.close()


async def test_a_response_before_the_end_of_the_request_is_read_and_its_connection_not_used_again(client, hasty, whole):

    target = endpoint(hasty.url, {}, {})
    for number in (1, 2):
        response = await client.post(target, LARGE * 8)
        assert (response.status, await whole(response)) == (413, b"no")
        response.end()
        assert hasty.connections == number


async def test_a_response_to_a_request_that_is_stuck_is_read(client, hasty, whole, monkeypatch):
    stuck = asyncio.Event()
    pause = ProviderConnection.pause_writing
    monkeypatch.setattr(ProviderConnection, "pause_writing", lambda connection: (pause(connection), stuck.set()))
    hasty.before = stuck.wait
    response = await client.post(endpoint(hasty.url, {}, {}), LARGE * 8)
    assert (response.status, await whole(response)) == (413, b"no")
    response.end()


async def test_a_server_that_leaves_within_the_request_is_a_lost_connection(client, hasty):
    async def leave(_writer):
        pass

    hasty.response, hasty.then = b"", leave
    with pytest.raises(Disconnected):
        await client.post(endpoint(hasty.url, {}, {}), LARGE * 8)
