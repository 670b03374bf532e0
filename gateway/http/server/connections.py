"""The low end of the server: answers to what is not even a request, without a word from the parser."""

import asyncio
import socket
from typing import Any, cast

from aiohttp import web
from aiohttp.http_exceptions import LineTooLong
from aiohttp.http_parser import HttpParser
from aiohttp.web_protocol import RequestHandler

from gateway.http.server.head_limit import HEAD_LIMIT, HeadLimit
from gateway.http.server.listener import BACKLOG, stop_accepting
from gateway.http.trace import SECURITY_HEADERS

_MAX_HEADERS = HEAD_LIMIT // 4  # the shortest line has four bytes: the one limit that counts is that of the head
_KEEP_ALIVE = 75.0  # seconds
_LINGER = 2.0  # seconds in which a refused body may still be drained
_LAST_CALL = 1.0  # seconds that a handler gets at the end; `drain` has waited for those that deserved it


class _Bare(web.Response):
    """The answer to what is no request: no application sees it, so what is true of every response is seen to here."""

    async def _prepare_headers(self) -> None:
        await super()._prepare_headers()
        del self.headers["Server"]


class Connection(RequestHandler):
    """One client connection."""

    __slots__ = ()

    def __init__(self, manager: web.Server, **kwargs: Any) -> None:
        super().__init__(manager, **kwargs)
        if self._parser is not None:
            self._parser = cast("HttpParser[Any]", HeadLimit(self._parser))

    def resume_reading(self, resume_parser: bool = True) -> None:
        """Read on; asked for each piece that is taken from a body, and nothing to do but after a pause."""
        if self._reading_paused:
            super().resume_reading(resume_parser)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """An empty response: 431 for oversized headers, 400 for garbage; a real 500 goes aiohttp's way (logged)."""
        if status >= 500 or request.writer.output_size > 0:
            return super().handle_error(request, status, exc, message)
        if isinstance(exc, LineTooLong) or isinstance(exc.__cause__ if exc else None, LineTooLong):
            status = 431
        response = _Bare(status=status, headers=SECURITY_HEADERS)
        response.force_close()
        return response

    @property
    def busy(self) -> bool:
        """Whether a request is being answered."""
        return self._request_in_progress

    def close_if_idle(self, rested: float) -> None:
        """Close it if it has waited for a request for at least `rested` seconds."""
        idle_since = self._next_keepalive_close_time - _KEEP_ALIVE
        if self._waiter is not None and self._loop.time() - idle_since >= rested:
            self.force_close()

    def interrupt(self) -> None:
        """Cancel the handler at work, and only it: the connection can still carry what the handler then answers."""
        if self._task_handler is not None:
            self._task_handler.cancel()  # it waits for the handler's own task and hands the cancellation on
            self._task_handler.uncancel()


class Server(web.Server):
    """A server whose connections are ours."""

    def __call__(self) -> RequestHandler:
        """A new connection."""
        return Connection(self, loop=self._loop, **self._kwargs)


class Runner(web.AppRunner):
    """Runs an application on our Server, with the settings that production needs and the test server hides."""

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
            shutdown_timeout=_LAST_CALL,
        )
        self._listening: socket.socket | None = None

    async def listen(self, listening: socket.socket) -> None:
        """Accept connections from this listening socket, which is the runner's from now on."""
        self._listening = listening
        await web.SockSite(self, listening, backlog=BACKLOG).start()

    def stop_accepting(self) -> bool:
        """Let no connection begin, while those in the queue are still accepted. False where that can't be done."""
        return self._listening is not None and stop_accepting(self._listening)

    async def stop_listening(self) -> None:
        """Close the listening socket; connections stay."""
        for site in self.sites:
            await site.stop()
        self._listening = None

    @property
    def connections(self) -> list[Connection]:
        """What is open."""
        return (
            [] if self.server is None else [found for found in self.server.connections if isinstance(found, Connection)]
        )

    async def _make_server(self) -> web.Server:
        made = await super()._make_server()
        loop = asyncio.get_running_loop()
        return Server(
            made.request_handler,
            request_factory=made.request_factory,
            handler_cancellation=made.handler_cancellation,
            loop=loop,
            **made._kwargs,  # noqa: SLF001  aiohttp has no public way to name the connection's class
        )
