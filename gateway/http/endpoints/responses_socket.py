"""`GET /v1/responses` as a WebSocket: responses one after another on one connection.

https://www.openresponses.org/specification#websocket-transport
"""

import asyncio
from collections.abc import Mapping
from http import HTTPStatus

import structlog
from aiohttp import WSCloseCode, web

from gateway.core.errors import (
    BadRequest,
    Forbidden,
    GatewayError,
    Overloaded,
    PayloadTooLarge,
    RateLimited,
    Unauthorized,
)
from gateway.core.jsonio import dumps, loads
from gateway.core.tracebacks import drop_tracebacks
from gateway.http.answers.connection_memory import CONNECTION_MEMORIES, ConnectionMemory
from gateway.http.answers.socket_turn import EVENT, SocketEvent
from gateway.http.keys import CLIENT, DRAIN, PRINCIPAL, SERVICES, SNAPSHOT, TRACE
from gateway.http.large_bodies import LARGE_BODIES
from gateway.http.quota import identity
from gateway.http.routes import RESPONSES_BODY, Handler
from gateway.http.server.web_socket import ClientSocket
from gateway.http.whole_response import WholeResponse
from gateway.wire.openai_chat.error_body import error_body

log = structlog.get_logger(__name__)

SOCKET_TURN: web.AppKey[Handler] = web.AppKey("socket_turn")
"""Responds to one event, in the chain of checks."""

CONNECTION_LIMIT = web.AppKey("connection_limit", float)
"""Seconds after which a WebSocket ends; OpenResponses demands an hour."""
_MAX_WAITING = 4  # events that wait for the responses before them
_LIMIT_REACHED = BadRequest(
    "This WebSocket has reached its time limit. Open a new one to continue.", code="websocket_connection_limit_reached"
)
_TOO_MANY = RateLimited(
    f"More than {_MAX_WAITING} events wait for their responses. Wait for a response, or open another WebSocket.",
    1,
    why="events on a WebSocket",
    code="too_many_waiting_events",
)


async def responses_socket(request: web.Request) -> web.StreamResponse:
    """Open a WebSocket, and run an agent for each `response.create` event on it, one after the other."""
    _refuse_other_origins(request)
    app = request.app
    caller = identity(request[PRINCIPAL], request[CLIENT])
    socket = ClientSocket(RESPONSES_BODY, app[LARGE_BODIES], caller)
    await socket.prepare(request)
    try:
        with app[CONNECTION_MEMORIES].connected(app[SERVICES].stores.responses) as memory:
            await _Session(request, socket, memory).serve()
    finally:
        socket.release()
    return socket


def _refuse_other_origins(request: web.Request) -> None:
    """Any page in a browser can open a WebSocket, with the cookies of a proxy in front. `Origin` names the page."""
    origin = request.headers.get("Origin")
    if origin is not None and origin.partition("://")[2].lower() != request.headers.get("Host", "").lower():
        raise Forbidden("A page of another origin can't open a WebSocket here.")


