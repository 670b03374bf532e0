"""One request of the Messages API: reads its turn with its media, for a run or to count its tokens."""

from functools import partial

from aiohttp import web

from gateway.agents.agent import Agent
from gateway.core.errors import BadRequest
from gateway.core.message import Foreign
from gateway.core.seal import Seal
from gateway.core.turn import Turn
from gateway.dispatch.dispatch import Call
from gateway.http.body import read_body
from gateway.http.calls import call_of
from gateway.http.keys import SERVICES, SNAPSHOT
from gateway.http.large_bodies import LARGE, decoded
from gateway.http.media_requester import requester_of
from gateway.http.routes import MESSAGES_BODY
from gateway.media.files import with_file_texts
from gateway.media.images import checked_images
from gateway.media.url_parts import check_url_parts
from gateway.runs.run import chain_for
from gateway.wire.anthropic_messages import BETAS, WIRE
from gateway.wire.anthropic_messages.ingress import MessagesIngress


class MessageRequest:
    """`call` is the request's call, `ingress` its body; `read_turn` decodes the rest and sets `seal`."""

    def __init__(self, request: web.Request, call: Call, ingress: MessagesIngress, *, large: bool) -> None:
        self.call = call
        self.ingress = ingress
        self.seal: Seal | None = None
        self._request = request
        self._large = large

    @classmethod
    async def read(cls, request: web.Request, *, counts: bool = False) -> "MessageRequest":
        """Read and check the body; `counts`: see MessagesIngress. Raises GatewayError."""
        body = await read_body(request, MESSAGES_BODY, request[SNAPSHOT].body_timeout)
        call = call_of(request, body, "messages")
        betas = ",".join(request.headers.getall(BETAS, ()))
        read = partial(MessagesIngress.read, body, betas=betas, counts=counts)
        large = len(body) > LARGE
        return cls(request, call, await decoded(request, read) if large else read(), large=large)

    async def read_turn(self, agent: Agent) -> Turn:
        """The request with images and documents as the agent's models take them. Raises BadRequest."""
        snapshot, call, requester = self._request[SNAPSHOT], self.call, requester_of(self._request)
        media = snapshot.media
        self.seal = await self._request.app[SERVICES].stores.seals.of(call.principal.name)
        read = partial(self.ingress.turn, self.seal)
        turn = await decoded(self._request, read) if self._large else read()
        check_url_parts(turn, media.max_url_parts, "messages")
        chain = chain_for(agent, call.options.model, snapshot.runs.providers)
        wires = snapshot.runs.wires(chain)
        if WIRE not in wires:
            _refuse_foreign(turn)
        turn = await checked_images(turn, media.message_images, requester)
        if wires == {WIRE}:
            return turn  # the provider reads documents as they are
        native = snapshot.runs.read_pdfs(chain)
        return await with_file_texts(turn, media.response_files, requester=requester, native_pdfs=native)


def _refuse_foreign(turn: Turn) -> None:
    """Refuse content of the user that none of the agent's models can be sent. Raises BadRequest."""
    for message in turn.messages:
        for part in message.parts if message.role in ("user", "system") else ():
            if isinstance(part, Foreign) and part.text is None:
                raise BadRequest(
                    f"`messages`: only Anthropic takes {_described(part)}, and the agent has no such model. Send the "
                    "content itself.",
                    param="messages",
                )


def _described(part: Foreign) -> str:
    kind, source = str(part.payload.get("type"))[:80], part.payload.get("source")
    form = f" with a source of the type '{str(source.get('type'))[:80]}'" if isinstance(source, dict) else ""
    return f"blocks of the type '{kind}'{form}"
