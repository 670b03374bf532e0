"""A fake provider with a scripted model per test. It runs in the event loop of the tests."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

KEY = "sk-fake-0123456789abcdefghijklmnopqrstuv"


@dataclass(frozen=True)
class Asked:
    """One request as the provider got it."""

    path: str
    headers: dict[str, str]
    body: dict[str, Any]


@dataclass
class Model:
    """One model of the fake provider: its answer, and the requests that it got."""

    id: str
    answer: "Answer"
    asked: list[Asked] = field(default_factory=list)
    arrived: asyncio.Event = field(default_factory=asyncio.Event)
    abandoned: asyncio.Event = field(default_factory=asyncio.Event)
    """The gateway closed the connection before the answer was complete."""
    seen: asyncio.Event = field(default_factory=asyncio.Event)
    """Set by a test when the beginning of the answer has reached it."""

    @property
    def chosen(self) -> dict[str, str]:
        """The request header that selects this model."""
        return {"x-openclaw-model": f"fake/{self.id}"}

    @property
    def body(self) -> dict[str, Any]:
        """The only request's body."""
        (asked,) = self.asked
        return asked.body


Answer = Callable[[web.Request, Model], Awaitable[web.StreamResponse]]


class Provider:
    """Serves chat completions and embeddings; `url` ends with `/v1`."""

    def __init__(self) -> None:
        self.url = ""
        self._models: dict[str, Model] = {}
        self._names = itertools.count(1)
        self._runner: web.AppRunner | None = None

    def model(self, answer: Answer, name: str | None = None) -> Model:
        """A model with this answer, with a unique name unless one is given."""
        model = Model(name or f"model-{next(self._names)}", answer)
        self._models[model.id] = model
        return model

    @property
    def open_connections(self) -> int:
        """The number of the gateway's connections to this provider, including idle ones."""
        assert self._runner is not None
        assert self._runner.server is not None
        # aiohttp still lists a connection whose handler is being cancelled, although its socket is closed.
        return sum(connection.transport is not None for connection in self._runner.server.connections)

    @asynccontextmanager
    async def serving(self) -> AsyncIterator["Provider"]:
        app = web.Application(client_max_size=2**26)
        app.router.add_post("/v1/{endpoint:.*}", self._handle)
        self._runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1, access_log=None)
        await self._runner.setup()
        try:
            site = web.TCPSite(self._runner, "127.0.0.1", 0)
            await site.start()
            self.url = f"http://127.0.0.1:{site.port}/v1"
            yield self
        finally:
            await self._runner.cleanup()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        model = self._models[body["model"]]
        model.asked.append(Asked(request.path, dict(request.headers), body))
        model.arrived.set()
        try:
            return await model.answer(request, model)
        except asyncio.CancelledError:
            model.abandoned.set()
            raise
        except ConnectionResetError:  # the gateway left while the answer was written
            model.abandoned.set()
            return web.Response()
