"""One streamed response on a WebSocket: each event is a text message with the JSON that `data` of an SSE stream has."""

from collections.abc import Iterator
from typing import Self

from gateway.http.server.web_socket import ClientSocket
from gateway.wire.framing.sse import DONE

_DATA = b"\ndata: "
_END = b"\n\n"


class SocketStream:
    """A ClientStream. The WebSocket stays open after it. Pings are its heartbeat, so it needs no others."""

    opened_early = False

    def __init__(self, socket: ClientSocket, *_: object, **__: object) -> None:
        self.response = socket
        self.is_open = False

    async def relay(self, frames: bytes) -> None:
        """Send the events of whole frames. Raises ConnectionError if the client has left or stalls."""
        for payload in payloads(frames):
            self.is_open = True
            await self.response.send_text(payload)

    async def finish(self, frames: bytes) -> None:
        """Send the last events. Raises as `relay`."""
        await self.relay(frames)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, _kind: object, /, *_exc_info: object) -> None:
        """Nothing to close."""


def payloads(frames: bytes) -> Iterator[bytes]:
    """The JSON of each event in these frames; comments and `[DONE]` are no events."""
    for frame in frames.removesuffix(DONE).split(_END):
        if frame and not frame.startswith(b":"):
            yield frame.partition(_DATA)[2]
