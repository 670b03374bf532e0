"""The faults of `siege.py`, one after the other: killed gateways, a Redis that is full, frozen or flushed, a full disk,
and steps of the wall clock.
"""

import asyncio
import os
import signal
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

from siege_traffic import AFTERMATH, Traffic

from tests.e2e.stack import Stack

KILLED = 3  # the number of the gateway that is killed; the others' memory is measured
DETECTION = 3.0  # seconds in which requests of a killed process may still fail
DAY = 86_400.0
MEMORY = "256mb"  # of Redis, as in docker-compose.yml

Fault = Callable[[], Awaitable[None]]


class Faults:
    """Each method is one fault, from its beginning to its end. They last `seconds`, if they last."""

    def __init__(self, stack: Stack, traffic: Traffic, folder: Path, seconds: float) -> None:
        self._stack = stack
        self._traffic = traffic
        self._folder = folder
        self._seconds = seconds
        self.log: list[str] = []

    def schedule(self) -> list[tuple[str, Fault]]:
        """All faults in order, with their names."""
        return [
            ("a gateway killed", self.kill),
            ("Redis full", self.fill_redis),
            ("clock of one gateway +20 s", lambda: self.step(20, [1])),
            ("Redis frozen", self.freeze_redis),
            ("a gateway killed", self.kill),
            ("disk full", self.fill_disk),
            ("clock of all gateways -20 s", lambda: self.step(-20, [1, 2, KILLED])),
            ("Redis flushed", self.flush_redis),
            ("clock of one gateway +1 day", lambda: self.step(DAY, [2])),
            ("a gateway killed", self.kill),
        ]

    async def run(self, seconds: float) -> None:
        """All faults, evenly over this time."""
        faults = self.schedule()
        began = time.monotonic()
        for number, (name, fault) in enumerate(faults):
            await asyncio.sleep(max(0.0, began + seconds * (number + 0.5) / len(faults) - time.monotonic()))
            self.log.append(f"{time.strftime('%H:%M:%S')} {name}")
            await fault()

    async def kill(self) -> None:
        address = self._stack.address(KILLED)
        self._traffic.window("killed", DETECTION)
        process = self._stack.gateways[address].process
        process.signal(signal.SIGKILL)
        await process.ended()
        # Its conversations stay locked until its leases have expired.
        self._traffic.window("store", DETECTION + AFTERMATH)
        await self._stack.stop(KILLED)
        await self._stack.start(KILLED)

    async def fill_redis(self) -> None:
        window = self._traffic.window("store")
        await self._stack.redis.ask("CONFIG", "SET", "maxmemory", "1mb")
        await asyncio.sleep(self._seconds)
        await self._stack.redis.ask("CONFIG", "SET", "maxmemory", MEMORY)
        window.ended = time.monotonic() + AFTERMATH

    async def freeze_redis(self) -> None:
        window = self._traffic.window("store")
        self._stack.redis.freeze()
        await asyncio.sleep(self._seconds)
        self._stack.redis.thaw()
        window.ended = time.monotonic() + AFTERMATH

    async def flush_redis(self) -> None:
        self._traffic.window("store", AFTERMATH)
        # What was acknowledged before is gone by the operator's wish.
        self._traffic.flushed = float("inf")
        await self._stack.redis.flush()
        self._traffic.turns.clear()
        self._traffic.responses.clear()
        self._traffic.flushed = time.monotonic()

    async def fill_disk(self) -> None:
        window = self._traffic.window("store")
        filler = self._folder / "filler"
        with suppress(OSError), filler.open("wb", buffering=0) as file:
            while True:
                file.write(b"x" * 2**20)
        with suppress(OSError), filler.open("ab", buffering=0) as file:
            while True:
                file.write(b"x" * 512)
        await asyncio.sleep(self._seconds)
        filler.unlink()
        window.ended = time.monotonic() + AFTERMATH

    async def step(self, seconds: float, gateways: list[int]) -> None:
        for number in gateways:
            self._write_clock(number, seconds)
        await asyncio.sleep(self._seconds)
        for number in gateways:
            self._write_clock(number, 0)

    def _write_clock(self, number: int, seconds: float) -> None:
        file = self._folder / f"gateway-{number}" / "clock"
        new = file.with_suffix(".new")
        new.write_text(str(seconds))
        os.replace(new, file)
