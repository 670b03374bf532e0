"""Events in Redis: a list and a lease per run. Both keys share a hash tag, so a cluster stores them in one slot.

The lease's value is `held`, `cancelled`, `ended`, or `cancelling` for a cancelled run whose lease has expired. A lease
is valid if it has not more time left than a new one: else the clock of Redis's machine went back. Times in the scripts
are milliseconds.
"""

import hashlib
import time
from collections.abc import Callable, Sequence
from typing import cast

from gateway.state.events.lease_watch import LeaseWatch
from gateway.state.events.store import PAGE, PAGE_BYTES, EventPage, EventPolicy, LeaseState
from gateway.state.redis_client import RedisClient
from gateway.state.redis_room import RESPONSES
from gateway.state.script import load_script

_MAX_EVENTS_PER_CALL = 500  # a script's stack holds some thousands of values
_READ_STEP = 20  # events that the script reads before it looks at their bytes

_RUNNING = 2 * 86_400.0  # seconds of life of the events of a run while it runs, whatever Redis's clock does
_UNKNOWN, _ENDED, _EXPIRED, _VALID = 0, 1, 2, 3  # what the script says of a lease

_BEGIN_RUN = load_script(__file__, "begin_run")
_ADD_EVENTS = load_script(__file__, "add_events")
_READ_EVENTS = load_script(__file__, "read_events")
_CANCEL_RUN = load_script(__file__, "cancel_run")
_DELETE_RUN = load_script(__file__, "delete_run")
_FINISH_RUN = load_script(__file__, "finish_run")


class RedisEvents:
    """See EventLog. All keys begin with `prefix`; `monotonic` counts seconds."""

    def __init__(
        self,
        redis: RedisClient,
        policy: EventPolicy,
        *,
        prefix: str,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._redis = redis
        self._watch = LeaseWatch(policy.grace, monotonic)
        self._running_ms = int(max(policy.retention, _RUNNING) * 1000)
        self._lease_ms = int(policy.lease * 1000)
        self._retention_ms = int(policy.retention * 1000)
        self._prefix = prefix

    async def begin(self, name: str) -> None:
        """See EventLog."""
        await self._redis.run_script(_BEGIN_RUN, self._keys(name), [self._lease_ms])

    async def add(self, name: str, number: int, events: Sequence[bytes], *, last: bool = False) -> LeaseState:
        """See EventLog."""
        if last or not events:
            return await self._add(name, number, events, last=last)
        with self._redis.room.reserve(sum(map(len, events)), RESPONSES):
            return await self._add(name, number, events, last=False)

    async def _add(self, name: str, number: int, events: Sequence[bytes], *, last: bool) -> LeaseState:
        state: LeaseState = "held"
        for start in range(0, max(1, len(events)), _MAX_EVENTS_PER_CALL):
            piece = events[start : start + _MAX_EVENTS_PER_CALL]
            is_last = "1" if last and start + _MAX_EVENTS_PER_CALL >= len(events) else "0"
            retention = self._retention_ms if is_last == "1" else self._running_ms
            arguments = [number + start, self._lease_ms, retention, is_last, *piece]
            result: bytes = await self._redis.run_script(_ADD_EVENTS, self._keys(name), arguments)
            state = cast(LeaseState, result.decode())
            if state == "lost":
                break
        return state

    async def read(self, name: str, number: int) -> EventPage:
        """See EventLog."""
        last = number + PAGE - 1 if number >= 0 else -1
        arguments = [number, last, self._lease_ms, PAGE_BYTES, _READ_STEP]
        state, events = await self._redis.run_script(_READ_EVENTS, self._keys(name), arguments)
        if state in (_UNKNOWN, _ENDED):
            self._watch.forget(name)
            return EventPage(tuple(events), held=False)
        return EventPage(tuple(events), self._watch.is_held(name, lease_is_valid=state == _VALID))

    async def cancel(self, name: str) -> None:
        """See EventLog."""
        await self._redis.run_script(_CANCEL_RUN, self._keys(name), [self._lease_ms])

    async def finish(self, name: str, number: int, event: bytes) -> bool:
        """See EventLog."""
        arguments = [number, self._retention_ms, event, self._lease_ms]
        finished = bool(await self._redis.run_script(_FINISH_RUN, self._keys(name), arguments))
        if finished:
            self._watch.forget(name)
        return finished

    async def delete(self, name: str) -> None:
        """See EventLog."""
        await self._redis.run_script(_DELETE_RUN, self._keys(name))

    def _keys(self, name: str) -> list[str]:
        digest = hashlib.sha256(name.encode()).hexdigest()[:40]
        return [f"{self._prefix}:response-events:{{{digest}}}", f"{self._prefix}:response-lease:{{{digest}}}"]
