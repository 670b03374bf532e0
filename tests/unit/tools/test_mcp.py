"""The owner of a connection, with servers of the SDK in this process and without a server."""

import asyncio
import sys
from contextlib import asynccontextmanager

import anyio
import pytest
from mcp.client._memory import InMemoryTransport
from mcp.server.mcpserver import MCPServer
from mcp.shared.message import SessionMessage
from mcp_types import jsonrpc_message_adapter

from gateway.config.mcp import McpServerConfig
from gateway.tools.filter import ToolFilter
from gateway.tools.mcp import McpServer, Timing, mcp_server
from gateway.tools.mcp_secrets import Secrets
from gateway.tools.result import ResultLimits


def sdk_server():
    server = MCPServer("inside")

    @server.tool(structured_output=False)
    def echo(text: str) -> str:
        """Says it again."""
        return text

    @server.tool(structured_output=False)
    def other() -> str:
        """Something else."""
        return "other"

    return server


class Pauses:
    """A sleep that waits until a test ends it."""

    def __init__(self):
        self.asked = []
        self._news = asyncio.Condition()
        self._passes = asyncio.Semaphore(0)

    async def __call__(self, seconds):
        async with self._news:
            self.asked.append(seconds)
            self._news.notify_all()
        await self._passes.acquire()

    def end(self):
        self._passes.release()

    async def number(self, count):
        async with asyncio.timeout(60), self._news:
            await self._news.wait_for(lambda: len(self.asked) >= count)


HELLO = {"protocolVersion": "2025-06-18", "capabilities": {"tools": {}}, "serverInfo": {"name": "p", "version": "1"}}
ONE = {"tools": [{"name": "run", "inputSchema": {"type": "object"}}]}


class Peer:
    """A scripted server. By method it sends a result, an error, or None for no answer."""

    def __init__(self, *, deaf_after=None, **answers):
        self.answers = {"initialize": HELLO, "tools/list": ONE} | answers
        self.heard = []
        self._deaf_after = deaf_after

    @asynccontextmanager
    async def __call__(self):
        sending, reading = anyio.create_memory_object_stream(0)
        writing, hearing = anyio.create_memory_object_stream(0)
        async with sending, reading, writing, hearing, anyio.create_task_group() as tasks:
            tasks.start_soon(self._serve, hearing, sending)
            yield reading, writing
            tasks.cancel_scope.cancel()

    async def _serve(self, hearing, sending):
        while self._deaf_after not in self.heard:
            request = (await hearing.receive()).message
            self.heard.append(request.method)
            if getattr(request, "id", None) is None:
                continue
            answer = self.answers.get(request.method, {"code": -32601, "message": "no"})
            if answer is None:
                await sending.aclose()
                return
            kind = "error" if "code" in answer else "result"
            reply = jsonrpc_message_adapter.validate_python({"jsonrpc": "2.0", "id": request.id, kind: answer})
            await sending.send(SessionMessage(reply))
        await asyncio.Event().wait()


@asynccontextmanager
async def owned(transport, **settings):
    shared = {"timing": Timing(60, 60), "offered": ToolFilter(), "limits": ResultLimits()}
    server = McpServer("s", transport, **(shared | settings))
    server.start()
    try:
        async with asyncio.timeout(60):
            await server.first_attempt()
        yield server
    finally:
        await server.close()


async def test_a_server_is_asked_for_its_tools_and_called():
    async with owned(lambda: InMemoryTransport(sdk_server()), offered=ToolFilter(deny=("oth*",))) as server:
        assert server.available
        assert [tool.name for tool in server.tools] == ["echo"]
        output = await server.call("echo", {"text": "hi"}, 5)
    assert (output.content[0].text, output.failure) == ("hi", None)
    assert not server.available


async def test_an_unreachable_server_is_retried_with_backoff():
    attempts = []

    @asynccontextmanager
    async def transport():
        attempts.append(1)
        if len(attempts) < 9:
            raise OSError("no such program: secret-of-the-server")
        async with InMemoryTransport(sdk_server()) as streams:
            yield streams

    pauses = Pauses()
    async with owned(transport, sleep=pauses, secrets=Secrets(("secret-of-the-server",))) as server:
        output = await server.call("echo", {"text": "hi"}, 5)
        assert output.failure == "unavailable"
        for count in range(1, 9):
            await pauses.number(count)
            pauses.end()
        async with asyncio.timeout(60):
            while not server.available:
                await asyncio.sleep(0)
    assert pauses.asked == [1, 2, 4, 8, 16, 32, 60, 60]


async def test_connecting_to_a_server_that_does_not_answer_times_out():
    @asynccontextmanager
    async def silent():
        sender, reading = anyio.create_memory_object_stream(0)
        writing, receiver = anyio.create_memory_object_stream(100)
        async with sender, reading, writing, receiver:
            yield reading, writing

    pauses = Pauses()
    async with owned(silent, timing=Timing(0.05, 60), sleep=pauses) as server:
        await pauses.number(1)
        assert not server.available


