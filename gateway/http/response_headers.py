"""The headers of every response: security headers, the request's id, and what the steps of the chain have added."""

import time
from collections.abc import Mapping
from email.utils import formatdate
from http import HTTPStatus

from aiohttp import HttpVersion10, web

from gateway.http.keys import TRACE
from gateway.http.server.drain import Drain

SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Permissions-Policy": "camera=(), microphone=(self), geolocation=()",
}


class ResponseHeaders:
    """Adds the headers to a response, or encodes the whole head of one.

    Once `drain` has started, every response also closes its connection.
    """

    def __init__(self, drain: Drain) -> None:
        self.configure({})
        self._drain = drain
        self._date = ""
        self._second = 0

    def configure(self, headers: Mapping[str, str]) -> None:
        """Set the headers that every response has by configuration."""
        self._common = {**SECURITY_HEADERS, **headers}
        self._common_lines = _lines(self._common)

    async def add(self, request: web.Request, response: web.StreamResponse) -> None:
        """The `on_response_prepare` signal."""
        headers = response.headers
        headers.update(self._common)
        del headers["Server"]  # as in OpenClaw; it would reveal the software and its version
        if (trace := request.get(TRACE)) is not None:
            headers["X-Request-ID"] = trace.id
            if trace.added_headers is not None:
                headers.update(trace.added_headers)
        if self._drain.started and response.status != HTTPStatus.SWITCHING_PROTOCOLS:
            response.force_close()
            headers["Connection"] = "close"

    def head(self, request: web.Request, status: str, own: Mapping[str, str], *, alive: bool) -> tuple[bytes, bool]:
        """The head of a response with the headers `own`, and whether its connection stays open.

        `status` is the code and its phrase, `alive` whether the response leaves the connection open. Raises ValueError
        for a value with a line break.
        """
        lines = _lines(own)
        trace = request[TRACE]
        lines += f"X-Request-ID: {trace.id}\r\n"
        if trace.added_headers is not None:
            lines += _lines(trace.added_headers)
        alive = alive and not self._drain.started
        old = request.version == HttpVersion10
        if old or not alive:
            lines += "Connection: keep-alive\r\n" if alive else "Connection: close\r\n"
        version = "1.0" if old else "1.1"
        head = f"HTTP/{version} {status}\r\nDate: {self._now()}\r\n{self._common_lines}{lines}\r\n"
        return head.encode(), alive

    def _now(self) -> str:
        second = int(time.time())
        if second != self._second:
            self._second, self._date = second, formatdate(second, usegmt=True)
        return self._date


def add_headers(request: web.Request, headers: Mapping[str, str]) -> None:
    """Add headers to the response of a request, whatever it will be."""
    if headers:
        trace = request[TRACE]
        trace.added_headers = {**(trace.added_headers or {}), **headers}


RESPONSE_HEADERS = web.AppKey("response_headers", ResponseHeaders)


def _lines(headers: Mapping[str, str]) -> str:
    lines = "".join([f"{name}: {value}\r\n" for name, value in headers.items()])
    if lines.count("\n") != len(headers) or lines.count("\r") != len(headers):
        raise ValueError("a header's value has a line break")
    return lines
