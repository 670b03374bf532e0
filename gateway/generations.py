"""The snapshot that new requests begin with, and the earlier ones that running requests still use."""

import asyncio
import weakref
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

from gateway.config.root import Config
from gateway.config.secret_values import secret_values
from gateway.http.keys import Current
from gateway.observe.redact import hide_values
from gateway.parts import Parts
from gateway.provision import Prepared, prepared_from
from gateway.routes import document_of


@dataclass(frozen=True, slots=True)
class _Generation:
    config: Config
    env: Mapping[str, str] = field(repr=False)
    prepared: Prepared
    document: bytes
    secrets: frozenset[str] = field(repr=False)


@dataclass(frozen=True, slots=True)
class _Held:
    """What a snapshot has opened, without the snapshot: nothing but requests may keep a replaced one alive."""

    stack: AsyncExitStack
    secrets: frozenset[str] = field(repr=False)


class Generations:
    """Puts configurations in force in this process, in two steps: `prepare`, then `commit` or `discard`.

    A replaced snapshot is closed when the last request that began with it has ended. `on_prepare` are called with each
    configuration before it is accepted and may raise ConfigError; `on_commit` when it has come in force, the first one
    included. Close all of them at the end.
    """

    def __init__(self, parts: Parts) -> None:
        self.on_prepare: list[Callable[[Config], Awaitable[None]]] = []
        self.on_commit: list[Callable[[Config], None]] = []
        self._parts = parts
        self._loop = asyncio.get_running_loop()
        self._waiting: _Generation | None = None
        self._current: Current | None = None
        self._in_force: _Generation | None = None
        self._number = 0
        self._live: dict[int, _Held] = {}
        self._closing: set[asyncio.Task[None]] = set()

    @property
    def in_use(self) -> int:
        """How many snapshots are in force or still used by requests."""
        return len(self._live)

    @property
    def config(self) -> Config:
        """The configuration in force."""
        return self._accepted.config

    @property
    def env(self) -> Mapping[str, str]:
        """The environment that the configuration in force was made with."""
        return self._accepted.env

    @property
    def _accepted(self) -> _Generation:
        if self._in_force is None:
            raise AssertionError("no configuration is in force yet")
        return self._in_force

    @property
    def current(self) -> Current:
        """The snapshot in force, always the same object."""
        if self._current is None:
            raise AssertionError("no configuration is in force yet")
        return self._current

    async def prepare(self, config: Config, env: Mapping[str, str]) -> None:
        """Make the snapshot of a configuration; nothing uses it before `commit`. Raises ConfigError."""
        await self.discard()
        secrets = frozenset(secret_values(config))
        hide_values(secrets.union(*(one.secrets for one in self._live.values())))
        for check in self.on_prepare:
            await check(config)
        prepared = await prepared_from(config, env, self._parts)
        document = document_of(prepared.snapshot.endpoints)
        self._waiting = _Generation(config, env, prepared, document, secrets)

    def commit(self) -> None:
        """Put the prepared snapshot in force, for all requests that begin from now on."""
        generation, self._waiting = self._waiting, None
        if generation is None:
            raise AssertionError("nothing was prepared")
        if self._in_force is not None:
            lifetime = self._in_force.prepared.snapshot.lifetime
            weakref.finalize(lifetime, self._unused, self._number).atexit = False
        self._in_force = generation
        self._number += 1
        self._live[self._number] = _Held(generation.prepared.stack, generation.secrets)
        snapshot = generation.prepared.snapshot
        if self._current is None:
            self._current = Current(snapshot, generation.document)
        else:
            self._current.snapshot, self._current.document = snapshot, generation.document
        for follow in self.on_commit:
            follow(generation.config)

    async def discard(self) -> None:
        """Close what was prepared and is not put in force."""
        generation, self._waiting = self._waiting, None
        if generation is not None:
            await generation.prepared.close()

    def _unused(self, number: int) -> None:
        """Any thread may drop the last reference."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._close_unused, number)

    def _close_unused(self, number: int) -> None:
        self._close_one(number)
        hide_values(frozenset[str]().union(*(one.secrets for one in self._live.values())))

    def _close_one(self, number: int) -> None:
        held = self._live.pop(number, None)
        if held is not None:
            task = self._loop.create_task(held.stack.aclose(), name=f"close configuration {number}")
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)

    async def close(self) -> None:
        """Close every snapshot, used or not."""
        await self.discard()
        for number in list(self._live):
            self._close_one(number)
        await asyncio.gather(*self._closing)
