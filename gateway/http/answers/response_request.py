"""One request of the Responses API: resolves its references, and stores and sends its response."""

import time
from dataclasses import dataclass, replace
from functools import partial

from aiohttp import web
from msgspec import structs

from gateway.agents.agent import Agent
from gateway.core.answer import Answer
from gateway.core.errors import BadRequest
from gateway.core.ids import new_id
from gateway.core.jsonio import dumps
from gateway.core.message import Message
from gateway.core.seal import Seal
from gateway.core.turn import Turn
from gateway.dispatch.dispatch import Dispatched
from gateway.http.answers.background import BACKGROUND
from gateway.http.answers.background_events import replay
from gateway.http.answers.background_job import Job
from gateway.http.answers.connection_memory import ConnectionMemory
from gateway.http.answers.event_stream import EventStream
from gateway.http.answers.relay import OpenStream, respond
from gateway.http.answers.response_recorder import ResponseRecorder, Storage
from gateway.http.answers.stored_responses import history, owner_of, referred_items
from gateway.http.errors import JSON
from gateway.http.keys import SERVICES, SNAPSHOT
from gateway.http.large_bodies import BODY, decoded
from gateway.http.large_bodies import hand_over as hand_over_body
from gateway.http.media_requester import requester_of
from gateway.http.quota import hand_over
from gateway.media.files import with_file_texts
from gateway.media.images import checked_images
from gateway.media.url_parts import check_url_parts
from gateway.state.responses.store import ResponseStore, StoredResponse
from gateway.wire.openai_responses.call_ids import check_results
from gateway.wire.openai_responses.ingress import ResponsesIngress
from gateway.wire.openai_responses.response_object import Head, response_object
from gateway.wire.openai_responses.stream import Renderer


@dataclass(frozen=True, slots=True)
class Transport:
    """How the client gets its response. A WebSocket is always `streamed`, and has a `memory` for responses with `store`
    false.
    """

    open_stream: OpenStream = EventStream
    streamed: bool = False
    memory: ConnectionMemory | None = None


HTTP = Transport()


