"""The owner of a connection, against servers of the SDK in this process and against none."""

import asyncio
import sys
from contextlib import asynccontextmanager

import pytest
from mcp.client._memory import InMemoryTransport
from mcp.server.mcpserver import MCPServer

from gateway.config.mcp import McpServerConfig
from gateway.tools.filter import ToolFilter
from gateway.tools.mcp import McpServer, Timing, mcp_server
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
    """A sleep that waits until a test lets it go on."""

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
        async with asyncio.timeout(10), self._news:
            await self._news.wait_for(lambda: len(self.asked) >= count)


@asynccontextmanager
async def owned(transport, **settings):
    shared = {"timing": Timing(5, 5), "offered": ToolFilter(), "limits": ResultLimits()}
    server = McpServer("s", transport, **(shared | settings))
    server.start()
    try:
        async with asyncio.timeout(10):
            await server.settled()
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


async def test_what_can_not_be_reached_is_tried_again_after_growing_pauses():
    attempts = []

    @asynccontextmanager
    async def transport():
        attempts.append(1)
        if len(attempts) < 9:
            raise OSError("no such program: secret-of-the-server")
        async with InMemoryTransport(sdk_server()) as streams:
            yield streams

    pauses = Pauses()
    async with owned(transport, sleep=pauses, secrets=("secret-of-the-server",)) as server:
        output = await server.call("echo", {"text": "hi"}, 5)
        assert output.failure == "unavailable"
        for count in range(1, 9):
            await pauses.number(count)
            pauses.end()
        async with asyncio.timeout(10):
            while not server.available:
                await asyncio.sleep(0)
    assert pauses.asked == [1, 2, 4, 8, 16, 32, 60, 60]


async def test_a_server_that_says_nothing_is_given_up_at_the_limit_for_connecting():
    @asynccontextmanager
    async def silent():
        import anyio  # noqa: PLC0415

        sender, reading = anyio.create_memory_object_stream(0)
        writing, receiver = anyio.create_memory_object_stream(100)
        async with sender, reading, writing, receiver:
            yield reading, writing

    pauses = Pauses()
    async with owned(silent, timing=Timing(0.05, 5), sleep=pauses) as server:
        await pauses.number(1)
        assert not server.available


async def test_a_server_that_no_longer_answers_is_left_and_connected_anew():
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
        async with asyncio.timeout(10):
            while not server.available:
                await asyncio.sleep(0)
        assert (await server.call("echo", {"text": "hi"}, 5)).content[0].text == "hi"
        assert pauses.asked == [1]


async def test_tools_that_a_server_adds_are_found_at_the_next_look():
    inside = sdk_server()

    def late() -> str:
        return "late"

    async with owned(lambda: InMemoryTransport(inside)) as server:
        before = server.tools
        inside.add_tool(late, structured_output=False)
        server._look.set()
        async with asyncio.timeout(10):
            while server.tools is before:
                await asyncio.sleep(0)
        assert [tool.name for tool in server.tools] == ["echo", "other", "late"]


async def test_a_closed_server_ends_while_it_is_still_connecting(tmp_path):
    script = "import sys; sys.stdin.read()"
    entry = McpServerConfig(command=sys.executable, args=("-c", script))
    server = mcp_server("s", entry, ResultLimits())
    server.start()
    await asyncio.sleep(0)
    async with asyncio.timeout(10):
        await server.close()
    assert not server.available


@pytest.mark.parametrize("command", ["no-such-program-anywhere", sys.executable])
async def test_a_program_that_is_no_server_is_not_available(command):
    entry = McpServerConfig(command=command, args=("-c", "print('no protocol')"))
    server = mcp_server("s", entry, ResultLimits())
    server.start()
    try:
        async with asyncio.timeout(10):
            await server.settled()
        assert not server.available
        assert server.tools == ()
    finally:
        await server.close()
