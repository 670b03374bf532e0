"""The requests that the server makes: aiohttp's, with cheaper look-ups of values that may be absent."""

from collections.abc import Callable
from typing import Any

from aiohttp import web


class Request(web.Request):
    """aiohttp's mapping raises and catches a KeyError for each absent value; the chain asks for several per request."""

    ATTRS = web.Request.ATTRS | {"probe"}  # attributes that may be set

    probe: Callable[[], None] | None = None
    """Makes the response that has begun find out, from now on, whether the client still reads. None if it can't."""

    def get(self, key: Any, default: Any = None) -> Any:
        """The value of a key, or `default`."""
        return self._state.get(key, default)

    def __contains__(self, key: object) -> bool:
        return key in self._state
