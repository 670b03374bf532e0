"""A server that sends scripted bytes and records the received ones."""

import asyncio
import re
from contextlib import AsyncExitStack

import pytest
import uvloop

from gateway.upstream.http import Client
from gateway.upstream.transport.endpoint import endpoint


def pytest_asyncio_loop_factories():
    """Both loops: production uses uvloop, and the loops' transports differ while they close."""
    return {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


class Wire:
    """`answers` are sent in turn, and the last one repeatedly: bytes, or a function of the connection's writer."""

    def __init__(self):
        self.answers = []
        self.asked = []
        self.connections = 0
        self.open = 0
        self.url = ""
        self._tasks = set()

    async def connected(self, reader, writer):
        self._tasks.add(asyncio.current_task())
        self.connections += 1
        self.open += 1
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(re.search(rb"Content-Length: (\d+)", head)[1])
                self.asked.append((head, await reader.readexactly(length)))
                answer = self.answers[min(len(self.asked), len(self.answers)) - 1]
                if isinstance(answer, bytes):
                    writer.write(answer)
                else:
                    await answer(writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the client has hung up
        finally:
            self.open -= 1
            self._tasks.discard(asyncio.current_task())
            writer.close()

    async def until(self, condition):
        async with asyncio.timeout(30):
            while not condition():
                await asyncio.sleep(0)

    async def end(self):
        await asyncio.gather(*self._tasks)


@pytest.fixture
async def wire():
    made = Wire()
    server = await asyncio.start_server(made.connected, "127.0.0.1", 0)
    made.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    yield made
    server.close()


@pytest.fixture
async def client(wire):
    """A client that closes before the server waits for its connections."""
    async with AsyncExitStack() as stack:
        stack.push_async_callback(wire.end)
        made = Client(connect=5.0)
        stack.push_async_callback(made.close)
        yield made


@pytest.fixture
def ask(client, wire):
    """Send a POST. Returns the response's head."""

    def post(body=b"{}", **headers):
        return client.post(
            endpoint(wire.url, {name.replace("_", "-"): value for name, value in headers.items()}, {}), body
        )

    return post


async def everything(response):
    """Read the whole body and end the response."""
    try:
        pieces = []
        while piece := await response.read():
            pieces.append(piece)
        return b"".join(pieces)
    finally:
        response.end()


@pytest.fixture
def whole():
    return everything
