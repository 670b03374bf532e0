"""HTTP to a tool server: answers of bounded size and time, and a request that fails is that request's failure alone."""

import asyncio
import math
from collections.abc import AsyncIterator
from typing import Any

import httpx2
from mcp_types import CONNECTION_CLOSED, INTERNAL_ERROR

_EVENTS = "text/event-stream"


class BoundedHttp(httpx2.AsyncHTTPTransport):
    """The SDK's HTTP, of which an answer has at most `most` bytes unless it is a stream of events, and one to a message
    is complete `within` seconds: servers of before 2026 are only asked to cancel a call, which not all of them do.

    What failed on its way is told as a JSON-RPC error, because an exception would end the connection, and with it all
    calls that are on their way. So is a refusal by HTTP status, which the SDK does not name.
    """

    def __init__(self, most: int, within: float) -> None:
        # Servers close idle connections after 5 seconds and more; a request must not meet that.
        super().__init__(trust_env=False, limits=httpx2.Limits(keepalive_expiry=2.0))
        self._most = most
        self._within = within

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """See AsyncHTTPTransport."""
        request.headers["Accept-Encoding"] = "identity"
        end = asyncio.get_running_loop().time() + self._within if request.method == "POST" else None
        try:
            async with asyncio.timeout_at(end):
                response = await super().handle_async_request(request)
        except (httpx2.TransportError, TimeoutError) as error:
            return _error(CONNECTION_CLOSED, f"Connection closed: {type(error).__name__}: {error}", 502)
        kind = response.headers.get("content-type", "").lower()
        if response.status_code >= 400 and response.status_code != 404 and not kind.startswith("application/json"):
            await response.aclose()
            return _error(INTERNAL_ERROR, f"the server answered with HTTP {response.status_code}", response.status_code)
        most: float = self._most
        if kind.startswith(_EVENTS):
            most = math.inf  # what bounds each event is the SDK
        elif response.headers.get("content-encoding", "identity") != "identity":
            most = 0
        return httpx2.Response(
            response.status_code,
            headers=response.headers,
            stream=_Bounded(response, most, end),
            extensions=response.extensions,
        )


def _error(code: int, message: str, status: int) -> httpx2.Response:
    error = {"code": code, "message": message}
    return httpx2.Response(status, json={"jsonrpc": "2.0", "id": None, "error": error})


class _Bounded(httpx2.AsyncByteStream):
    """A body that ends with StreamError when it grows too long, with ReadTimeout at its end of time. One that is
    compressed may not be of any length.
    """

    def __init__(self, response: Any, most: float, end: float | None) -> None:
        self._response = response
        self._left = most
        self._end = end

    async def __aiter__(self) -> AsyncIterator[bytes]:
        chunks = aiter(self._response.stream)
        while True:
            try:
                async with asyncio.timeout_at(self._end):
                    chunk = await anext(chunks)
            except StopAsyncIteration:
                return
            except TimeoutError:
                raise httpx2.ReadTimeout("the answer was not complete in time") from None
            self._left -= len(chunk)
            if self._left < 0:
                raise httpx2.StreamError("the answer is compressed, or larger than a message may be")
            yield chunk

    async def aclose(self) -> None:
        """See AsyncByteStream."""
        await self._response.aclose()
