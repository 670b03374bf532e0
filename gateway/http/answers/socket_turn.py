"""One event of a WebSocket: an agent run whose response goes back on the WebSocket.

It runs in the same chain as a request over HTTP, with the headers of the handshake: credential, scope and limits are
checked for each event.
"""

from dataclasses import dataclass
from functools import partial

from aiohttp import web

from gateway.core.errors import GatewayError
from gateway.dispatch.dispatch import dispatch
from gateway.http.answers.connection_memory import ConnectionMemory
from gateway.http.answers.response_request import ResponseRequest, Transport
from gateway.http.answers.socket_stream import SocketStream
from gateway.http.calls import call_of
from gateway.http.keys import SNAPSHOT
from gateway.http.large_bodies import BODY, LARGE, BodyReservation, decoded
from gateway.http.server.web_socket import ClientSocket
from gateway.wire.openai_responses.ingress import ResponsesIngress


@dataclass(slots=True)
class SocketEvent:
    """An event as the client sent it. `reservation` is that of its bytes."""

    body: bytes
    reservation: BodyReservation
    socket: ClientSocket
    memory: ConnectionMemory


EVENT = web.RequestKey("event", SocketEvent)


async def respond_to_event(request: web.Request) -> web.StreamResponse:
    """Run the agent for one event and send the events of the response. Raises GatewayError if none was sent."""
    event = request[EVENT]
    body, event.body = event.body, b""  # the run may last for minutes
    call = call_of(request, body, "openresponses")
    if len(body) > LARGE:
        request[BODY] = event.reservation
    ingress = await decoded(request, partial(_read, body, event.reservation))
    del body
    open_stream = partial(SocketStream, event.socket)
    response_request = ResponseRequest(
        request, ingress, call.options.model, Transport(open_stream, streamed=True, memory=event.memory)
    )
    try:
        if ingress.generates:
            async with await dispatch(call, ingress.model, ingress.user, response_request.read_turn) as dispatched:
                await response_request.respond(dispatched)
        else:
            agent = request[SNAPSHOT].directory.resolve(ingress.model, call.options.agent, call.principal)
            frames = await response_request.warm_up(agent)
            await SocketStream(event.socket).finish(b"".join(frames))
    except GatewayError:
        _forget(ingress, event)
        raise
    if response_request.failed:
        _forget(ingress, event)
    return event.socket


def _read(body: bytes, reservation: BodyReservation) -> ResponsesIngress:
    if len(body) > LARGE:
        reservation.count(body)
    return ResponsesIngress.read_event(body)


def _forget(ingress: ResponsesIngress, event: SocketEvent) -> None:
    """A turn that failed ends the chain of responses in memory, as OpenResponses demands."""
    if ingress.previous is not None:
        event.memory.forget(ingress.previous)