async def test_a_server_that_stops_answering_is_reconnected():
    deaf = asyncio.Event()

    class Dropping:
        def __init__(self, stream):
            self._stream = stream

        def __getattr__(self, name):
            return getattr(self._stream, name)

        async def send(self, item):
            if not deaf.is_set():
                await self._stream.send(item)

        async def __aenter__(self):
            await self._stream.__aenter__()
            return self

        async def __aexit__(self, *details):
            return await self._stream.__aexit__(*details)

    @asynccontextmanager
    async def transport():
        async with InMemoryTransport(sdk_server()) as (reading, writing):
            yield reading, Dropping(writing)

    pauses = Pauses()
    async with owned(transport, timing=Timing(1, 0.1), sleep=pauses) as server:
        deaf.set()
        output = await server.call("echo", {"text": "hi"}, 5)
        assert (output.failure, output.content[0].text) == ("timeout", "Tool error: no answer within 0.1 seconds.")
        assert server.available
        await pauses.number(1)
        assert not server.available
        deaf.clear()
        pauses.end()
        async with asyncio.timeout(60):
            while not server.available:
                await asyncio.sleep(0)
        assert (await server.call("echo", {"text": "hi"}, 5)).content[0].text == "hi"
        assert pauses.asked == [1]


async def test_added_tools_appear_at_the_next_check():
    inside = sdk_server()

    def late() -> str:
        return "late"

    async with owned(lambda: InMemoryTransport(inside)) as server:
        before = server.tools
        inside.add_tool(late, structured_output=False)
        server._connection.check()
        async with asyncio.timeout(60):
            while server.tools is before:
                await asyncio.sleep(0)
        assert [tool.name for tool in server.tools] == ["echo", "other", "late"]


async def test_a_closed_server_ends_while_it_is_still_connecting(tmp_path):
    script = "import sys; sys.stdin.read()"
    entry = McpServerConfig(command=sys.executable, args=("-c", script))
    server = mcp_server("s", entry, ResultLimits())
    server.start()
    await asyncio.sleep(0)
    async with asyncio.timeout(60):
        await server.close()
    assert not server.available


@pytest.mark.parametrize("command", ["no-such-program-anywhere", sys.executable])
async def test_a_program_that_is_no_server_is_not_available(command):
    entry = McpServerConfig(command=command, args=("-c", "print('no protocol')"))
    server = mcp_server("s", entry, ResultLimits())
    server.start()
    try:
        async with asyncio.timeout(60):
            await server.first_attempt()
        assert not server.available
        assert server.tools == ()
    finally:
        await server.close()


async def test_a_server_that_calls_a_fault_of_its_own_a_closed_connection_stays():
    peer = Peer(**{"tools/call": {"code": -32000, "message": "out of tickets"}})
    async with owned(peer) as server:
        for _ in range(2):
            output = await server.call("run", {}, 5)
            assert (output.failure, output.content[0].text) == ("error", "Tool error: out of tickets")
        async with asyncio.timeout(60):
            while peer.heard.count("tools/list") < 2:
                await asyncio.sleep(0)
        assert server.available


@pytest.mark.parametrize("leaves", [False, True])
async def test_a_call_to_a_server_that_stops_reading_times_out(leaves):
    async with owned(Peer(deaf_after="tools/list")) as server:
        began = asyncio.get_running_loop().time()
        second = asyncio.create_task(server.call("run", {}, 60 if leaves else 0.05))
        if leaves:
            await asyncio.sleep(0)
            second.cancel()
            with pytest.raises(asyncio.CancelledError):
                await second
        else:
            assert (await second).failure == "timeout"
        assert asyncio.get_running_loop().time() - began < 2  # the SDK takes 5 seconds to tell such a server


async def test_a_server_that_disconnects_at_once_is_retried_with_backoff():
    peer, now = Peer(), 0.0
    peer.answers["tools/call"] = None
    pauses = Pauses()

    async def dies():
        async with asyncio.timeout(60):
            while not server.available:
                await asyncio.sleep(0)
        assert (await server.call("run", {}, 5)).failure == "unavailable"

    async with owned(peer, sleep=pauses, clock=lambda: now) as server:
        for count in range(1, 4):
            await dies()
            await pauses.number(count)
            pauses.end()
        async with asyncio.timeout(60):
            while not server.available:
                await asyncio.sleep(0)
        now = 31.0
        await dies()
        await pauses.number(4)
    assert pauses.asked == [1, 2, 4, 1]


async def test_only_the_beginning_of_an_endless_list_of_tools_is_read():
    many = [{"name": f"tool{number}", "inputSchema": {"type": "object"}} for number in range(300)]
    peer = Peer(**{"tools/list": {"tools": many, "nextCursor": "more"}})
    async with owned(peer) as server:
        assert len(server.tools) == 1000
        assert peer.heard.count("tools/list") == 4


async def test_one_tool_that_can_not_be_offered_does_not_cost_the_others():
    bad = [{"name": "u", "inputSchema": "text"}, {"name": "v", "inputSchema": {"type": "array"}}, {}, None]
    peer = Peer(**{"tools/list": {"tools": [*bad, *ONE["tools"]]}})
    async with owned(peer) as server:
        assert [(tool.name, tool.parameters) for tool in server.tools] == [
            ("run", {"type": "object", "properties": {}})
        ]


async def test_an_answer_is_not_checked_against_the_servers_schema():
    declared = {"name": "run", "inputSchema": {}, "outputSchema": {"properties": {"a": {"pattern": "^(a+)+$"}}}}
    answer = {"content": [], "structuredContent": {"a": "a" * 40 + "!"}}
    async with owned(Peer(**{"tools/list": {"tools": [declared]}, "tools/call": answer})) as server:
        async with asyncio.timeout(30):
            assert (await server.call("run", {}, 5)).content[0].text == '{"a":"' + "a" * 40 + '!"}'
