"""A worker whose parent ends: a process of its own, because `Parent` takes over standard input and output."""

import subprocess

import pytest

from gateway.core.child_process import python_command

WORKER = """
import asyncio, sys
from gateway.cli.parent import Parent
from gateway.cli.stop import Stop
from gateway.config.reload_status import ReloadStatus
from gateway.core.errors import Unavailable

async def work():
    problems = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: problems.append(context["message"]))
    stop = Stop()
    parent = Parent(ReloadStatus("file", 1, 0.0, watched=True))
    parent.listen(stop)
    first, second = (asyncio.create_task(parent.reload("request")) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    print("asked", file=sys.stderr, flush=True)
    await stop.requested.wait()
    third = asyncio.create_task(parent.reload("request"))
    done = await asyncio.gather(first, second, third, return_exceptions=True)
    print([type(one).__name__ for one in done], problems, file=sys.stderr)

asyncio.run(work())
"""


@pytest.mark.parametrize("reads", [True, False], ids=["its input ends first", "both ends are gone"])
def test_requests_to_reload_fail_at_the_end_of_the_parent_and_one_that_was_given_up_hinders_none(reads):
    command = [*python_command("x")[:-2], "-c", WORKER]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as worker:
        assert worker.stderr.readline() == b"asked\n"
        assert worker.stdout.readline() == worker.stdout.readline() == b"reload\n"
        if not reads:
            worker.stdout.close()
        worker.stdin.close()
        assert worker.stderr.read().decode() == "['CancelledError', 'Unavailable', 'Unavailable'] []\n"
