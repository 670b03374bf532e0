"""One process of the benchmark, pinned to its cores. Its output is stored for error messages. `testbed` starts them."""

import http.client
import json
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from scenarios import TOKEN

BENCH = Path(__file__).resolve().parent
START_LIMIT = 30.0  # seconds
NO_ENV: Mapping[str, str] = {}


class ProgramError(Exception):
    """A program that did not start, ended early or answered with an error."""


def _environment() -> dict[str, str]:
    """The environment without variables that would change a start: another gateway's settings, no compiled modules."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("OPENCLAW_") and name != "PYTHONDONTWRITEBYTECODE"
    }


class Program:
    """A running process in its own process group. `stop` ends it, and so does the end of the context.

    With `asked`, it writes results of jobs to standard output (`ask`); otherwise that output is for errors too.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        pinned_to: set[int],
        env: Mapping[str, str] = NO_ENV,
        asked: bool = False,
    ) -> None:
        self.name = name
        self._output = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the process, `stop` closes it
        self.started = time.monotonic()
        self._process = subprocess.Popen(
            command,
            cwd=BENCH.parent,
            env=_environment() | dict(env),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE if asked else self._output,
            stderr=self._output,
            start_new_session=True,
        )
        self.pid = self._process.pid
        os.sched_setaffinity(self.pid, pinned_to)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Send SIGTERM. After ten seconds, kill the process and its children."""
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                os.killpg(self.pid, signal.SIGKILL)
                self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                stream.close()
        self._output.close()

    def failure(self, problem: str) -> ProgramError:
        """An error with the last lines of the program's output."""
        self._output.seek(0)
        tail = self._output.read().decode(errors="replace").splitlines()[-25:]
        return ProgramError("\n  ".join([f"{self.name}: {problem}", *tail]))

    def first_200(self, port: int, path: str) -> float:
        """Seconds from the start of the process to the first 200 on `path`."""
        while (waited := time.monotonic() - self.started) < START_LIMIT:
            if self._process.poll() is not None:
                raise self.failure(f"ended with status {self._process.returncode} instead of serving")
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=START_LIMIT)
            try:
                connection.request("GET", path, headers={"Authorization": f"Bearer {TOKEN}"})
                if connection.getresponse().status == 200:
                    return time.monotonic() - self.started
            except ConnectionError:
                pass  # not listening yet, the expected state until it serves
            finally:
                connection.close()
            time.sleep(0.002)
        raise self.failure(f"no 200 on {path} within {waited:.0f} s")

    def ask(self, job: Mapping[str, Any]) -> dict[str, Any]:
        """Send a job to the load generator and wait for its result."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(job).encode() + b"\n")
        self._process.stdin.flush()
        return self.answer()

    def answer(self) -> dict[str, Any]:
        """The next line of the load generator."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise self.failure("ended early")
        result: dict[str, Any] = json.loads(line)
        if "error" in result:
            raise ProgramError(result["error"])
        return result
