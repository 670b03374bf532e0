"""A stream of server-sent events to the caller: opened late, written in batches, kept alive, bounded in waiting."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Self

import structlog
from aiohttp import web
from aiohttp_sse import EventSourceResponse

from gateway.http.keys import DRAIN

log = structlog.get_logger(__name__)

_STALLED = 120.0  # seconds that a reader may take nothing
_SMALL = 32 * 1024  # bytes that an empty write buffer takes without blocking (its high-water mark is 64 KiB)


class EventStream(EventSourceResponse):
    """An SSE response that is opened by its first write, or after `opening` seconds of silence, whichever is first.

    Until then a failure still gets its real status. `headers` is called at that moment; with `early=True` if silence
    opens the stream, when it is not known yet who will answer. The ping task writes between our writes, so only whole
    frames may be relayed.
    """

    def __init__(
        self, request: web.Request, *, headers: Callable[..., dict[str, str]], heartbeat: float, opening: float
    ) -> None:
        # The deadline of writes is ours: the base class would set the socket's own for each stream, which the listening
        # socket has done for all (`gateway.http.server.connections.listen`).
        super().__init__(sep="\n", allow_all_methods=True, ping_interval=heartbeat, send_timeout=None)
        self.headers["Content-Type"] = "text/event-stream; charset=utf-8"
        del self.headers["Connection"]  # aiohttp knows better, from the version of the request
        self._request = request
        self._run_headers = headers
        self._opening: asyncio.Task[None] | None = None
        self._timer = asyncio.get_running_loop().call_later(opening, self._open_early)

    @property
    def opened(self) -> bool:
        """Whether the status is sent: from here on a failure can only be reported in the stream."""
        return self.prepared or self._opening is not None

    @property
    def opened_early(self) -> bool:
        """Whether silence opened the stream."""
        return self._opening is not None

    async def relay(self, frames: bytes) -> None:
        """Write whole frames. Raises TimeoutError for a reader that has stalled for too long."""
        if not self.prepared:
            await self._open()
        await self._within_reason(self.write, frames)

    async def finish(self, frames: bytes) -> None:
        """Write the last frames and the end of the response, in one piece. Raises as `relay`."""
        if not self.prepared:
            await self._open()
        self._request.app[DRAIN].end_connection(self, self._request.transport)
        await self._within_reason(self.write_eof, frames)

    async def _within_reason(self, write: Callable[[bytes], Awaitable[None]], frames: bytes) -> None:
        transport = self._request.transport
        if transport is not None and len(frames) < _SMALL and not transport.get_write_buffer_size():
            await write(frames)  # the reader keeps up: this can't block
            return
        try:
            async with asyncio.timeout(_STALLED):
                await write(frames)
        except TimeoutError:
            self._abort_transport()
            raise

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        self._timer.cancel()
        if error is not None and self.opened and self._req is not None:
            if isinstance(error, Exception) and not isinstance(error, OSError):  # else the client has left, or stalled
                # Now: the end of the connection cancels this handler.
                log.error("Stream cut off", path=self._req.path, exc_info=error)
            self._abort_transport()  # whoever answers for the failure would answer in the midst of the stream
        if self._opening is not None:
            await asyncio.wait({self._opening})
        if self._ping_task is not None:
            self.stop_streaming()
            await self.wait()

    def _open_early(self) -> None:
        self._opening = asyncio.get_running_loop().create_task(self._say_hello())

    async def _say_hello(self) -> None:
        await self._prepare(early=True)
        await self.write(b": waiting for the model\n\n")

    async def _open(self) -> None:
        self._timer.cancel()
        if self._opening is not None:
            await self._opening
        else:
            await self._prepare(early=False)

    async def _prepare(self, *, early: bool) -> None:
        self.headers.update(self._run_headers(early=early))
        await self.prepare(self._request)
