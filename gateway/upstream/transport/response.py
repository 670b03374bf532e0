"""The answer to one request: status and headers at once, the body as it comes."""

from gateway.upstream.transport.connection import Connection
from gateway.upstream.transport.content_encoding import Decoder
from gateway.upstream.transport.endpoint import Origin
from gateway.upstream.transport.pool import Pool


class Response:
    """Whoever has it calls `end`, in every case."""

    __slots__ = ("_connection", "_decoder", "_headers", "_origin", "_pool", "status")

    def __init__(self, connection: Connection, origin: Origin, pool: Pool) -> None:
        self.status = connection.status
        self._connection: Connection | None = connection
        self._headers = {name.lower(): value for name, value in connection.headers.items()}
        self._origin = origin
        self._pool = pool
        encoding = self._headers.get(b"content-encoding", b"identity").strip().lower()
        self._decoder = None if encoding == b"identity" else Decoder(encoding.decode("latin-1"))

    @property
    def headers(self) -> dict[str, str]:
        """All of them, the names in lower case."""
        return {name.decode("latin-1"): value.decode("latin-1") for name, value in self._headers.items()}

    @property
    def content_type(self) -> str:
        """The media type without its parameters, in lower case; empty when it is not said."""
        return self._headers.get(b"content-type", b"").partition(b";")[0].strip().lower().decode("latin-1")

    @property
    def is_event_stream(self) -> bool:
        """Whether the body is `text/event-stream`; cheaper than asking for the media type."""
        return b"text/event-stream" in self._headers.get(b"content-type", b"").lower()

    @property
    def read_to_end(self) -> bool:
        """Whether the whole body has come."""
        return self._connection is None or self._connection.complete

    async def read(self) -> bytes:
        """The next piece of the body; nothing at its end. Raises TransportError."""
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
        """No more of it is wanted: its connection is kept if the body has come to its end, else closed at once."""
        connection, self._connection = self._connection, None
        if connection is not None:
            self._pool.give(self._origin, connection)

    def abandon(self) -> None:
        """Close the connection, even if the body has come to its end."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.abort()
