"""A stream of server-sent events to the client: opens late, writes in batches, sends heartbeats, limits stalls."""

import asyncio
import math
import time
from collections.abc import Awaitable, Callable
from typing import Self, cast

from aiohttp import web
from aiohttp_sse import EventSourceResponse

from gateway.http.keys import DRAIN, TRACE
from gateway.http.server.request import Request
from gateway.http.server.stalled import stalled

_STALL_TIMEOUT = 120.0  # seconds in which a client reads nothing
_NON_BLOCKING = 60 * 1024  # bytes that an empty write buffer accepts at once (its high-water mark is 64 KiB)
_FIRST_PROBE, _LAST_PROBE = 0.002, 1.0  # seconds between heartbeats to a client that may be gone; doubled each time


class EventStream(EventSourceResponse):
    """An SSE response. Its first write opens it, or else a heartbeat after `opening` seconds of silence.

    Before that, a failure can still set the status. Opening calls `headers`, with `early=True` for a heartbeat, because
    the answering model is not known yet. The heartbeat task writes between relayed frames, so relay only whole frames;
    `ping` is its frame, a comment unless the client's format has one.
    """

    _send_headers_immediately = False  # what opens the stream is written at once, so the head goes with it

    def __init__(
        self,
        request: web.Request,
        *,
        headers: Callable[..., dict[str, str]],
        heartbeat: float,
        opening: float,
        ping: bytes | None = None,
    ) -> None:
        # `_write` limits each write. The base class would set a socket option per stream, which accepted connections
        # inherit from the listening socket (`gateway.http.server.listener.listen`).
        super().__init__(sep="\n", allow_all_methods=True, ping_interval=heartbeat, send_timeout=None)
        self.headers["Content-Type"] = "text/event-stream; charset=utf-8"
        del self.headers["Connection"]  # aiohttp sets it according to the HTTP version
        self._request = request
        self._run_headers = headers
        self._ping_frame = ping
        self._opening: asyncio.Task[None] | None = None
        self._timer = asyncio.get_running_loop().call_later(opening, self._open_early)

    @property
    def is_open(self) -> bool:
        """Whether the status has been sent, so that a failure can only be reported in the stream."""
        return self.prepared or self._opening is not None

    @property
    def response(self) -> Self:
        """See ClientStream."""
        return self

    @property
    def opened_early(self) -> bool:
        """Whether a heartbeat opened the stream."""
        return self._opening is not None

    async def relay(self, frames: bytes) -> None:
        """Write whole frames. Raises ConnectionError if the client has left, or was dropped because it stalls."""
        if not self.prepared:
            await self._open()
        await self._write(self.write, frames)

    async def finish(self, frames: bytes) -> None:
        """Write the last frames and the end of the response, in one piece. Raises as `relay`."""
        if not self.prepared:
            await self._open()
        self._request.app[DRAIN].end_connection(self, self._request.transport)
        await self._write(self.write_eof, frames)
        self._request[TRACE].complete = self

    async def _write(self, write: Callable[[bytes], Awaitable[None]], frames: bytes) -> None:
        transport = self._request.transport
        if transport is not None and len(frames) < _NON_BLOCKING and not transport.get_write_buffer_size():
            await write(frames)  # the client keeps up: this can't block
            return
        try:
            async with asyncio.timeout(_STALL_TIMEOUT):
                await write(frames)
        except TimeoutError:
            self._abort_transport()
            raise stalled(self._request.path, _STALL_TIMEOUT) from None

    def probe(self) -> None:
        """Send heartbeats at once and often from now on: the client may be gone, which only a write can show."""
        if self._ping_task is not None:
            self._ping_task.cancel()
            self._ping_interval = min(self._ping_interval, _LAST_PROBE)
            self._ping_task = asyncio.get_running_loop().create_task(self._ping(_FIRST_PROBE))

    async def __aenter__(self) -> Self:
        cast("Request", self._request).probe = self.probe
        return self

    async def __aexit__(self, kind: object, /, *exc_info: object) -> None:
        self._timer.cancel()
        cast("Request", self._request).probe = None
        broken = kind is not None and self.is_open and self._req is not None
        if broken:
            self._abort_transport()  # the error handler would write its response into the stream
        try:
            if self._opening is not None:
                await asyncio.wait({self._opening})
            if self._ping_task is not None:
                self.stop_streaming()
                await self.wait()
        except asyncio.CancelledError:
            if not broken:  # else it comes of the broken connection, and must not hide what went wrong
                raise

    def _open_early(self) -> None:
        self._opening = asyncio.get_running_loop().create_task(self._send_heartbeat())

    async def _send_heartbeat(self) -> None:
        await self._prepare(early=True)
        await self.write(self._ping_frame or b": waiting for the model\n\n")

    async def _ping(self, interval: float = math.inf) -> None:
        """The heartbeat task of the base class, with the frame of the client's format, first after `interval`."""
        while True:
            await asyncio.sleep(min(interval, self._ping_interval))
            interval *= 2
            try:
                await self.write(self._ping_frame or b": ping\n\n")
            except (ConnectionResetError, RuntimeError):  # RuntimeError: the response has ended
                return

    async def _open(self) -> None:
        self._timer.cancel()
        if self._opening is not None:
            await self._opening
        else:
            await self._prepare(early=False)

    async def _prepare(self, *, early: bool) -> None:
        self.headers.update(self._run_headers(early=early))
        self._request[TRACE].first_byte = time.monotonic()
        await self.prepare(self._request)