class _Session:
    """The events of one WebSocket: one task reads them, another responds to them in turn."""

    def __init__(self, request: web.Request, socket: ClientSocket, memory: ConnectionMemory) -> None:
        self._request = request
        self._socket = socket
        self._memory = memory
        self._waiting: asyncio.Queue[SocketEvent | None] = asyncio.Queue()  # None ends the session
        self._number = 0
        self._ping_interval = request[SNAPSHOT].heartbeat
        del request[SNAPSHOT]  # an idle WebSocket must not hold a configuration that has been replaced
        self._ended = False
        self._last_error: GatewayError | None = None
        self._code = WSCloseCode.OK

    async def serve(self) -> None:
        """Serve the connection until either side ends it."""
        request, drain = self._request, self._request.app[DRAIN]
        loop = asyncio.get_running_loop()
        limit = loop.call_later(request.app[CONNECTION_LIMIT], self._reach_limit)
        drain.on_close.add(self._leave)
        reading = loop.create_task(self._read())
        responding = loop.create_task(self._respond())
        pings = loop.create_task(self._socket.send_pings(self._ping_interval))
        try:
            if drain.closed:
                self._leave()
            await asyncio.wait({reading, responding}, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:  # the client has left, or the drain waits no longer
            if drain.refusal(request) is None:
                raise
            self._code = WSCloseCode.GOING_AWAY
        finally:
            limit.cancel()
            drain.on_close.discard(self._leave)
            self._ended = True
            await self._end(responding, pings)  # a running response reports a drain that waits no longer
            await self._end(reading)  # before `_close`, which waits for the client's close frame
            self._release_waiting()
            await self._close()

    async def _end(self, *tasks: "asyncio.Task[None]") -> None:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        for task in tasks:
            try:
                error = task.exception()
            except asyncio.CancelledError as cancelled:
                drop_tracebacks(cancelled)  # the task would hold it, and the frames of its event
                continue
            if error is not None:
                log.error("WebSocket failed", path=self._request.path, exc_info=error)
                drop_tracebacks(error)
                self._code = WSCloseCode.INTERNAL_ERROR

    async def _close(self) -> None:
        try:
            if self._last_error is not None and not self._socket.closed:
                error = self._last_error
                await self._socket.send_text(_error_event(error.status, error_body(error), error.headers))
            await self._socket.close(code=self._code)
        except ConnectionError:
            log.debug("The client disconnected", path=self._request.path)

    def _reach_limit(self) -> None:
        self._last_error = _LIMIT_REACHED
        self._waiting.put_nowait(None)

    def _leave(self) -> None:
        """The process is stopping: the responses to the events so far are sent, then the WebSocket ends."""
        self._code = WSCloseCode.GOING_AWAY
        self._waiting.put_nowait(None)

    async def _read(self) -> None:
        """Read events until the client closes the WebSocket, or sends too much at once."""
        while True:
            try:
                message = await self._socket.next_message()
            except (PayloadTooLarge, Overloaded) as error:
                too_large = isinstance(error, PayloadTooLarge)
                self._code = WSCloseCode.MESSAGE_TOO_BIG if too_large else WSCloseCode.TRY_AGAIN_LATER
                self._last_error = error
                return
            if message is None:
                return
            body, reservation = message
            if self._waiting.qsize() >= _MAX_WAITING:
                reservation.release()
                self._last_error, self._code = _TOO_MANY, WSCloseCode.POLICY_VIOLATION
                return
            self._waiting.put_nowait(SocketEvent(body, reservation, self._socket, self._memory))

    async def _respond(self) -> None:
        try:
            while not self._ended and (event := await self._waiting.get()) is not None:
                try:
                    await self._respond_to(event)
                finally:
                    event.reservation.release()
        except ConnectionError:
            log.debug("The client disconnected", path=self._request.path)

    def _release_waiting(self) -> None:
        """Release the bytes of events that get no response. Call it when nothing reads any more."""
        while not self._waiting.empty():
            if (event := self._waiting.get_nowait()) is not None:
                event.reservation.release()

    async def _respond_to(self, event: SocketEvent) -> None:
        self._number += 1
        headers = self._request.headers.copy()
        headers["X-Request-ID"] = f"{self._request[TRACE].id}.{self._number}"
        turn = self._request.clone(headers=headers)
        turn[EVENT] = event
        # A task of its own, because the request's log context and its reservation of a large body end with it.
        response = await asyncio.create_task(_in_chain(turn))
        if response is self._socket:
            return
        given = {**response.given, **(turn[TRACE].added_headers or {})} if isinstance(response, WholeResponse) else {}
        body = loads(response.body) if isinstance(response, WholeResponse) else {}
        await self._socket.send_text(_error_event(response.status, body, {**given, "X-Request-ID": turn[TRACE].id}))
        if response.status == Unauthorized.status:
            self._code, self._ended = WSCloseCode.POLICY_VIOLATION, True


async def _in_chain(turn: web.Request) -> web.StreamResponse:
    response: web.StreamResponse = await turn.app[SOCKET_TURN](turn)
    return response


def _error_event(status: int, body: Mapping[str, object], headers: Mapping[str, str]) -> bytes:
    """The event for an error that came before its response. `code` is a string, as OpenResponses demands."""
    error = body.get("error")
    fields = error if isinstance(error, dict) else {"message": HTTPStatus(status).phrase, "type": "api_error"}
    code = fields.get("code") or fields["type"]
    event = {"type": "error", "status": status, "error": {**fields, "code": code}}
    shown = {name.lower(): value for name, value in headers.items() if name != "Content-Type"}
    return dumps({**event, "headers": shown} if shown else event)
