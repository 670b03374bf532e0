"""The low end of the server: answers to what is not even a request, without a word from the parser."""

import asyncio
import socket
from typing import Any

from aiohttp import web
from aiohttp.http_exceptions import LineTooLong
from aiohttp.web_protocol import RequestHandler

from gateway.http.middleware.trace import SECURITY_HEADERS

_MAX_HEADER = 16 * 1024  # bytes of one line, as recorded for the whole block
_BACKLOG = 1024  # connections that may wait to be accepted
_UNACKNOWLEDGED = 120_000  # milliseconds
_LINGER = 2.0  # seconds in which a refused body may still be drained


class _Bare(web.Response):
    """The answer to what is no request: no application sees it, so what is true of every response is seen to here."""

    async def _prepare_headers(self) -> None:
        await super()._prepare_headers()
        del self.headers["Server"]


def listen(host: str, port: int) -> socket.socket:
    """A listening socket. Connections whose peer acknowledges nothing for a while end by themselves, also while they
    are only written to now and then (Linux; accepted sockets inherit the option). Raises OSError.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    made = socket.create_server((host, port), family=family, backlog=_BACKLOG)
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _UNACKNOWLEDGED)
    return made


class Connection(RequestHandler):
    """One client connection."""

    __slots__ = ()

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


class Server(web.Server):
    """A server whose connections are ours."""

    def __call__(self) -> RequestHandler:
        """A new connection."""
        return Connection(self, loop=self._loop, **self._kwargs)


class Runner(web.AppRunner):
    """Runs an application on our Server, with the settings that production needs and the test server hides."""

    def __init__(self, app: web.Application, **kwargs: Any) -> None:
        super().__init__(
            app,
            handler_cancellation=True,
            access_log=None,
            auto_decompress=False,
            keepalive_timeout=75,
            lingering_time=_LINGER,
            max_line_size=_MAX_HEADER,
            max_field_size=_MAX_HEADER,
            **kwargs,
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
