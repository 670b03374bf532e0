"""HTTP to a tool server. Responses are bounded in size and time, and a failed request does not affect the others."""

import asyncio
import math
import re
from collections.abc import AsyncIterator
from typing import Any

import httpx2
from mcp_types import CONNECTION_CLOSED, INTERNAL_ERROR, METHOD_NOT_FOUND

from gateway.core.jsonio import InvalidJSON, loads

SESSION_LOST = -32_050
"""The JSON-RPC error code (ours) of a request that was not run because its session has ended."""

_EVENTS = "text/event-stream"
_SESSION = "mcp-session-id"
_MAX_ERROR_BYTES = 65_536
_NO_SESSION = re.compile(
    rb"(no valid|invalid|unknown|missing|expired|no such) (or \w+ )?session"
    rb"|session( id)? (is )?(not found|invalid|unknown|expired)",
    re.IGNORECASE,
)
_NO_CALL = (None, "server-error")  # the ids of errors that belong to no call


class BoundedHttp(httpx2.AsyncHTTPTransport):
    """The SDK's HTTP transport with limits. A response has at most `max_bytes` unless it is a stream of events. The
    response to a message must be complete within `timeout` seconds: a server from before 2026 may not cancel a call.

    A transport failure becomes a JSON-RPC error, because an exception would end the connection and all its calls. An
    HTTP error status becomes a JSON-RPC error too, because the SDK's own error does not name the status.
    """

    def __init__(self, max_bytes: int, timeout: float) -> None:
        # Servers close idle connections after 5 seconds or more. No request should use a connection that old.
        super().__init__(trust_env=False, limits=httpx2.Limits(keepalive_expiry=2.0))
        self._max_bytes = max_bytes
        self._timeout = timeout

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """See AsyncHTTPTransport."""
        request.headers["Accept-Encoding"] = "identity"
        deadline = asyncio.get_running_loop().time() + self._timeout if request.method == "POST" else None
        try:
            async with asyncio.timeout_at(deadline):
                response = await super().handle_async_request(request)
        except (httpx2.TransportError, TimeoutError) as error:
            return _error(CONNECTION_CLOSED, f"Connection closed: {type(error).__name__}: {error}", 502)
        if response.status_code in (400, 404) and _SESSION in request.headers:
            return await _session_error(response)
        kind = response.headers.get("content-type", "").lower()
        if response.status_code >= 400 and response.status_code != 404 and not kind.startswith("application/json"):
            await response.aclose()
            return _error(INTERNAL_ERROR, f"the server answered with HTTP {response.status_code}", response.status_code)
        max_bytes: float = self._max_bytes
        if kind.startswith(_EVENTS):
            max_bytes = math.inf  # the SDK limits each event
        elif response.headers.get("content-encoding", "identity") != "identity":
            max_bytes = 0
        return httpx2.Response(
            response.status_code,
            headers=response.headers,
            stream=_BoundedBody(response, max_bytes, deadline),
            extensions=response.extensions,
        )


async def _session_error(response: httpx2.Response) -> httpx2.Response:
    """The error of a 400 or 404 within a session.

    404: the server has forgotten the session, unless it says that it does not know the method. 400: it has, if it says
    so, as examples of the TypeScript SDK do, and not as the answer to the call. It has not run the request then.
    """
    body = b""
    async for chunk in response.aiter_raw():
        body += chunk
        if len(body) > _MAX_ERROR_BYTES:
            break
    await response.aclose()
    try:
        message = loads(body)
        code, call = message["error"]["code"], message.get("id")
    except (InvalidJSON, TypeError, KeyError):
        code = call = None
    status, names_session = response.status_code, _NO_SESSION.search(body) is not None
    if code == METHOD_NOT_FOUND or (status == 400 and code is not None and (call not in _NO_CALL or not names_session)):
        return httpx2.Response(status, headers={"content-type": "application/json"}, content=body)
    if status == 400 and not names_session:
        return _error(INTERNAL_ERROR, "the server answered with HTTP 400", status)
    return _error(SESSION_LOST, "the server has forgotten the session", 404)


def _error(code: int, message: str, status: int) -> httpx2.Response:
    error = {"code": code, "message": message}
    return httpx2.Response(status, json={"jsonrpc": "2.0", "id": None, "error": error})


class _BoundedBody(httpx2.AsyncByteStream):
    """A body that raises StreamError above `max_bytes` and ReadTimeout at its deadline (event loop time)."""

    def __init__(self, response: Any, max_bytes: float, deadline: float | None) -> None:
        self._response = response
        self._remaining = max_bytes
        self._deadline = deadline

    async def __aiter__(self) -> AsyncIterator[bytes]:
        chunks = aiter(self._response.stream)
        while True:
            try:
                async with asyncio.timeout_at(self._deadline):
                    chunk = await anext(chunks)
            except StopAsyncIteration:
                return
            except TimeoutError:
                raise httpx2.ReadTimeout("the answer was not complete in time") from None
            self._remaining -= len(chunk)
            if self._remaining < 0:
                raise httpx2.StreamError("the answer is compressed, or larger than a message may be")
            yield chunk

    async def aclose(self) -> None:
        """See AsyncByteStream."""
        await self._response.aclose()
