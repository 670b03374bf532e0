"""What makes a serving gateway load its configuration again: changed files, and SIGHUP."""

import asyncio
import signal
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import structlog

from gateway.config.reload_status import Reload, Trigger
from gateway.reloader import Reloader
from gateway.watch import Watch

log = structlog.get_logger(__name__)


class ReloadTriggers:
    """Calls `reload` until `close`. It owns every task that reloads."""

    def __init__(self, reloader: Reloader, reload: Callable[[Trigger], Awaitable[Reload]]) -> None:
        self._reloader = reloader
        self._reload = reload
        self._tasks: set[asyncio.Task[Any]] = set()

    def listen(self) -> None:
        """Begin, in the running loop."""
        reloader = self._reloader
        watch = Watch(lambda: reloader.files, lambda: self._reload("file"), enabled=lambda: reloader.status.watched)
        self.start(watch.run())
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, lambda: self.start(self._signalled()))

    def start(self, work: Coroutine[Any, Any, object]) -> None:
        """Run something that reloads, until `close`."""
        task = asyncio.get_running_loop().create_task(work, name="reload the configuration")
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    async def close(self) -> None:
        """Cancel what is running. A configuration that is not in force yet is discarded."""
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, lambda: None)
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    async def _signalled(self) -> None:
        if (await self._reload("signal")).status == "unchanged":
            log.info("Configuration is unchanged", signal="SIGHUP")

    def _ended(self, task: "asyncio.Task[Any]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("Reloading has ended", exc_info=error)
