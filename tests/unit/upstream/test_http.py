import asyncio
import gzip

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from gateway.upstream.http import Limits, create_session

PIECES = [bytes([number % 251]) * 4096 for number in range(2000)]
WHOLE = b"".join(PIECES)


@pytest.fixture
async def address():
    """A server whose answers are much larger than what a connection reads ahead."""

    async def chunked(request):
        response = web.StreamResponse()
        await response.prepare(request)
        for piece in PIECES:
            await response.write(piece)
        await response.write_eof()
        return response

    async def compressed(_request):
        return web.Response(body=gzip.compress(WHOLE), headers={"Content-Encoding": "gzip"})

    async def plain(_request):
        return web.Response(body=WHOLE)

    app = web.Application()
    app.add_routes([web.get("/chunked", chunked), web.get("/compressed", compressed), web.get("/plain", plain)])
    async with TestServer(app) as server:
        yield str(server.make_url("/"))


@pytest.mark.parametrize("kind", ["chunked", "compressed", "plain"])
async def test_a_large_answer_waits_for_its_reader_and_arrives_whole(address, kind):
    async with create_session(Limits()) as session, session.get(address + kind) as response:
        async with asyncio.timeout(10):
            while not response.connection.protocol._reading_paused:
                await asyncio.sleep(0)
        pieces = []
        while piece := await response.content.readany():
            pieces.append(piece)
            await asyncio.sleep(0)
    assert b"".join(pieces) == WHOLE
    assert len(pieces) > 1


async def test_a_connection_is_used_again_after_an_answer_that_had_to_wait(address):
    async with create_session(Limits()) as session:
        ports = set()
        for kind in ("chunked", "plain", "compressed", "chunked"):
            async with session.get(address + kind) as response:
                ports.add(response.connection.transport.get_extra_info("sockname")[1])
                assert await response.read() == WHOLE
        assert len(ports) == 1