class ResponseRequest:
    """Call `read_turn`, then `respond`."""

    def __init__(
        self, request: web.Request, ingress: ResponsesIngress, model: str | None, transport: Transport = HTTP
    ) -> None:
        self._request = request
        self._transport = transport
        self._model = model  # an override of the agent's models
        self._ingress = ingress
        self._large = BODY in request
        self._owner = owner_of(request)
        self._requester = requester_of(request)
        self._stores = request.app[SERVICES].stores
        self._store = self._stores.responses
        self._known: ResponseStore = transport.memory or self._store  # the responses that the client may continue
        self._seal: Seal | None = None
        self._own: tuple[Message, ...] = ()  # the messages that the request adds to its conversation
        self._agent = ""
        self._wants_stream = False
        self.failed = False  # whether the stream of the response has reported a failure

    async def read_turn(self, agent: Agent) -> Turn:
        """The request with its earlier conversation, images and documents. Raises BadRequest or NotFound."""
        ingress, media = self._ingress, self._request[SNAPSHOT].media
        self._agent = agent.id
        if references := ingress.references():
            ingress.refer(await referred_items(self._known, self._owner, references, self._requester.hold))
        if ingress.needs_seal:
            self._seal = await self._stores.seals.of(self._owner.subject)
        read = partial(ingress.turn, self._seal)
        turn = await decoded(self._request, read) if self._large else read()
        if self._transport.streamed:
            turn = structs.replace(turn, stream=True)
        self._wants_stream = turn.stream
        check_url_parts(turn, media.max_url_parts)
        earlier = (
            await history(self._known, self._owner, agent.id, ingress.previous, self._requester.hold)
            if ingress.previous is not None
            else ()
        )
        turn = await checked_images(turn, media.response_images, self._requester)
        turn = await with_file_texts(
            turn, media.response_files, requester=self._requester, native_pdfs=self._read_pdfs(agent)
        )
        instructions = ingress.instructions
        self._own = turn.messages[len(instructions) :]  # instructions apply to one turn, as in OpenAI's API
        if ingress.previous is not None:
            check_results(earlier, self._own)
        if not (earlier or ingress.background):
            return turn
        messages = (*instructions, *earlier, *self._own)
        return structs.replace(turn, messages=messages, stream=turn.stream or ingress.background)

    def _read_pdfs(self, agent: Agent) -> bool:
        """Whether all models that may answer take PDFs as they are."""
        return self._model is None and self._request[SNAPSHOT].runs.read_pdfs(agent.candidates)

    async def respond(self, dispatched: Dispatched) -> web.StreamResponse:
        """Send the response, or start it in the background. Raises GatewayError."""
        ingress, turn = self._ingress, dispatched.run.turn
        seal = self._seal if ingress.sealed else None
        head = Head(new_id("resp_"), int(time.time()), turn.model, ingress.echo(turn), seal)
        renderer = Renderer(head, now=time.time)
        record = await decoded(self._request, partial(self._record, head)) if self._large else self._record(head)
        storage = Storage(self._store if ingress.stored else self._transport.memory, record)
        if ingress.background:
            return await self._start_in_background(
                dispatched,
                Job(dispatched.stream, renderer, storage, sealed=seal is not None, caller=self._requester.caller),
                head,
            )
        recorder = ResponseRecorder(dispatched.stream, storage, head, renderer, streamed=dispatched.turn.stream)
        shown = _RecordedRenderer(renderer, recorder)
        response = await respond(self._request, dispatched, recorder, shown, self._transport.open_stream)
        await recorder.store_other_end()
        self.failed = renderer.final is not None and renderer.final["status"] == "failed"
        return response

    def _record(self, head: Head) -> StoredResponse:
        ingress, owner = self._ingress, self._owner
        items = dumps(ingress.input_items(head.id)) if ingress.stored else b"[]"
        return StoredResponse(
            id=head.id,
            subject=owner.subject,
            agent=self._agent,
            created=float(head.created),
            body=b"",
            input=items,
            messages=self._own,
            session=owner.session,
            previous=ingress.previous,
        )

    async def warm_up(self, agent: Agent) -> list[bytes]:
        """Store the input without an answer, for turns that continue it. Returns the events, without a run.

        Raises as `read_turn`.
        """
        turn = await self.read_turn(agent)
        head = Head(new_id("resp_"), int(time.time()), turn.model, self._ingress.echo(turn))
        renderer = Renderer(head, now=time.time)
        response = renderer.outcome()
        store = self._store if self._ingress.stored else self._transport.memory
        if store is not None:
            await store.put(replace(self._record(head), body=dumps(response)))
        return renderer.end(response)

    async def _start_in_background(self, dispatched: Dispatched, job: Job, head: Head) -> web.StreamResponse:
        """Start the run as a background task, and return the queued response or its stream."""
        request = self._request
        background = request.app[BACKGROUND]
        background.check(self._requester.caller)
        stored = replace(job.storage.record, body=dumps(response_object(head, "queued", ())))
        if not await self._store.put(stored):
            raise BadRequest("`background`: the input is too large to be stored.", param="background")
        await background.start(job)
        dispatched.hand_over()
        job.meter = hand_over(request)  # a run that fails to start is settled by the request
        job.body = hand_over_body(request)
        if self._wants_stream:
            return await replay(request, stored, 0)
        return web.Response(body=stored.body, headers={"Content-Type": JSON})


class _RecordedRenderer:
    """An AnswerRenderer that reuses the recorder's body and the response's renderer."""

    def __init__(self, renderer: Renderer, recorder: ResponseRecorder) -> None:
        self._renderer = renderer
        self._recorder = recorder

    def stream(self, _model: str) -> Renderer:
        """See AnswerRenderer."""
        return self._renderer

    def body(self, _answer: Answer, _model: str) -> bytes:
        """See AnswerRenderer."""
        return self._recorder.body
