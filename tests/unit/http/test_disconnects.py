"""Clients that leave at any moment: nothing about them is an error of the gateway."""

import asyncio
import json
import socket
import struct

import aiohttp
import pytest
from aiohttp import web
from multidict import CIMultiDict

from gateway.http.chain import chained
from gateway.http.endpoints.models import list_models
from gateway.http.errors import response_to
from gateway.http.keys import SERVICES
from gateway.http.routes import Route
from tests.unit.http.conftest import TOKEN

ROUTE = Route(("GET",), ("/v1/models",), list_models, None)
CHAT = json.dumps({"model": "openclaw", "stream": True, "messages": [{"role": "user", "content": "q"}]})
BACKGROUND = {"model": "openclaw", "input": "q", "background": True}


async def leave(client, request: bytes, after: float) -> None:
    """Send a request and reset the connection."""
    _, writer = await asyncio.open_connection(client.host, client.port)
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.write(request)
    await writer.drain()
    await asyncio.sleep(after)
    writer.transport.abort()


def head(method, path, body=""):
    fields = ("Host: x", f"Authorization: Bearer {TOKEN}", f"Content-Length: {len(body)}", "", body)
    return "\r\n".join((f"{method} {path} HTTP/1.1", *fields)).encode()


@pytest.mark.parametrize("kind", ["replay", "chat"])
async def test_a_client_that_leaves_before_its_stream_opens_is_no_error(client, provider, kind, capsys):
    asked, left = provider.hangs()
    async with client.post("/v1/responses", json=BACKGROUND) as response:
        name = (await response.json())["id"]
    await asked.wait()
    replay = head("GET", f"/v1/responses/{name}?stream=true")
    request = replay if kind == "replay" else head("POST", "/v1/chat/completions", CHAT)
    await asyncio.gather(*(leave(client, request, number / 2000) for number in range(60)))
    async with client.post(f"/v1/responses/{name}/cancel") as response:
        assert response.status == 200
    await left.wait()
    output = capsys.readouterr()
    assert "Request failed" not in output.out + output.err
    assert "Traceback" not in output.out + output.err


def endless(provider):
    """The provider sends text until its client leaves. Returns the event of that."""
    left = asyncio.Event()

    async def answer(request):
        try:
            response = await provider.begins(request, {"content": "a"})
            while True:
                await provider.send(response, {"choices": [{"index": 0, "delta": {"content": "a" * 60_000}}]})
        finally:
            left.set()

    provider.answer = answer
    return left


@pytest.fixture
def brief_stalls(monkeypatch):
    for module in ("answers.event_stream", "server.web_socket"):
        monkeypatch.setattr(f"gateway.http.{module}._STALL_TIMEOUT", 0.3)


@pytest.mark.usefixtures("brief_stalls")
async def test_a_client_that_reads_nothing_loses_its_stream_and_that_is_no_error(client, provider, capsys):
    left = endless(provider)
    _, writer = await asyncio.open_connection(client.host, client.port, limit=1024)
    writer.write(head("POST", "/v1/chat/completions", CHAT))
    async with asyncio.timeout(30):
        await left.wait()
    await until_idle(client)
    writer.close()
    output = capsys.readouterr()
    assert "Request failed" not in output.out + output.err
    assert "Traceback" not in output.out + output.err


@pytest.mark.usefixtures("brief_stalls")
async def test_a_client_that_reads_nothing_loses_its_web_socket_and_that_is_no_error(client, provider, capsys):
    left = endless(provider)
    reader, writer = await asyncio.open_connection(client.host, client.port, limit=1024)
    fields = ("Host: x", f"Authorization: Bearer {TOKEN}", "Connection: Upgrade", "Upgrade: websocket")
    fields += ("Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "", "")
    writer.write("\r\n".join(("GET /v1/responses HTTP/1.1", *fields)).encode())
    await reader.readuntil(b"\r\n\r\n")
    event = json.dumps({"type": "response.create", "model": "openclaw", "input": "q"}).encode()
    writer.write(b"\x81" + bytes([0x80 + len(event)]) + bytes(4) + event)
    async with asyncio.timeout(30):
        await left.wait()
    await until_idle(client)
    writer.close()
    output = capsys.readouterr()
    assert "WebSocket failed" not in output.out + output.err
    assert "Request failed" not in output.out + output.err
    assert "Traceback" not in output.out + output.err


async def until_idle(client):
    """Wait until the run has ended, and what follows it is done."""
    runs = client.app[SERVICES].recent._runs
    async with asyncio.timeout(10):
        while not any(isinstance(run, bytes) for run in runs.values()):
            await asyncio.sleep(0.01)
    for _ in range(20):
        await asyncio.sleep(0)


class _Request:
    method, path = "GET", "/v1/models"
    headers = CIMultiDict()

    def __init__(self, transport):
        self.transport = transport


class _Transport:
    def __init__(self, *, closing):
        self.is_closing = lambda: closing


@pytest.mark.parametrize("transport", [None, _Transport(closing=True)])
def test_a_connection_error_of_a_client_that_has_left_is_a_debug_line(transport, capsys):
    with pytest.raises(asyncio.CancelledError):
        response_to(_Request(transport), ConnectionResetError("Cannot write to closing transport"), ROUTE)
    output = capsys.readouterr().out
    assert "debug" in output
    assert "Traceback" not in output


def test_a_connection_error_of_something_else_is_an_error(capsys):
    assert response_to(_Request(_Transport(closing=False)), ConnectionResetError("x"), ROUTE).status == 500
    assert "Request failed" in capsys.readouterr().out


@pytest.mark.parametrize("first", [b"", b"a piece"])
async def test_a_write_to_a_client_that_is_just_leaving_is_no_error(aiohttp_client, caplog, first):
    """The transport closes, and only later the server hears of it."""
    tried = asyncio.Event()

    async def stream(request):
        response = web.StreamResponse()
        await response.prepare(request)
        if first:
            await response.write(first)
        request.transport.abort()
        tried.set()
        await response.write(b"more")
        raise AssertionError

    app = web.Application()
    app.router.add_get("/", chained(Route(("GET",), ("/",), stream, None, public=True)))
    client = await aiohttp_client(app)
    with pytest.raises(aiohttp.ClientError):
        async with client.get("/") as response:
            await response.read()
    assert tried.is_set()
    await client.server.close()
    assert [record for record in caplog.records if record.levelname not in ("DEBUG", "INFO")] == []
