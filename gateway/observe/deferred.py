"""Calls observers of what has ended a moment later and several at a time.

The code of an observer is small, but a request that runs it alone runs it with cold caches: together, each call costs a
fraction. Nobody waits for an observer; who reads what they count calls `drain` first.
"""

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

import structlog

log = structlog.get_logger(__name__)

T = TypeVar("T")

_MAX_WAITING = 32  # a drain takes about half a millisecond
_SECONDS = 0.05  # until a drain


class Deferred:
    """What waits for its observers: at most some dozens, for a twentieth of a second. For one event loop."""

    def __init__(self) -> None:
        self._waiting: list[tuple[tuple[Callable[[Any], None], ...], Any]] = []
        self._timer: asyncio.TimerHandle | None = None

    def add(self, observers: tuple[Callable[[T], None], ...], ended: T) -> None:
        """Call each of `observers` with `ended` soon. They must neither raise nor block."""
        waiting = self._waiting
        waiting.append((observers, ended))
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_SECONDS, self.drain)
        elif len(waiting) == _MAX_WAITING:
            asyncio.get_running_loop().call_soon(self.drain)

    def observer(self, *observers: Callable[[T], None]) -> Callable[[T], None]:
        """An observer that calls these ones soon."""

        def observe(ended: T) -> None:
            self.add(observers, ended)

        return observe

    def drain(self) -> None:
        """Call now what waits."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        waiting, self._waiting = self._waiting, []
        groups: dict[int, tuple[tuple[Callable[[Any], None], ...], list[Any]]] = {}
        for observers, ended in waiting:
            groups.setdefault(id(observers), (observers, []))[1].append(ended)
        for observers, all_ended in groups.values():
            for observe in observers:
                for ended in all_ended:
                    try:
                        observe(ended)
                    except Exception:  # a defect: what the others count must not depend on it
                        log.exception("An observer failed")
