"""A server that forgets its sessions, as a deployment makes it do."""

import asyncio
import itertools
import json

import pytest
from aiohttp import web

from gateway.config.mcp import McpServerConfig
from gateway.tools.mcp import mcp_server
from gateway.tools.result import ResultLimits

TOOL = {"name": "run", "inputSchema": {"type": "object"}}


NOT_FOUND = {"code": -32600, "message": "Session not found"}
TYPESCRIPT = {"code": -32000, "message": "Bad Request: No valid session ID provided"}
UNKNOWN = {
    "not found": {"status": 404, "text": json.dumps({"jsonrpc": "2.0", "id": None, "error": NOT_FOUND})},
    "a text": {"status": 404, "text": "Session not found"},
    "a page": {"status": 404, "text": "<h1>gone</h1>", "content_type": "text/html"},
    "nothing": {"status": 404},
    "TypeScript": {"status": 400, "text": json.dumps({"jsonrpc": "2.0", "error": TYPESCRIPT, "id": None})},
    "Python": {"status": 400, "text": json.dumps({"jsonrpc": "2.0", "id": "server-error", "error": TYPESCRIPT})},
    "a text at 400": {"status": 400, "text": "Invalid or missing session ID"},
}  # fmt: skip
"""What servers answer to a request of a session that they do not know."""


class Forgetful:
    def __init__(self):
        self.unknown = UNKNOWN["not found"]
        self.answer = self.handle
        self.sessions = set()
        self.runs = 0
        self.accepts = True
        self.refuses_calls_of = set()
        self._names = itertools.count(1)

    async def handle(self, request):
        if request.method != "POST":
            return web.Response(status=405)
        message = await request.json()
        method, session = message["method"], request.headers.get("Mcp-Session-Id")
        if method == "initialize" and self.accepts:
            session = f"session-{next(self._names)}"
            self.sessions.add(session)
        elif session not in self.sessions or (method == "tools/call" and session in self.refuses_calls_of):
            return web.Response(**self.unknown)
        if "id" not in message:
            return web.Response(status=202)
        results = {
            "initialize": {
                "protocolVersion": "2025-06-18",
                "capabilities": {"tools": {}},
                "serverInfo": {"name": "s", "version": "1"},
            },
            "tools/list": {"tools": [TOOL]},
            "tools/call": {"content": [{"type": "text", "text": "done"}]},
        }
        self.runs += method == "tools/call"
        if method not in results:
            error = {"code": -32601, "message": "no such method"}
            return web.json_response({"jsonrpc": "2.0", "id": message["id"], "error": error}, status=404)
        answer = {"jsonrpc": "2.0", "id": message["id"], "result": results[method]}
        return web.json_response(answer, headers={"Mcp-Session-Id": session})


@pytest.fixture
async def forgetful(aiohttp_server):
    peer = Forgetful()
    app = web.Application()

    async def answer(request):
        return await peer.answer(request)

    app.router.add_route("*", "/mcp", answer)
    peer.url = str((await aiohttp_server(app)).make_url("/mcp"))
    return peer


async def never(_seconds):
    await asyncio.Event().wait()


@pytest.fixture
async def server(forgetful):
    config = McpServerConfig(url=forgetful.url)
    made = mcp_server("s", config, ResultLimits())
    made.start()
    await made.first_attempt()
    yield made
    await made.close()


@pytest.mark.parametrize("form", UNKNOWN)
async def test_calls_of_a_forgotten_session_are_run_in_a_new_one(forgetful, server, form):
    forgetful.unknown = UNKNOWN[form]
    assert (await server.call("run", {}, 5)).failure is None
    forgetful.sessions.clear()
    server._connection._sleep = never  # a new session does not wait for the backoff of a lost connection
    async with asyncio.timeout(60):
        outputs = await asyncio.gather(*(server.call("run", {}, 5) for _ in range(5)))
    assert [(output.failure, output.content[0].text) for output in outputs] == [(None, "done")] * 5
    assert forgetful.runs == 6
    assert len(forgetful.sessions) == 1


async def test_a_late_answer_of_the_forgotten_session_does_not_end_the_new_one(forgetful, server):
    forgotten = server._connection.client
    forgetful.sessions.clear()
    assert (await server.call("run", {}, 5)).failure is None
    server._connection.lose_session(forgotten)
    assert server.available


async def test_a_call_fails_if_there_is_no_new_session(forgetful, server):
    forgetful.sessions.clear()
    forgetful.accepts = False
    assert (await server.call("run", {}, 0.5)).failure == "unavailable"
    assert forgetful.runs == 0


async def test_a_session_that_only_one_of_several_servers_has_forgotten_is_replaced(forgetful, server):
    forgetful.refuses_calls_of = {"session-1"}  # another server answers the list of tools
    server._connection._sleep = never
    async with asyncio.timeout(60):
        output = await server.call("run", {}, 5)
    assert (output.failure, output.content[0].text) == (None, "done")
    assert len(forgetful.sessions) == 2


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (400, {"jsonrpc": "2.0", "id": 7, "error": {"code": -32602, "message": "Invalid session of the shop"}}),
        (400, {"jsonrpc": "2.0", "id": None, "error": {"code": -32602, "message": "No such shelf"}}),
        (400, "No such shelf"),
        (410, "Session not found"),
    ],
)
async def test_a_call_that_the_server_may_have_run_is_not_repeated(forgetful, server, status, body):
    calls = []
    handle = forgetful.handle

    async def refuse(request):
        message = await request.json() if request.method == "POST" else {}
        if message.get("method") != "tools/call":
            return await handle(request)
        calls.append(message)
        return (
            web.Response(status=status, text=body) if isinstance(body, str) else web.json_response(body, status=status)
        )

    forgetful.answer = refuse
    assert (await server.call("run", {}, 5)).failure == "error"
    assert len(calls) == 1
