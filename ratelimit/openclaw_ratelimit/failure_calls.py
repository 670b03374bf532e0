"""Asks the shared storage to count failures. A failure counts once, also when its caller leaves before the answer."""

import asyncio
import itertools
import secrets
from collections.abc import Callable
from typing import Any

from openclaw_ratelimit.errors import StorageUnavailable
from openclaw_ratelimit.failure_replica import FailureReplica
from openclaw_ratelimit.verdict import Verdict


class FailureCalls:
    """The calls that are under way. `report` gets each key and verdict. `count_here` counts the failure of a caller
    that has left if the storage does not.
    """

    def __init__(
        self,
        replica: FailureReplica,
        *,
        report: Callable[[str, Verdict], object],
        count_here: Callable[[str, str], object],
    ) -> None:
        self.deciding: dict[str, int] = {}
        """Keys that the storage decides about now → the number of calls."""
        self._replica = replica
        self._report = report
        self._count_here = count_here
        self._prefix = secrets.token_hex(6)
        self._numbers = itertools.count(1)

    def new_id(self) -> str:
        """An id for a decision, unique over all instances."""
        return f"{self._prefix}-{next(self._numbers)}"

    async def ask(self, key: str, id: str) -> Verdict:  # noqa: A002  the field's name
        """Count one failure of `key`. Raises StorageUnavailable, and then the caller counts it."""
        self.deciding[key] = self.deciding.get(key, 0) + 1
        try:
            answer = self._replica.fail(key, id)
        except StorageUnavailable:
            self._decided(key)
            raise
        call = _Call()
        answer.add_done_callback(lambda answer: self._answered(key, id, answer, call))
        try:
            await asyncio.shield(answer)
        except asyncio.CancelledError:
            call.abandoned = True
            if call.failed:
                self._count_here(key, id)  # `_answered` ran before the caller had left
            raise
        assert call.verdict is not None  # noqa: S101  the callback ran before the answer was read
        return call.verdict

    def _answered(self, key: str, id: str, answer: "asyncio.Future[Any]", call: "_Call") -> None:  # noqa: A002
        self._decided(key)
        if answer.cancelled():
            return
        if answer.exception() is None:
            call.verdict = self._replica.failed(key, id, answer.result())
            self._report(key, call.verdict)
        else:
            call.failed = True
            if call.abandoned:
                self._count_here(key, id)

    def _decided(self, key: str) -> None:
        left = self.deciding[key] - 1
        if left:
            self.deciding[key] = left
        else:
            del self.deciding[key]


class _Call:
    """The verdict, whether the caller has left, whether the call failed."""

    __slots__ = ("abandoned", "failed", "verdict")

    def __init__(self) -> None:
        self.verdict: Verdict | None = None
        self.abandoned = False
        self.failed = False
