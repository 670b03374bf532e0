"""Slots for expensive work that callers share fairly: one caller's work delays that of others hardly at all."""

import asyncio
from collections import Counter, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from gateway.core.errors import Overloaded

_RETRY_AFTER = 10  # seconds


class FairQueue:
    """`slots` in all, of which one caller gets at most `per_caller`. Callers that wait take turns.

    At most `max_waiting` wait in all, and `caller_waiting` of one caller. In a full queue the newest turn of the caller
    with the most makes room for a caller with fewer. `refusal` is the error of the others.
    """

    def __init__(
        self,
        slots: int,
        per_caller: int,
        *,
        max_waiting: int = 64,
        caller_waiting: int = 16,
        refusal: str = "Too many documents wait to be read. Send this request again in a moment.",
    ) -> None:
        self._free = slots
        self._per_caller = per_caller
        self._max_waiting = max_waiting
        self._caller_waiting = caller_waiting
        self._refusal = refusal
        self._running: Counter[str] = Counter()
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}  # the caller whose turn is next comes first

    @asynccontextmanager
    async def slot(self, caller: str) -> AsyncIterator[None]:
        """Hold a slot inside the block, after the wait for it. Raises Overloaded if too many wait."""
        await self._enter(caller)
        try:
            yield
        finally:
            self._leave(caller)

    async def _enter(self, caller: str) -> None:
        if self._free and self._running[caller] < self._per_caller and caller not in self._waiting:
            self._take(caller)
            return
        own = len(self._waiting.get(caller, ()))
        is_full = sum(map(len, self._waiting.values())) >= self._max_waiting
        if own >= self._caller_waiting or (is_full and not self._displaced(own)):
            raise Overloaded(self._refusal, _RETRY_AFTER)
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(caller, deque()).append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                if turn.exception() is None:
                    self._leave(caller)  # the turn came in the moment of the cancellation
            elif turn in self._waiting.get(caller, ()):  # `_leave` may have dropped it
                self._drop(caller, turn)
            raise

    def _displaced(self, own: int) -> bool:
        """Refuse the newest turn of the caller with the most, if another caller has fewer even with one more."""
        largest = max(self._waiting.values(), key=len, default=None)
        if largest is None or own + 1 >= len(largest):
            return False
        largest.pop().set_exception(Overloaded(self._refusal, _RETRY_AFTER))
        return True

    def _leave(self, caller: str) -> None:
        self._free += 1
        self._running[caller] -= 1
        if not self._running[caller]:
            del self._running[caller]
        while self._free and (following := self._next()) is not None:
            turn = self._waiting[following][0]
            self._drop(following, turn)
            if not turn.done():  # it is when its task has been cancelled and did not run since
                self._take(following)
                turn.set_result(None)

    def _next(self) -> str | None:
        return next((caller for caller in self._waiting if self._running[caller] < self._per_caller), None)

    def _take(self, caller: str) -> None:
        self._free -= 1
        self._running[caller] += 1

    def _drop(self, caller: str, turn: "asyncio.Future[None]") -> None:
        """Remove a waiting turn; the caller's next turn comes after those of all others."""
        queue = self._waiting.pop(caller)
        queue.remove(turn)
        if queue:
            self._waiting[caller] = queue
