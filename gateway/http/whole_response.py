"""A response whose body is known: whole answers and errors."""

from collections.abc import Mapping
from http import HTTPStatus

from aiohttp import web
from aiohttp.abc import AbstractStreamWriter

from gateway.http.response_headers import RESPONSE_HEADERS

_STATUS = {status.value: f"{status.value} {status.phrase}" for status in HTTPStatus} | {529: "529 Overloaded"}
_JOIN_LIMIT = 64 * 1024  # bytes; a longer body is not copied behind its head


class WholeResponse(web.StreamResponse):
    """A body of which nothing more is to come. `headers` has its type; the gateway's other headers are added.

    Head and body are encoded and written at once. aiohttp's general way (a dictionary of headers, signals, a buffer for
    the head) costs a twentieth of a small answer.
    """

    def __init__(self, body: bytes, headers: Mapping[str, str], *, status: int = 200) -> None:
        super().__init__(status=status)
        self.body = body
        self.given = headers
        self._alive: bool | None = None
        self._sent = False

    @property
    def keep_alive(self) -> bool | None:
        """Whether the connection stays open; None before `prepare` unless `force_close` was called."""
        return self._alive

    def force_close(self) -> None:
        """Close the connection after this response."""
        self._alive = False

    @property
    def prepared(self) -> bool:
        """Whether the response was sent."""
        return self._sent

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        """Send the response. Raises ConnectionResetError if the client has left."""
        writer = request.writer
        if self._sent:
            return writer
        if not isinstance(request, web.Request):
            raise TypeError("only an application's responses have its headers")
        self._sent = True
        body = self.body
        own = {**self.given, "Content-Length": str(len(body))}
        alive = request.keep_alive and self._alive is None
        head, self._alive = request.app[RESPONSE_HEADERS].head(request, _STATUS[self.status], own, alive=alive)
        if request.method == "HEAD":
            body = b""
        transport = request.transport
        if transport is None or transport.is_closing():
            raise ConnectionResetError("the client has left")
        writer.output_size += len(head) + len(body)
        if len(body) < _JOIN_LIMIT:
            transport.write(head + body)
        else:
            transport.writelines((head, body))
        return writer

    async def write_eof(self, data: bytes = b"") -> None:
        """Nothing is left: `prepare` has sent the body."""
