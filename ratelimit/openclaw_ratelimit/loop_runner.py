"""An event loop in a thread of its own, one per process, for callers that block."""

import asyncio
import atexit
import os
import threading
import weakref
from collections.abc import Callable, Coroutine
from concurrent.futures import CancelledError
from typing import TYPE_CHECKING, Any, Self, TypeVar

from openclaw_ratelimit.errors import UsageError

if TYPE_CHECKING:
    from openclaw_ratelimit.link import ReplicationLink

_Result = TypeVar("_Result")

_CLOSED = "closed: make a new LoopThread"
_LAST_WAIT = 1.0  # seconds for calls that run when the loop ends


class LoopRunner:
    """A thread with an event loop, and what is made for it, in each process.

    `link` makes the link to the shared storage, or is None. What is made, and the thread, begin with the first call.
    """

    def __init__(self, link: "Callable[[], ReplicationLink] | None" = None) -> None:
        self._make_link = link
        self._makers: list[Callable[[ReplicationLink | None], Any]] = []
        self._starting = threading.RLock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._link: ReplicationLink | None = None
        self._made: list[Any] = []
        self._closed = False
        forget = weakref.WeakMethod(self._forget)
        os.register_at_fork(after_in_child=lambda: _call(forget()))

    def run(self, call: Callable[[Any], Coroutine[Any, Any, _Result]], index: int) -> _Result:
        """The result of a call with what was made at this index. Raises what it raises, and UsageError when this is
        closed. An exception of a signal handler, as a server's time limit raises, cancels the call.
        """
        if threading.current_thread() is self._thread:
            raise UsageError("a blocking call from the limiter's own thread, as a listener's is, would never end")

        async def called() -> _Result:
            return await call(self._made[index])

        with self._starting:  # what is sent before `close` takes the lock is answered
            loop = self._started()
            future = asyncio.run_coroutine_threadsafe(called(), loop)
        try:
            return future.result()
        except CancelledError:
            raise UsageError(_CLOSED) from None
        except BaseException:
            future.cancel()
            raise

    def look(self, index: int) -> Any:
        """What was made at this index, for reading without a turn of its loop."""
        if self._loop is None:
            with self._starting:
                self._started()
        return self._made[index]

    def close(self) -> None:
        """End the thread and the link; later calls raise UsageError. So does this in the limiter's own thread."""
        if threading.current_thread() is self._thread:
            raise UsageError("the limiter's own thread, as a listener's is, can't close it")
        with self._starting:
            self._closed = True
            self._stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def add(self, make: "Callable[[ReplicationLink | None], Any]") -> int:
        """Have this made in each process; its index, for `run` and `look`. Raises UsageError after the first call."""
        with self._starting:
            if self._loop is not None:
                raise UsageError("the loop runs already: make limiters and quotas before the first call to one of them")
            self._makers.append(make)
            return len(self._makers) - 1

    def _started(self) -> asyncio.AbstractEventLoop:
        """The loop; the caller holds the lock."""
        if self._closed:
            raise UsageError(_CLOSED)
        if self._loop is None:
            self._start()
        assert self._loop is not None  # noqa: S101  for mypy
        return self._loop

    def _start(self) -> None:
        loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=loop.run_forever, name="openclaw-ratelimit", daemon=True)
        self._thread.start()
        try:
            asyncio.run_coroutine_threadsafe(self._make(), loop).result()
        except BaseException:
            self._end(loop)
            raise
        self._loop = loop
        atexit.register(self.close)

    async def _make(self) -> None:
        link = self._link = None if self._make_link is None else self._make_link()
        self._made = [make(link) for make in self._makers]
        if link is not None:
            await link.open()

    def _stop(self) -> None:
        loop, self._loop = self._loop, None
        if loop is not None:
            atexit.unregister(self.close)
            if self._link is not None:
                asyncio.run_coroutine_threadsafe(_close(self._link), loop).result()
            self._end(loop)

    def _end(self, loop: asyncio.AbstractEventLoop) -> None:
        asyncio.run_coroutine_threadsafe(_end_calls(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        assert self._thread is not None  # noqa: S101  for mypy
        self._thread.join()
        loop.close()

    def _forget(self) -> None:
        """In a forked process, where the thread does not exist: a new one starts when it is needed."""
        self._starting = threading.RLock()
        self._loop = self._thread = self._link = None


def _call(method: Callable[[], object] | None) -> None:
    if method is not None:
        method()


async def _end_calls() -> None:
    """Otherwise their threads would wait for ever. The link is closed, so calls over it end now."""
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    if tasks:
        _, late = await asyncio.wait(tasks, timeout=_LAST_WAIT)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)


async def _close(link: "ReplicationLink") -> None:
    await link.close()
    await link.client.aclose()
