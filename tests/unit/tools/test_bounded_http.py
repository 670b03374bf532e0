"""Calls over HTTP, against a server that sends scripted bytes."""

import asyncio
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from gateway.config.mcp import McpServerConfig
from gateway.core.jsonio import dumps
from gateway.tools.bounded_reader import MAX_MESSAGE_BYTES
from gateway.tools.mcp import mcp_server
from gateway.tools.result import ResultLimits

OFFERED = {"tools": [{"name": "run", "inputSchema": {"type": "object"}}]}
HELLO = {"protocolVersion": "2025-06-18", "capabilities": {"tools": {}}, "serverInfo": {"name": "far", "version": "1"}}
DONE = {"content": [{"type": "text", "text": "done"}]}


def answer(message, result):
    return web.json_response({"jsonrpc": "2.0", "id": message["id"], "result": result})


@pytest.fixture
def connected(aiohttp_server):
    """A tool server. `called` answers its calls."""

    @asynccontextmanager
    async def build(called, **config):
        async def handle(request):
            if request.method != "POST":
                return web.Response(status=405)
            message = await request.json()
            match message["method"]:
                case "initialize":
                    return answer(message, HELLO)
                case "tools/list":
                    return answer(message, OFFERED)
                case "tools/call":
                    return await called(request, message)
            return web.Response(status=202 if "id" not in message else 400)

        app = web.Application()
        app.router.add_route("*", "/mcp", handle)
        site = await aiohttp_server(app)
        server = mcp_server("far", McpServerConfig(url=str(site.make_url("/mcp")), **config), ResultLimits())
        server.start()
        try:
            async with asyncio.timeout(60):
                await server.first_attempt()
            assert server.available
            yield server
        finally:
            await server.close()

    return build


async def test_a_failed_call_does_not_affect_other_calls(connected):
    waiting, broken = asyncio.Event(), asyncio.Event()

    async def called(request, message):
        if message["params"]["arguments"] == {"which": "bad"}:
            await waiting.wait()
            request.transport.abort()
        waiting.set()
        await broken.wait()
        return answer(message, DONE)

    async with connected(called) as server:
        good = asyncio.create_task(server.call("run", {"which": "good"}, 10))
        output = await server.call("run", {"which": "bad"}, 10)
        assert (output.failure, output.content[0].text) == (
            "unavailable",
            "Tool error: the connection to the tool server 'far' broke during the call.",
        )
        broken.set()
        assert (await good).content[0].text == "done"
        assert server.available


@pytest.mark.parametrize("kind", ["large", "compressed"])
async def test_an_endless_answer_times_out(connected, kind):
    async def called(request, _message):
        encoding = {"Content-Encoding": "gzip"} if kind == "compressed" else {}
        response = web.StreamResponse(headers={"Content-Type": "application/json"} | encoding)
        await response.prepare(request)
        while True:
            await response.write(b" " * 2**20)

    async with connected(called) as server:
        output = await server.call("run", {}, 10)
        assert output.failure == "error"
        assert "larger than a message may be" in output.content[0].text
        assert server.available


@pytest.mark.parametrize("answer_started", [False, True])
async def test_a_call_that_a_server_does_not_cancel_does_not_stay_open(connected, answer_started):
    left = asyncio.Event()

    async def called(request, _message):
        try:
            if answer_started:
                response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
                await response.prepare(request)
                while True:
                    await response.write(b": still here\n\n")
                    await asyncio.sleep(0.01)
            await asyncio.Event().wait()
        finally:
            left.set()

    async with connected(called, request_timeout_ms=50, connection_timeout_ms=1000) as server:
        assert (await server.call("run", {}, 10)).failure == "timeout"
        async with asyncio.timeout(30):
            await left.wait()
        assert server.available


async def test_an_answer_may_be_as_large_as_a_message(connected):
    async def called(_request, message):
        room = MAX_MESSAGE_BYTES - len(dumps({"jsonrpc": "2.0", "id": message["id"], "result": DONE}))
        content = [{"type": "text", "text": "x" * (room - 1000)}]
        return answer(message, {"content": content})

    async with connected(called) as server:
        assert (await server.call("run", {}, 10)).failure is None


async def test_an_http_error_has_its_status(connected):
    async def called(_request, _message):
        return web.Response(status=401, text="who are you")

    async with connected(called) as server:
        output = await server.call("run", {}, 10)
        assert output.content[0].text == "Tool error: the server answered with HTTP 401"


async def test_an_error_does_not_contain_configured_secrets(connected):
    async def called(request, _message):
        error = {"code": -32603, "message": f"{request.headers['Authorization'].split()[1]} is no key"}
        return web.json_response({"jsonrpc": "2.0", "id": None, "error": error}, status=400)

    async with connected(called, headers={"Authorization": "Bearer abcdefgh"}) as server:
        assert (await server.call("run", {}, 10)).content[0].text == "Tool error: […] is no key"
