"""Client connections. Responds to malformed requests without echoing parser errors, discards refused bodies, and serves
clients that shut down their sending side after the request.
"""

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, cast

from aiohttp import HttpVersion11, web
from aiohttp.http_exceptions import LineTooLong
from aiohttp.http_parser import HttpParser, RawRequestMessage
from aiohttp.streams import EMPTY_PAYLOAD
from aiohttp.web_protocol import RequestHandler

from gateway.http.keys import CONNECTIONS
from gateway.http.response_headers import SECURITY_HEADERS
from gateway.http.server.exact_routes import ExactRoutes
from gateway.http.server.head_limit import HEAD_LIMIT, HeadLimit
from gateway.http.server.listener import BACKLOG, queued_connections, stop_accepting
from gateway.http.server.request import Request

_MAX_HEADERS = HEAD_LIMIT // 4  # the shortest line has four bytes, so HEAD_LIMIT always applies first
_KEEP_ALIVE = 75.0  # seconds
_LINGER = 2.0  # seconds in which aiohttp reads and discards a refused body
_DISCARD_INTERVAL = 0.02  # seconds between two reads of a discarded body
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_FIRST_PROBE, _LAST_PROBE = 0.002, 1.0  # seconds between two probes of a half-closed connection; doubled each time
_SHUTDOWN_TIMEOUT = 1.0  # seconds for a handler at the end; `drain` has already waited for running answers


_Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


class _ErrorResponse(web.Response):
    """The response to a malformed request. No application handles it, so it removes the Server header itself."""

    async def _prepare_headers(self) -> None:
        await super()._prepare_headers()
        del self.headers["Server"]


class ClientConnection(RequestHandler):
    """One client connection."""

    __slots__ = ()

    def __init__(self, manager: web.Server, **kwargs: Any) -> None:
        super().__init__(manager, **kwargs)
        if self._parser is not None:
            self._parser = cast("HttpParser[Any]", HeadLimit(self._parser))

    def resume_reading(self, resume_parser: bool = True) -> None:
        """Resume reading. aiohttp calls this for every part of a body; it only matters after a pause."""
        if self._reading_paused:
            super().resume_reading(resume_parser)

    def discard_body(self, request: web.BaseRequest) -> None:
        """Drop what arrives of the refused body, slowly and without parsing it, while the client reads the response.

        The connection closes then: its next request could not be recognised.
        """
        if isinstance(self._parser, HeadLimit):
            self._parser.discard(self._pause_briefly)
        request._message = request._message._replace(should_close=True)  # noqa: SLF001  aiohttp has no other way

    def _pause_briefly(self) -> None:
        self._pause_transport_reading()
        self._loop.call_later(_DISCARD_INTERVAL, self._resume_transport_reading)

    def eof_received(self) -> bool | None:  # type: ignore[override]  # as asyncio.Protocol has it
        """The client sends nothing more. It may still read the response, or be gone: both look alike.

        So it gets something that every client skips: an interim response (HTTP/1.1), or a heartbeat in an event stream.
        A client that is gone answers it with a reset, and the connection is lost as soon as more is written. Requests
        that have arrived are answered in order. Other connections close at once: those of HTTP/1.0 and of TLS, those
        whose last request is incomplete, and those whose last response has begun and is no event stream.
        """
        transport, parser = self.transport, self._parser
        idle = self._waiter is not None and not self._waiter.done()
        if idle or transport is None or self._upgraded or transport.get_extra_info("sslcontext") is not None:
            return None
        head, body = parser.last if isinstance(parser, HeadLimit) else (None, EMPTY_PAYLOAD)
        if head is None or head.version < HttpVersion11 or not body.is_eof() or not self._can_probe():
            return None
        self._close_after_last_request()
        self._probe(_FIRST_PROBE)
        return True

    def _can_probe(self) -> bool:
        request = self._current_request
        if request is None or self._messages or not request.writer.output_size:
            return True
        return cast("Request", request).probe is not None

    def _close_after_last_request(self) -> None:
        if not self._messages:
            self.close()  # once the response has been sent
            return
        message, body = self._messages[-1]
        if isinstance(message, RawRequestMessage):  # else it is malformed, and its response ends the connection
            self._messages[-1] = (message._replace(should_close=True), body)

    def _probe(self, interval: float) -> None:
        """Find out whether the client is gone, until the connection closes."""
        request, transport = cast("Request | None", self._current_request), self.transport
        if transport is None or transport.is_closing():
            return
        if request is None:
            pass  # its handler is about to start, or has just ended
        elif not request.writer.output_size:
            transport.write(_CONTINUE)
        elif request.probe is not None:
            request.probe()
            request.probe = None  # it goes on by itself
        self._loop.call_later(interval, self._probe, min(2 * interval, _LAST_PROBE))

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """An empty response: 431 for oversized headers, 400 for malformed requests. aiohttp logs and handles a 500."""
        if status >= 500 or request.writer.output_size > 0:
            return super().handle_error(request, status, exc, message)
        if isinstance(exc, LineTooLong) or isinstance(exc.__cause__ if exc else None, LineTooLong):
            status = 431
        response = _ErrorResponse(status=status, headers=SECURITY_HEADERS)
        response.force_close()
        return response

    @property
    def busy(self) -> bool:
        """Whether a handler is answering a request."""
        return self._request_in_progress

    def close_if_idle(self, min_idle: float) -> None:
        """Close the connection if it has been idle for at least `min_idle` seconds."""
        idle_since = self._next_keepalive_close_time - _KEEP_ALIVE
        if self._waiter is not None and self._loop.time() - idle_since >= min_idle:
            self.force_close()

    def cancel_handler(self) -> None:
        """Cancel the running handler but not the connection, so the handler can still send a response."""
        if self._task_handler is not None:
            self._task_handler.cancel()  # this task awaits the handler's own task and passes the cancellation on
            self._task_handler.uncancel()


