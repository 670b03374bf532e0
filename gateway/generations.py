"""The snapshot that new requests begin with, and the earlier ones that running requests still use."""

import asyncio
import weakref
from contextlib import AsyncExitStack

from gateway.http.keys import Current
from gateway.provision import Prepared


class Generations:
    """`number` counts the snapshots that have been in force, beginning with 1.

    A replaced snapshot is closed when the last request that began with it has ended. Close all of them at the end.
    """

    def __init__(self, current: Current, first: Prepared) -> None:
        self.number = 1
        self._current = current
        self._in_force = first
        self._loop = asyncio.get_running_loop()
        self._stacks: dict[int, AsyncExitStack] = {1: first.stack}
        self._closing: set[asyncio.Task[None]] = set()

    @property
    def in_use(self) -> int:
        """How many snapshots are in force or still used by requests."""
        return len(self._stacks)

    def swap(self, prepared: Prepared, document: bytes) -> None:
        """Put the snapshot in force for all requests that begin from now on."""
        weakref.finalize(self._in_force.snapshot.lifetime, self._unused, self.number).atexit = False
        self.number += 1
        self._stacks[self.number] = prepared.stack
        self._in_force = prepared
        self._current.snapshot, self._current.document = prepared.snapshot, document

    def _unused(self, number: int) -> None:
        """Any thread may drop the last reference."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._close_one, number)

    def _close_one(self, number: int) -> None:
        stack = self._stacks.pop(number, None)
        if stack is not None:
            task = self._loop.create_task(stack.aclose(), name=f"close configuration {number}")
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)

    async def close(self) -> None:
        """Close every snapshot, used or not."""
        for number in list(self._stacks):
            self._close_one(number)
        await asyncio.gather(*self._closing)
