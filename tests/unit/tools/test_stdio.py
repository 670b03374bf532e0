"""Real programs, some of which misbehave."""

import asyncio
import sys
import time

import anyio
import pytest
from mcp import StdioServerParameters
from mcp.shared.message import SessionMessage
from mcp_types import jsonrpc_message_adapter

from gateway.tools.stdio import LineTooLong, stdio_streams
from tests.process import alive

PING = SessionMessage(jsonrpc_message_adapter.validate_python({"jsonrpc": "2.0", "id": 1, "method": "ping"}))
ANSWER = '{"jsonrpc": "2.0", "id": 1, "result": {}}'


def program(code, grace=0.3):
    return stdio_streams(StdioServerParameters(command=sys.executable, args=["-c", code], env={}), grace=grace)


async def until(condition):
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.01)


async def test_messages_come_whole_however_they_are_written():
    code = f"""
import os, sys
assert "ping" in sys.stdin.readline()
for piece in ({ANSWER[:10]!r}, {ANSWER[10:]!r} + "\\nhello\\n" + {ANSWER!r}, "\\n"):
    os.write(1, piece.encode())
"""
    async with program(code) as (reading, writing):
        await writing.send(PING)
        got = [item async for item in reading]
    assert [type(item) for item in got] == [SessionMessage, type(got[1]), SessionMessage]
    assert isinstance(got[1], ValueError)
    assert got[0].message.result == {}


async def test_a_line_without_end_ends_the_connection():
    async def read():
        async with program("import os\nwhile True: os.write(1, b'x' * 65536)") as (reading, _):
            assert [item async for item in reading] == []
            await asyncio.Event().wait()

    with pytest.raises(ExceptionGroup) as raised:
        await read()
    assert raised.group_contains(LineTooLong)


async def test_a_program_that_no_longer_reads_is_a_connection_that_ends():
    async with program("import os, time\nos.close(0)\ntime.sleep(60)") as (reading, writing):

        async def write():
            while True:
                await writing.send(PING)

        async with asyncio.timeout(60):
            with pytest.raises(anyio.BrokenResourceError):
                await write()
            assert [item async for item in reading] == []


@pytest.mark.parametrize("how", ["deaf", "chatty"])
async def test_a_program_that_does_not_exit_is_killed_with_its_children(how, tmp_path):
    note = tmp_path / "processes"
    busy = "while True: sys.stdout.write('x' * 1000 + '\\n')" if how == "chatty" else "time.sleep(600)"
    code = f"""
import os, pathlib, signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
note = pathlib.Path({str(note)!r})
note.with_suffix(".new").write_text(f"{{os.getpid()}} {{child.pid}}")
note.with_suffix(".new").rename(note)
{busy}
"""
    async with program(code):
        await until(note.exists)
        began = time.monotonic()
    assert time.monotonic() - began < 10, "four times its grace, and what a busy machine adds"
    processes = [int(process) for process in note.read_text().split()]
    await until(lambda: not any(map(alive, processes)))


async def test_a_program_that_ends_with_its_input_is_not_waited_for_longer():
    async with program("import sys; sys.stdin.read()", grace=60):
        began = time.monotonic()
    assert time.monotonic() - began < 30


async def test_a_missing_program_is_named():
    with pytest.raises(FileNotFoundError, match="no-such-program"):
        async with stdio_streams(StdioServerParameters(command="no-such-program")):
            pass
