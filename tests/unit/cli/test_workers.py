"""The parent of workers, over processes that only do what a test needs."""

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from gateway.cli.worker_metrics import MetricsHub
from gateway.cli.workers import Workers, check_free
from gateway.http.server.listener import listen

SERVES = "import sys, os; os.write(1, b'serving\\n'); "
UNTIL_STOPPED = "sys.stdin.buffer.read(1); "
NEVER = 60.0  # seconds


class Started:
    """Workers that run `code`; each appends its number to a file as it starts."""

    def __init__(
        self, folder: Path, code: str, *, count: int = 2, shutdown_timeout: float = NEVER, program: str = sys.executable
    ) -> None:
        self._file = folder / "started"
        note = f"import sys; open({str(self._file)!r}, 'a').write(sys.argv[1] + '\\n'); "
        command = [program, "-c", note + code]
        self.announced = asyncio.Event()
        self._workers = Workers(
            count,
            command,
            announce=self.announced.set,
            shutdown_timeout=shutdown_timeout,
            metrics=MetricsHub(),
        )
        self.result = asyncio.create_task(self._workers.run())

    @property
    def numbers(self) -> list[str]:
        return sorted(self._file.read_text(encoding="ascii").split())

    async def end(self) -> int:
        async with asyncio.timeout(20):
            return await self.result


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not true():
            await asyncio.sleep(0.01)


async def test_workers_end_with_the_signal_to_their_parent(tmp_path):
    workers = Started(tmp_path, SERVES + UNTIL_STOPPED, count=3)
    await workers.announced.wait()
    os.kill(os.getpid(), signal.SIGTERM)
    assert await workers.end() == 0
    assert workers.numbers == ["1", "2", "3"]


async def test_an_error_that_stops_every_worker_is_met_once_and_its_status_is_the_parents(tmp_path):
    workers = Started(tmp_path, "sys.exit(78)", count=3)
    assert await workers.end() == 78
    assert workers.numbers == ["1"]
    assert not workers.announced.is_set()


async def test_a_worker_killed_before_it_served_is_a_failure(tmp_path):
    workers = Started(tmp_path, "import os; os.kill(os.getpid(), 9)")
    with capture_logs() as lines:
        assert await workers.end() == 1
    assert [(line["event"], line["status"]) for line in lines] == [
        ("Worker was killed before it served, so the gateway ends", -9)
    ]


async def test_a_worker_that_fails_after_the_first_has_served_ends_that_one_too(tmp_path):
    workers = Started(tmp_path, "sys.exit(3) if sys.argv[1] == '2' else None; " + SERVES + UNTIL_STOPPED)
    assert await workers.end() == 3
    assert workers.numbers == ["1", "2"]


async def test_workers_that_end_are_started_again_with_growing_delay(tmp_path):
    with capture_logs() as lines:
        workers = Started(tmp_path, SERVES + "sys.exit(5)", count=1)
        await until(lambda: len(lines) >= 2)
        os.kill(os.getpid(), signal.SIGINT)
        assert await workers.end() == 0
    assert [(line["worker"], line["status"], line["restart_s"]) for line in lines] == [(1, 5, 0.5), (1, 5, 1.0)]


async def test_a_worker_whose_program_is_missing_for_a_while_is_retried_and_the_others_live_on(tmp_path):
    """An upgrade replaces the interpreter: a restart then fails with ENOENT until the new one is in place."""
    program = tmp_path / "python"
    program.symlink_to(sys.executable)
    pids = tmp_path / "pids"
    code = f"open({str(pids)!r}, 'a').write(f'{{sys.argv[1]}} {{os.getpid()}}\\n'); "
    with capture_logs() as lines:
        workers = Started(tmp_path, "import os; " + code + SERVES + UNTIL_STOPPED, program=str(program))
        await workers.announced.wait()
        first, second = (int(line.split()[1]) for line in sorted(pids.read_text(encoding="ascii").splitlines()))
        program.unlink()
        os.kill(second, signal.SIGKILL)
        await until(lambda: any(line["event"] == "Worker can't be started" for line in lines))
        program.symlink_to(sys.executable)
        await until(lambda: workers.numbers == ["1", "2", "2"])
        os.kill(first, 0)  # raises if the healthy worker is gone
        os.kill(os.getpid(), signal.SIGTERM)
        assert await workers.end() == 0
    assert [(line["event"], line.get("status"), line.get("restart_s")) for line in lines][:3] == [
        ("Worker ended and is restarted", -signal.SIGKILL, 0.5),
        ("Worker can't be started", None, None),
        ("Worker ended and is restarted", 1, 1.0),
    ]


async def test_a_program_that_can_not_be_started_at_all_is_a_failure(tmp_path):
    with capture_logs() as lines:
        workers = Started(tmp_path, SERVES, program=str(tmp_path / "absent"))
        assert await workers.end() == 1
    assert [(line["event"], line["reason"]) for line in lines] == [
        ("Worker can't be started", "No such file or directory")
    ]


async def test_a_worker_that_does_not_end_is_killed_after_the_shutdown_timeout(tmp_path):
    deaf = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); " + SERVES + "import time; time.sleep(60)"
    with capture_logs() as lines:
        workers = Started(tmp_path, deaf, count=1, shutdown_timeout=0.1)
        await workers.announced.wait()
        os.kill(os.getpid(), signal.SIGTERM)
        assert await workers.end() == 0
    assert [line["event"] for line in lines] == ["Worker does not end and is killed"]


@pytest.mark.parametrize("shared", [True, False])
def test_a_port_that_another_process_listens_on_is_not_free(shared):
    with listen("127.0.0.1", 0, shared=shared) as listening, pytest.raises(OSError, match="in use"):
        check_free(*listening.getsockname())
