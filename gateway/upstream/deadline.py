"""Waiting limits for calls to providers, cheap enough for every read of every stream.

`asyncio.timeout` makes and cancels a timer each time, which is a tenth of what a small call costs. Here one timer looks
at all waiting calls ten times a second, and moving a limit is setting an attribute. Limits are kept to a tenth of a
second, which is as exact as limits of seconds and minutes need to be.
"""

import asyncio
from types import TracebackType
from typing import Self

_EVERY = 0.1  # seconds between looks


class Deadlines:
    """The limits of everything that waits in one event loop. Nothing runs while nothing waits."""

    def __init__(self) -> None:
        self._waiting: set[Deadline] = set()
        self._timer: asyncio.TimerHandle | None = None

    def at(self, when: float | None) -> "Deadline":
        """A limit in loop time, None for none yet; entered as a context by the task that waits."""
        return Deadline(self, when)

    def add(self, deadline: "Deadline") -> None:
        """Look at this one from now on."""
        self._waiting.add(deadline)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_EVERY, self._look)

    def remove(self, deadline: "Deadline") -> None:
        """Look at it no more."""
        self._waiting.discard(deadline)

    def _look(self) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        for deadline in self._waiting:
            if deadline.when is not None and deadline.when <= now:
                deadline.expire()
        self._timer = loop.call_later(_EVERY, self._look) if self._waiting else None


class Deadline:
    """One task's limit. `when` may be moved at any time; None suspends it.

    A context for one wait; else `start`, and `stop` in every case.
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
            raise RuntimeError("a deadline needs a task that waits")
        self._cancelling = self._task.cancelling()
        self._owner.add(self)

    def adopt(self) -> None:
        """Watch the current task instead: another one has begun what this one goes on with."""
        self._task = asyncio.current_task()
        self._cancelling = self._task.cancelling() if self._task is not None else 0
        self._expired = False

    def interrupted(self) -> bool:
        """Whether a CancelledError that reached the task is this limit's, and nobody else's. Ask once per error."""
        task = self._task
        if task is None or not self._expired:
            return False
        self._task = None
        return task.uncancel() <= self._cancelling

    def stop(self) -> None:
        """Watch no more."""
        self._owner.remove(self)
        if self._expired:
            self.interrupted()  # an interruption that never arrived is taken back

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        """Raises TimeoutError for a task that was interrupted by this limit, and by nobody else."""
        self._owner.remove(self)
        if self.interrupted() and kind is asyncio.CancelledError:
            raise TimeoutError from error

    def expire(self) -> None:
        """Interrupt the task, once."""
        self.when = None
        self._expired = True
        if self._task is not None:
            self._task.cancel()
