"""Timeouts for calls to providers, cheap enough for every read of every stream.

`asyncio.timeout` creates and cancels a timer each time, which takes a tenth of the time of a small call. Here one timer
checks all waiting calls ten times a second, and a deadline moves by setting an attribute. So a timeout is exact to a
tenth of a second, which is enough for timeouts of seconds and minutes.
"""

import asyncio
from types import TracebackType
from typing import Self

_CHECK_INTERVAL = 0.1  # seconds


class Deadlines:
    """All deadlines of one event loop. The timer runs only while a task waits."""

    def __init__(self) -> None:
        self._waiting: set[Deadline] = set()
        self._timer: asyncio.TimerHandle | None = None

    def at(self, when: float | None) -> "Deadline":
        """A deadline in loop time, None for no deadline yet. The waiting task enters it as a context."""
        return Deadline(self, when)

    def add(self, deadline: "Deadline") -> None:
        """Start to check this deadline."""
        self._waiting.add(deadline)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_CHECK_INTERVAL, self._check)

    def remove(self, deadline: "Deadline") -> None:
        """Stop checking this deadline."""
        self._waiting.discard(deadline)

    def _check(self) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        for deadline in self._waiting:
            if deadline.when is not None and deadline.when <= now:
                deadline.expire()
        self._timer = loop.call_later(_CHECK_INTERVAL, self._check) if self._waiting else None


class Deadline:
    """One task's deadline, `when` in loop time. Assign `when` to move it; None suspends it.

    A context manager for one wait. Otherwise call `start`, and `stop` in every case.
    """

    __slots__ = ("_cancelling", "_expired", "_owner", "_task", "when")

    def __init__(self, owner: Deadlines, when: float | None) -> None:
        self._owner = owner
        self._task: asyncio.Task[object] | None = None
        self._cancelling = 0
        self._expired = False
        self.when = when

    def start(self) -> None:
        """Watch the current task."""
        self._task = asyncio.current_task()
        if self._task is None:
            raise RuntimeError("only a task can enter a deadline")
        self._cancelling = self._task.cancelling()
        self._owner.add(self)

    def adopt(self) -> None:
        """Watch the current task instead; it continues the work of the task that called `start`."""
        self._task = asyncio.current_task()
        self._cancelling = self._task.cancelling() if self._task is not None else 0
        self._expired = False

    def interrupted(self) -> bool:
        """Whether only this deadline caused the CancelledError. Call it once per error."""
        task = self._task
        if task is None or not self._expired:
            return False
        self._task = None
        return task.uncancel() <= self._cancelling

    def stop(self) -> None:
        """Stop watching the task, and forget it: it may hold an exception whose frames hold this deadline."""
        self._owner.remove(self)
        if self._expired:
            self.interrupted()  # undo a cancellation that the task has not received
        self._task = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        """Raises TimeoutError if this deadline, and nothing else, cancelled the task."""
        self._owner.remove(self)
        interrupted = self.interrupted()
        self._task = None
        if interrupted and kind is asyncio.CancelledError:
            raise TimeoutError from error

    def expire(self) -> None:
        """Cancel the task, once."""
        self.when = None
        self._expired = True
        if self._task is not None:
            self._task.cancel()
