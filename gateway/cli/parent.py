"""A worker's side of the pipes to its parent: it receives stop requests and configurations, and reports results."""

import asyncio
import os
import sys
from collections import deque
from typing import Any

import structlog

from gateway.cli import messages
from gateway.cli.stop import Stop
from gateway.config.load import Loaded
from gateway.config.reload_status import Reload, ReloadStatus, Trigger
from gateway.core.errors import ConfigError, Unavailable
from gateway.generations import Generations

log = structlog.get_logger(__name__)

_STOPPING = "The gateway is stopping."


class Parent:
    """See `Reloads`: the parent loads configurations for all of its workers."""

    def __init__(self, status: ReloadStatus) -> None:
        self.status = status
        self._messages = messages.Messages()
        self._asked: deque[asyncio.Future[Reload]] = deque()
        self._tasks: set[asyncio.Task[None]] = set()
        self._generations: Generations | None = None
        self._has_ended = False
        # Later output to standard output goes to standard error.
        self._output = os.dup(sys.stdout.fileno())
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())

    def report_serving(self, generations: Generations) -> None:
        """Report that this worker serves, and accept further configurations."""
        self._generations = generations
        messages.write_all(self._output, messages.SERVING)

    async def reload(self, _trigger: Trigger) -> Reload:
        """See `Reloads`. Raises Unavailable when the parent has ended."""
        if self._has_ended:
            raise Unavailable(_STOPPING)
        try:
            messages.write_all(self._output, messages.RELOAD)
        except BrokenPipeError:
            raise Unavailable(_STOPPING) from None
        answer: asyncio.Future[Reload] = asyncio.get_running_loop().create_future()
        self._asked.append(answer)
        return await answer

    def listen(self, stop: Stop) -> None:
        """Read the pipe in the running loop. Its end is a stop request."""
        loop = asyncio.get_running_loop()
        pipe = sys.stdin.fileno()
        os.set_blocking(pipe, False)

        def read() -> None:
            data = os.read(pipe, 2**16)
            if not data:
                loop.remove_reader(pipe)
                stop.abandon()
                self._has_ended = True
                for answer in self._asked:
                    if not answer.done():
                        answer.set_exception(Unavailable(_STOPPING))
                self._asked.clear()
            for kind, value in self._messages.feed(data):
                self._receive(kind, value, stop)

        loop.add_reader(pipe, read)

    async def close(self) -> None:
        """Wait for the end of what is being prepared."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _receive(self, kind: bytes, value: Any, stop: Stop) -> None:
        match kind:
            case messages.TERMINATE | messages.INTERRUPT:
                stop.request(notice=kind == messages.TERMINATE)
            case messages.PREPARE:
                self._start(self._prepare(value))
            case messages.COMMIT if self._generations is not None:
                self._generations.commit()
                messages.write_all(self._output, messages.DONE)
            case messages.DISCARD if self._generations is not None:
                self._start(self._generations.discard())
            case messages.STATUS:
                self.status = value
            case messages.RESULT if self._asked:
                if not (answer := self._asked.popleft()).done():
                    answer.set_result(value)
            case _:
                raise AssertionError(f"unexpected message {kind!r}")

    def _start(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _prepare(self, loaded: Loaded) -> None:
        if self._generations is None:
            raise AssertionError("a configuration arrived before this worker serves")
        try:
            await self._generations.prepare(loaded.config, loaded.env)
        except ConfigError as error:
            messages.write_all(self._output, messages.refused(error.problems))
        except Exception as error:  # whatever it is, no worker may get a configuration that another one can't use
            log.exception("Configuration can't be prepared")
            messages.write_all(self._output, messages.refused((f"internal error: {type(error).__name__}",)))
        else:
            messages.write_all(self._output, messages.DONE)
