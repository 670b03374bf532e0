"""A client whose responses can be observed, for traces. Without traces the plain client is used."""

from contextvars import ContextVar
from typing import Protocol

from gateway.upstream.http import Client
from gateway.upstream.transport.endpoint import Endpoint
from gateway.upstream.transport.response import Response


class Tap(Protocol):
    """Sees the body of a response."""

    def begin(self) -> None:
        """A response has begun; what came before belonged to another one."""
        ...

    def take(self, data: bytes) -> None:
        """The next part of the body."""
        ...


CURRENT_TAP: ContextVar[Tap | None] = ContextVar("current_tap", default=None)
"""What observes the request that this task makes next; None if nothing does."""


class TappedClient(Client):
    """Shows each response to the CURRENT_TAP of the task that asked for it."""

    async def post(self, endpoint: Endpoint, body: bytes, *, fresh: bool = False) -> Response:
        """See Client."""
        response = await super().post(endpoint, body, fresh=fresh)
        tap = CURRENT_TAP.get()
        if tap is None:
            return response
        tap.begin()
        return _TappedResponse(response, tap)


class _TappedResponse(Response):
    """The same response."""

    __slots__ = ("_tap",)

    def __init__(self, response: Response, tap: Tap) -> None:
        for name in Response.__slots__:
            setattr(self, name, getattr(response, name))
        self._tap = tap

    async def read(self) -> bytes:
        """See Response."""
        data = await super().read()
        self._tap.take(data)
        return data
