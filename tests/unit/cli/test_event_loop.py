"""The program's event loop."""

import asyncio
import gc
import socket
import ssl
from contextlib import suppress

import pytest
import uvloop

from gateway.cli.event_loop import EventLoop

UNKNOWN = "nowhere.invalid"  # RFC 6761: exists nowhere


def reports_after_an_abandoned_lookup(loop_factory) -> list[str]:
    """What asyncio would log when a connection is cancelled during a lookup that then fails."""
    reports: list[str] = []

    async def abandon() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _loop, context: reports.append(context["message"]))
        connecting = asyncio.create_task(asyncio.open_connection(UNKNOWN, 6379))
        await asyncio.sleep(0)
        connecting.cancel()
        with suppress(asyncio.CancelledError):
            await connecting
        for _ in range(5):  # by then, the abandoned lookup has failed as well
            with suppress(socket.gaierror):
                await loop.getaddrinfo(UNKNOWN, 6379)
        del connecting
        gc.collect()

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(abandon())
    return reports


def test_a_lookup_that_fails_after_its_connection_was_cancelled_is_not_reported():
    assert reports_after_an_abandoned_lookup(uvloop.new_event_loop), "uvloop is fixed: use its loop"
    assert reports_after_an_abandoned_lookup(EventLoop) == []


@pytest.fixture
def run():
    with asyncio.Runner(loop_factory=EventLoop) as runner:
        yield runner.run


async def server(hosts: list[str]) -> asyncio.Server:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.readline())
        writer.close()
        await writer.wait_closed()

    return await asyncio.start_server(echo, hosts)


async def echoed(host: str, port: int) -> bytes:
    reader, writer = await asyncio.open_connection(host, port)
    writer.write(b"hello\n")
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    return answer


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_it_connects_to_addresses_and_to_whichever_address_of_a_name_accepts(run, host):
    async def connect() -> bytes:
        async with await server(["127.0.0.1"]) as serving:  # localhost may be ::1 as well
            return await echoed(host, serving.sockets[0].getsockname()[1])

    assert run(connect()) == b"hello\n"


def test_a_refused_connection_raises_as_in_asyncio(run):
    async def connect() -> None:
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            with pytest.raises(ConnectionRefusedError):
                await asyncio.open_connection("127.0.0.1", unused.getsockname()[1])

    run(connect())


def test_tls_verifies_the_name_and_not_the_address(run):
    async def connect() -> None:
        context = ssl.create_default_context()
        checked: list[str | None] = []
        async with await server(["127.0.0.1"]) as serving:
            port = serving.sockets[0].getsockname()[1]
            wrapped = context.wrap_bio

            def record(incoming, outgoing, server_side=False, server_hostname=None):
                checked.append(server_hostname)
                return wrapped(incoming, outgoing, server_side, server_hostname)

            context.wrap_bio = record
            with suppress(ssl.SSLError, ConnectionError):
                await asyncio.open_connection("localhost", port, ssl=context)
        assert set(checked) == {"localhost"}

    run(connect())
