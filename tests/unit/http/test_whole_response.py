"""A WholeResponse is, on the wire, what aiohttp's own response with the same body and headers is."""

import asyncio

import pytest
from aiohttp import web

from gateway.http.keys import TRACE, Trace
from gateway.http.response_headers import RESPONSE_HEADERS, ResponseHeaders
from gateway.http.server.drain import Drain
from gateway.http.whole_response import WholeResponse

TYPE = {"Content-Type": "application/json; charset=utf-8"}
BODIES = {"/small": b'{"text":"\xc3\xa9"}', "/large": b"x" * 200_000, "/empty": b""}


@pytest.fixture
def drain():
    return Drain()


@pytest.fixture
async def sent(aiohttp_server, drain):
    """Sends a request as bytes, and returns the lines of the response's head, its body, and whether it was the last."""

    async def answer(request):
        request[TRACE] = Trace("req-1", 0.0, added_headers={"X-RateLimit-Limit": "5"})
        body, status = BODIES[request.path], 429 if request.path == "/empty" else 200
        headers = TYPE | {"x-openclaw-model": request.query.get("model", "é")}
        if "theirs" in request.query:
            response = web.Response(body=body, headers=headers, status=status)
        else:
            response = WholeResponse(body, headers, status=status)
        if "close" in request.query:
            response.force_close()
        return response

    app = web.Application()
    app[RESPONSE_HEADERS] = headers = ResponseHeaders(drain)
    headers.configure({"Strict-Transport-Security": "max-age=1"})
    app.on_response_prepare.append(headers.add)
    app.router.add_route("*", "/{name}", answer)
    server = await aiohttp_server(app)

    async def send(request: str) -> tuple[list[str], bytes, bool]:
        reader, writer = await asyncio.open_connection(server.host, server.port)
        try:
            writer.write(request.encode())
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            status, *lines = head.rstrip().split("\r\n")
            length = next((int(line[16:]) for line in lines if line.startswith("Content-Length: ")), 0)
            body = b"" if request.startswith("HEAD") else await reader.readexactly(length)
            writer.write(request.encode())
            again = await reader.read(1)
        finally:
            writer.close()
            await writer.wait_closed()
        return [status, *sorted(line for line in lines if not line.startswith("Date: "))], body, not again

    return send


@pytest.mark.parametrize("path", BODIES)
@pytest.mark.parametrize(
    "request_line",
    [
        "GET {} HTTP/1.1\r\nHost: h\r\n\r\n",
        "HEAD {} HTTP/1.1\r\nHost: h\r\n\r\n",
        "GET {} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
        "GET {} HTTP/1.0\r\n\r\n",
        "GET {} HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
    ],
)
async def test_it_has_the_head_and_the_body_of_aiohttps_response(sent, path, request_line):
    ours = await sent(request_line.format(f"{path}?ours"))
    theirs = await sent(request_line.format(f"{path}?theirs"))
    assert ours[1:] == theirs[1:]
    assert set(theirs[0]) <= set(ours[0])
    # aiohttp leaves out the length of an empty body that is not sent, and does not tell HTTP/1.0 that it closes.
    assert set(ours[0]) - set(theirs[0]) <= {
        *(["Content-Length: 0"] if path == "/empty" else []),
        *(["Connection: close"] if "HTTP/1.0" in request_line else []),
    }


@pytest.mark.parametrize("query", ["ours&close", "theirs&close"])
async def test_force_close_ends_the_connection(sent, query):
    lines, _, last = await sent(f"GET /small?{query} HTTP/1.1\r\nHost: h\r\n\r\n")
    assert "Connection: close" in lines
    assert last


@pytest.mark.parametrize("query", ["ours", "theirs"])
async def test_a_draining_process_ends_the_connection(sent, drain, query):
    drain.started = True
    lines, _, last = await sent(f"GET /small?{query} HTTP/1.1\r\nHost: h\r\n\r\n")
    assert "Connection: close" in lines
    assert last


@pytest.mark.parametrize("value", ["m%0d%0aX-Other:%20forged", "m%0aX-Other:%20forged", "m%0dX-Other:%20forged"])
async def test_a_line_break_in_a_value_never_reaches_the_client(sent, value):
    with pytest.raises(asyncio.IncompleteReadError):
        await sent(f"GET /small?model={value} HTTP/1.1\r\nHost: h\r\n\r\n")