class Server(web.Server):
    """A server that creates ClientConnections."""

    def __call__(self) -> RequestHandler:
        """Create a connection."""
        return ClientConnection(self, loop=self._loop, **self._kwargs)


class Runner(web.AppRunner):
    """Runs an application on Server with the gateway's settings."""

    def __init__(self, app: web.Application) -> None:
        super().__init__(
            app,
            handler_cancellation=True,
            access_log=None,
            auto_decompress=False,
            keepalive_timeout=_KEEP_ALIVE,
            lingering_time=_LINGER,
            max_line_size=HEAD_LIMIT,
            max_field_size=HEAD_LIMIT,
            max_headers=_MAX_HEADERS,
            shutdown_timeout=_SHUTDOWN_TIMEOUT,
        )
        self._listening: socket.socket | None = None
        app[CONNECTIONS] = lambda: len(self.connections)

    async def listen(self, listening: socket.socket, tls: ssl.SSLContext | None = None) -> None:
        """Accept connections from this listening socket, encrypted with `tls`. The runner owns and closes it."""
        self._listening = listening
        await web.SockSite(self, listening, backlog=BACKLOG, ssl_context=tls).start()

    def stop_accepting(self) -> bool:
        """Stop accepting new connections but serve those already in the accept queue. False if not supported."""
        return self._listening is not None and stop_accepting(self._listening)

    @property
    def queued_connections(self) -> int:
        """The number of connections that the process has not accepted yet. Call it only after `stop_accepting`."""
        return 0 if self._listening is None else queued_connections(self._listening)

    async def stop_listening(self) -> None:
        """Close the listening socket. Open connections stay open."""
        for site in self.sites:
            await site.stop()
        self._listening = None

    @property
    def connections(self) -> list[ClientConnection]:
        """The open connections."""
        if self.server is None:
            return []
        return [connection for connection in self.server.connections if isinstance(connection, ClientConnection)]

    async def _make_server(self) -> web.Server:
        server = await super()._make_server()
        loop = asyncio.get_running_loop()
        return Server(
            cast("_Handler", ExactRoutes(self.app).handle),
            request_factory=partial(self.app._make_request, _cls=Request),  # noqa: SLF001  as aiohttp's own
            handler_cancellation=server.handler_cancellation,
            loop=loop,
            **server._kwargs,  # noqa: SLF001  aiohttp has no public way to set the connection's class
        )
