"""HTTP to a tool server: answers of a bounded size, and a request that fails is the failure of that request alone."""

from collections.abc import AsyncIterator
from typing import Any

import httpx2
from mcp_types import CONNECTION_CLOSED, INTERNAL_ERROR

_EVENTS = "text/event-stream"


class BoundedHttp(httpx2.AsyncHTTPTransport):
    """The SDK's HTTP, of which an answer has at most `most` bytes unless it is a stream of events.

    What failed on its way is told as a JSON-RPC error, because an exception would end the connection, and with it all
    calls that are on their way. So is a refusal by HTTP status, which the SDK does not name.
    """

    def __init__(self, most: int) -> None:
        # Servers close idle connections after 5 seconds and more; a request must not meet that.
        super().__init__(trust_env=False, limits=httpx2.Limits(keepalive_expiry=2.0))
        self._most = most

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """See AsyncHTTPTransport."""
        request.headers["Accept-Encoding"] = "identity"
        try:
            response = await super().handle_async_request(request)
        except httpx2.TransportError as error:
            return _error(CONNECTION_CLOSED, f"Connection closed: {type(error).__name__}: {error}", 502)
        kind = response.headers.get("content-type", "").lower()
        if response.status_code >= 400 and response.status_code != 404 and not kind.startswith("application/json"):
            await response.aclose()
            return _error(INTERNAL_ERROR, f"the server answered with HTTP {response.status_code}", response.status_code)
        if kind.startswith(_EVENTS):
            return response
        encoded = response.headers.get("content-encoding", "identity") != "identity"
        return httpx2.Response(
            response.status_code,
            headers=response.headers,
            stream=_Bounded(response, 0 if encoded else self._most),
            extensions=response.extensions,
        )


def _error(code: int, message: str, status: int) -> httpx2.Response:
    error = {"code": code, "message": message}
    return httpx2.Response(status, json={"jsonrpc": "2.0", "id": None, "error": error})


class _Bounded(httpx2.AsyncByteStream):
    """A body that ends with StreamError when it grows too long. One that is compressed may not be of any length."""

    def __init__(self, response: Any, most: int) -> None:
        self._response = response
        self._left = most

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for chunk in self._response.stream:
            self._left -= len(chunk)
            if self._left < 0:
                raise httpx2.StreamError("the answer is compressed, or larger than a message may be")
            yield chunk

    async def aclose(self) -> None:
        """See AsyncByteStream."""
        await self._response.aclose()
