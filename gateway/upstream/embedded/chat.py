"""Supervises the embedded chat model: starts its child process, and restarts it when it exits.

Requests go to `base_url`, as to any other provider.
"""

import asyncio
import secrets
import socket
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import structlog

from gateway.core.errors import Unavailable
from gateway.core.restart import RestartDelay
from gateway.upstream.embedded.child import ChildSettings
from gateway.upstream.embedded.models import MODEL
from gateway.upstream.embedded.process import Child, Spawn, spawn
from gateway.upstream.embedded.weights import chat_available, missing, weights_path

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class ChatSettings:
    """How the model runs. It answers `slots` requests at the same time; others wait. A slot takes 23 KB per token.

    One thread is the default, because two threads on a busy machine wait for each other: 1-9 tokens/s instead of 20.
    """

    threads: int = 1
    slots: int = 2
    slot_context: int = MODEL.context_window


class EmbeddedChat:
    """The chat model as an OpenAI-compatible endpoint on loopback. Until `start`, it only reserves a port.

    `base_url` and the random `api_key` stay the same over all restarts. `clock` and `sleep` count seconds.
    """

    def __init__(
        self,
        settings: ChatSettings | None = None,
        *,
        spawn: Spawn = spawn,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.api_key = secrets.token_urlsafe(32)
        self._settings = settings or ChatSettings()
        self._spawn = spawn
        self._clock = clock
        self._sleep = sleep
        self._reserved = _reserve_port()
        self.base_url = f"http://127.0.0.1:{self._reserved.getsockname()[1]}/v1"
        self._serving = asyncio.Event()
        self._supervisor: asyncio.Task[None] | None = None
        self._child: Child | None = None
        self._reason = "it is loading"
        self._closed = False

    @property
    def pid(self) -> int | None:
        """The child's process id, None without a child."""
        return self._child.pid if self._child else None

    async def start(self) -> None:
        """Start to load the model, once. Raises Unavailable if it is not installed, or closed."""
        if self._supervisor is not None:
            return
        if self._closed:
            raise Unavailable("The embedded model has been shut down with the gateway.")
        if not chat_available():
            raise missing("The embedded chat model")
        self._supervisor = asyncio.create_task(self._supervise(), name="embedded-chat")

    async def ready(self, limit: float = 30.0) -> None:
        """Start the model if it is not started, and wait until it serves. Raises Unavailable after `limit` seconds."""
        if self._serving.is_set():
            return
        await self.start()
        try:
            async with asyncio.timeout(limit):
                await self._serving.wait()
        except TimeoutError:
            raise Unavailable(
                f"The embedded model is not serving yet ({self._reason}). "
                "Try again shortly, or choose another model in agents.defaults.model."
            ) from None

    async def close(self) -> None:
        """End the child and wait for its exit. The model can't be started again."""
        self._closed = True
        self._reserved.close()
        supervisor, self._supervisor = self._supervisor, None
        if supervisor is not None:
            supervisor.cancel()
            await asyncio.wait([supervisor])
            _log.info("Embedded model closed")
            if not supervisor.cancelled():
                supervisor.result()  # it never returns, so this raises its exception

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def _supervise(self) -> None:
        delays = RestartDelay()
        while True:
            served_for = await self._run_child()
            delay = delays.after(served_for)
            _log.warning("Embedded model stopped", reason=self._reason, served_s=round(served_for, 1), restart_s=delay)
            await self._sleep(delay)

    async def _run_child(self) -> float:
        """Run one child until it exits. Returns the seconds that it served."""
        started = self._clock()
        served_since = None
        try:
            self._child = await self._spawn(self._child_settings())
            if await self._child.serving():
                served_since = self._clock()
                self._serving.set()
                _log.info("Embedded model serves", pid=self._child.pid, load_s=round(served_since - started, 1))
            self._reason = await self._child.ended()
        except (OSError, Unavailable) as error:
            self._reason = f"it could not be started: {error}"
        finally:
            self._serving.clear()
            child, self._child = self._child, None
            if child is not None:
                await child.stop()
        return 0.0 if served_since is None else self._clock() - served_since

    def _child_settings(self) -> ChildSettings:
        return ChildSettings(
            model=MODEL.chat_model,
            weights=str(weights_path()),
            port=self._reserved.getsockname()[1],
            threads=self._settings.threads,
            slots=self._settings.slots,
            slot_context=self._settings.slot_context,
            api_key=self.api_key,
        )


def _reserve_port() -> socket.socket:
    """A socket bound to a free loopback port. It does not listen, but no other program gets the port meanwhile."""
    reserved = socket.socket()
    reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    reserved.bind(("127.0.0.1", 0))
    return reserved
