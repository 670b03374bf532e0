"""Keeps the embedded chat model alive: starts its child process, and starts it again when it dies.

Requests go to `base_url` like to any other provider; this file never sees one.
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
    """How the model is run. `slots` requests are answered side by side, more wait; memory is 23 KB per slot and token.

    One thread, because two on a busy machine wait for each other: 1-9 tokens/s instead of 20 and more.
    """

    threads: int = 1
    slots: int = 2
    slot_context: int = MODEL.context_window


class EmbeddedChat:
    """The chat model as an OpenAI-compatible endpoint on loopback. Made cheaply: it only holds a port until `start`.

    `base_url` and `api_key` (random) stay the same over all restarts. `clock` and `sleep` count seconds.
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
        self._port = _reserve_port()
        self.base_url = f"http://127.0.0.1:{self._port.getsockname()[1]}/v1"
        self._serving = asyncio.Event()
        self._keeper: asyncio.Task[None] | None = None
        self._child: Child | None = None
        self._trouble = "it is loading"
        self._closed = False

    @property
    def pid(self) -> int | None:
        """The child's process id, None while there is no child."""
        return self._child.pid if self._child else None

    async def start(self) -> None:
        """Begin to start the model, once. Raises Unavailable if it is not installed, or closed."""
        if self._keeper is not None:
            return
        if self._closed:
            raise Unavailable("The embedded model has been shut down with the gateway.")
        if not chat_available():
            raise missing("The embedded chat model")
        self._keeper = asyncio.create_task(self._keep_alive(), name="embedded-chat")

    async def ready(self, limit: float = 30.0) -> None:
        """Wait until the model serves, starting it if need be. Raises Unavailable after `limit` seconds."""
        if self._serving.is_set():
            return
        await self.start()
        try:
            async with asyncio.timeout(limit):
                await self._serving.wait()
        except TimeoutError:
            raise Unavailable(
                f"The embedded model is not serving yet ({self._trouble}). "
                "Try again shortly, or choose another model in agents.defaults.model."
            ) from None

    async def close(self) -> None:
        """End the child and wait for its end. It can't be started again."""
        self._closed = True
        self._port.close()
        keeper, self._keeper = self._keeper, None
        if keeper is not None:
            keeper.cancel()
            await asyncio.wait([keeper])
            _log.info("embedded_model_closed")
            if not keeper.cancelled():
                keeper.result()  # it never returns, so this raises what broke it

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def _keep_alive(self) -> None:
        delays = RestartDelay()
        while True:
            served_for = await self._one_life()
            delay = delays.after(served_for)
            _log.warning("embedded_model_stopped", reason=self._trouble, served_s=round(served_for, 1), restart_s=delay)
            await self._sleep(delay)

    async def _one_life(self) -> float:
        """Run one child to its end; the seconds that it served."""
        started = self._clock()
        served_since = None
        try:
            self._child = await self._spawn(self._child_settings())
            if await self._child.serving():
                served_since = self._clock()
                self._serving.set()
                _log.info("embedded_model_serving", pid=self._child.pid, load_s=round(served_since - started, 1))
            self._trouble = await self._child.ended()
        except (OSError, Unavailable) as error:
            self._trouble = f"it could not be started: {error}"
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
            port=self._port.getsockname()[1],
            threads=self._settings.threads,
            slots=self._settings.slots,
            slot_context=self._settings.slot_context,
            api_key=self.api_key,
        )


def _reserve_port() -> socket.socket:
    """A free loopback port, held without listening: nobody else is given it while the child is down or restarts."""
    held = socket.socket()
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    held.bind(("127.0.0.1", 0))
    return held
