"""The response to one request: status and headers at once, the body as a stream."""

from gateway.upstream.transport.connection import ProviderConnection
from gateway.upstream.transport.content_encoding import Decoder
from gateway.upstream.transport.endpoint import Origin
from gateway.upstream.transport.pool import Pool


class Response:
    """The owner calls `end` in every case."""

    __slots__ = ("_connection", "_decoder", "_headers", "_origin", "_pool", "status")

    def __init__(self, connection: ProviderConnection, origin: Origin, pool: Pool) -> None:
        self.status = connection.status
        self._connection: ProviderConnection | None = connection
        self._headers = {name.lower(): value for name, value in connection.headers.items()}
        self._origin = origin
        self._pool = pool
        self._decoder: Decoder | None = None
        encoding = self._headers.get(b"content-encoding")
        if encoding is not None and (name := encoding.strip().lower()) != b"identity":
            self._decoder = Decoder(name.decode("latin-1"))

    @property
    def headers(self) -> dict[str, str]:
        """All headers. The names are in lower case."""
        return {name.decode("latin-1"): value.decode("latin-1") for name, value in self._headers.items()}

    @property
    def content_type(self) -> str:
        """The media type without parameters, in lower case; empty without the header."""
        return self._headers.get(b"content-type", b"").partition(b";")[0].strip().lower().decode("latin-1")

    @property
    def is_event_stream(self) -> bool:
        """Whether the body is `text/event-stream`; cheaper than asking for the media type."""
        return b"text/event-stream" in self._headers.get(b"content-type", b"").lower()

    @property
    def read_to_end(self) -> bool:
        """Whether the whole body has arrived."""
        return self._connection is None or self._connection.complete

    async def read(self) -> bytes:
        """The next part of the body, b"" at its end. Raises TransportError."""
        if self._connection is None:
            return b""
        if self._decoder is None:
            return await self._connection.read()
        while not (piece := self._decoder.take()):
            data = await self._connection.read()
            if not data:
                self._decoder.finish()
                return b""
            self._decoder.feed(data)
        return piece

    def end(self) -> None:
        """Stop reading. The connection returns to the pool if the body is complete; else it is aborted."""
        connection, self._connection = self._connection, None
        if connection is not None:
            self._pool.release(self._origin, connection)

    def abandon(self) -> None:
        """Abort the connection, even if the body is complete."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.abort()
