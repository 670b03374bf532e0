"""A scripted provider."""

import asyncio
import json

import pytest
from aiohttp import web

from gateway.upstream.authorise import fixed_headers
from gateway.upstream.http import Limits, create_client
from gateway.upstream.provider import Provider


class Remote:
    """A scripted provider; `asked` holds the requests and their bodies."""

    def __init__(self):
        self.asked = []
        self.answer = None
        self.url = ""
        self.key = "key-of-the-tests-0123456789"

    async def handle(self, request):
        self.asked.append((request, await request.json()))
        return await self.answer(request)

    def says(self, body=b"", status=200, content_type="application/json", **headers):
        async def answer(request):
            data = body if isinstance(body, bytes) else json.dumps(body).encode()
            return web.Response(body=data, status=status, content_type=content_type, headers=headers)

        self.answer = answer

    def streams(self, *pieces, status=200, content_type="text/event-stream"):
        """Send the pieces one by one, each after the one before; awaits awaitable pieces."""

        async def answer(request):
            response = web.StreamResponse(status=status, headers={"Content-Type": content_type})
            await response.prepare(request)
            for piece in pieces:
                if isinstance(piece, bytes):
                    await response.write(piece)
                    await asyncio.sleep(0)
                else:
                    await piece()
            return response

        self.answer = answer

    def provider(self, **row):
        headers = fixed_headers(self.key, {})
        return Provider("acme", self.url, api_key=self.key, headers=headers, **row)


@pytest.fixture
async def remote(aiohttp_server):
    made = Remote()
    app = web.Application()
    app.router.add_post("/v1/{path:.*}", made.handle)
    server = await aiohttp_server(app)
    made.url = str(server.make_url("/v1"))
    return made


@pytest.fixture
async def http():
    async with create_client(Limits()) as session:
        yield session
