import asyncio

import pytest
from aiohttp import web

from gateway.http.body import read_body
from gateway.http.chain import chained
from gateway.http.response_headers import RESPONSE_HEADERS, ResponseHeaders
from gateway.http.routes import Route
from gateway.http.server.drain import Drain

LIMIT = 10
HEAD = b"POST / HTTP/1.1\r\nHost: gateway\r\n"


async def echo(request: web.Request) -> web.Response:
    return web.Response(body=await read_body(request, LIMIT, within=0.1))


@pytest.fixture
async def response_to(aiohttp_server):
    """The server's whole response to these bytes on one connection."""
    app = web.Application()
    app[RESPONSE_HEADERS] = ResponseHeaders(Drain())
    app.router.add_post("/", chained(Route(("POST",), ("/",), echo, None, public=True)))
    server = await aiohttp_server(app)

    async def response_to(sent: bytes) -> bytes:
        reader, writer = await asyncio.open_connection(server.host, server.port)
        writer.write(sent)
        async with asyncio.timeout(10):
            answer = await reader.readuntil(b"\r\n\r\n")
            length = int(answer.partition(b"Content-Length: ")[2].split(b"\r\n")[0])
            answer += await reader.readexactly(length)
        writer.close()
        await writer.wait_closed()
        return answer

    return response_to


async def test_a_missing_body_is_a_408_and_closes_the_connection(response_to):
    answer = await response_to(HEAD + b"Content-Length: 5\r\n\r\n1")
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"Request body timeout" in answer
    assert b"Connection: close" in answer


async def test_a_body_that_trickles_in_without_end_is_a_408(response_to):
    answer = await response_to(HEAD + b"Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n1\r\nb\r\n")
    assert answer.startswith(b"HTTP/1.1 408 ")


async def test_a_body_at_the_limit_is_read_and_a_larger_one_is_a_413(response_to):
    assert (await response_to(HEAD + b"Content-Length: 10\r\n\r\n0123456789")).endswith(b"\r\n\r\n0123456789")
    assert (await response_to(HEAD + b"Content-Length: 11\r\n\r\n")).startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize("ending", [b"", b"0\r\n\r\n"], ids=["open", "complete"])
async def test_a_chunked_body_over_the_limit_is_a_413(response_to, ending):
    chunks = b"6\r\n012345\r\n6\r\n012345\r\n" + ending
    assert (await response_to(HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + chunks)).startswith(b"HTTP/1.1 413 ")


async def test_an_absent_body_is_read_as_empty(response_to):
    assert (await response_to(HEAD + b"\r\n")).startswith(b"HTTP/1.1 200 ")
