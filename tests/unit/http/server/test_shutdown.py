"""Requests on connections that are in the accept queue when the port closes."""

import asyncio
import socket
import sys

import pytest
from aiohttp import web

from gateway.cli.event_loop import EventLoop
from gateway.http.keys import DRAIN
from gateway.http.server import shutdown
from gateway.http.server.connections import Runner
from gateway.http.server.drain import Drain
from gateway.http.server.listener import listen
from gateway.http.server.shutdown import DrainPolicy, drain

REQUEST = b"GET / HTTP/1.1\r\nHost: gateway\r\nConnection: close\r\n\r\n"
POLICY = DrainPolicy(notice=0.1, limit=10)

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="other systems reset the accept queue")


class Crowded(Runner):
    """Gets requests on `number` new connections at the last moment."""

    number = 0
    clients: tuple[socket.socket, ...] = ()

    def stop_accepting(self) -> bool:
        address = self.addresses[0]
        self.clients = tuple(socket.create_connection(address, timeout=5) for _ in range(self.number))
        for client in self.clients:
            client.sendall(REQUEST)
        return super().stop_accepting()


async def responses_of_a_drain(number: int) -> list[bytes]:
    """What the clients read that ask as the port closes."""

    async def respond(_request: web.Request) -> web.Response:
        return web.Response(text="served")

    app = web.Application()
    app[DRAIN] = Drain()
    app.router.add_get("/", respond)
    runner = Crowded(app)
    runner.number = number
    await runner.setup()
    await runner.listen(listen("127.0.0.1", 0))
    await drain(runner, app[DRAIN], POLICY, asyncio.Event(), notice=True)
    await runner.cleanup()
    responses = []
    for client in runner.clients:
        with client:
            try:
                responses.append(client.recv(1000))
            except ConnectionResetError:
                responses.append(b"reset")
    return responses


@pytest.mark.parametrize("new_loop", [EventLoop, asyncio.SelectorEventLoop])
@pytest.mark.parametrize("number", [1, 30])
def test_every_request_in_the_accept_queue_is_answered_however_late_the_loop_is(new_loop, number, monkeypatch):
    monkeypatch.setattr(shutdown, "_HANDSHAKE_TIME", 0)  # no time at all for the loop
    with asyncio.Runner(loop_factory=new_loop) as loop:
        responses = loop.run(responses_of_a_drain(number))
    assert [response.endswith(b"served") for response in responses] == [True] * number
