"""One request to a provider: build, POST, decode. Every ending closes the connection or returns it to the pool.

`gateway.runs` decides on retries, fallback and the model. Every failure is raised as UpstreamError. Cancelling the task
that waits here aborts the request at the provider.
"""

import asyncio
from dataclasses import dataclass, field
from typing import Protocol

import structlog

from gateway.core.event import Batch, ThinkingDelta
from gateway.core.printable import printable
from gateway.core.turn import Turn
from gateway.core.upstream_error import UpstreamError, UpstreamKind
from gateway.upstream.deadline import Deadline, Deadlines
from gateway.upstream.failure import from_exception, named, presentable, with_advice
from gateway.upstream.http import Client, Limits, Timeouts
from gateway.upstream.provider import Provider
from gateway.upstream.quotes import texts_of
from gateway.upstream.response_body import finish, read_whole, refusal
from gateway.upstream.transport.errors import TransportError
from gateway.upstream.transport.response import Response
from gateway.wire import OWN_TOOLS, UPSTREAMS
from gateway.wire.contract import Parser, UpstreamFormat
from gateway.wire.efforts import asks_to_reason
from gateway.wire.function_tools import as_functions, knows_hosted, needs_functions
from gateway.wire.model import ModelSpec
from gateway.wire.stop_sequences import StopSequences

log = structlog.get_logger(__name__)

_JSON = "application/json"
_PAGE = "text/html"
_KNOWN_TYPES = frozenset({"", _JSON, "text/event-stream", "application/x-ndjson"})
_MAX_TYPE = 100  # characters
_EVENT_STARTS = (b"data:", b"event:", b":")  # of server-sent events
_BREAKS = frozenset({UpstreamKind.TRANSPORT, UpstreamKind.STALE, UpstreamKind.REPORTED_TIMEOUT})
_MANY = 500  # messages, or parts of one
_USAGE_WAIT = 1.0  # seconds to wait for token counts after a finish reason; the client's stream ends after that


@dataclass(frozen=True, slots=True)
class ProviderClient:
    """Sends requests to providers, with one connection pool and one set of limits."""

    http: Client
    limits: Limits
    deadlines: Deadlines = field(default_factory=Deadlines)

    def ask(
        self,
        provider: Provider,
        model: ModelSpec,
        turn: Turn,
        timeouts: Timeouts,
        *,
        end: float,
        fresh: bool = False,
        filters: "tuple[AnswerFilter, ...]" = (),
    ) -> "ProviderAnswer":
        """One attempt. It starts with the first `read` and fails at `end` (loop time) at the latest.

        `fresh` forces a new connection. `filters` see the events as the provider sent them.
        """
        return ProviderAnswer(self, provider, model, turn, timeouts, end=end, fresh=fresh, filters=filters)


class AnswerFilter(Protocol):
    """Passes on a provider's events, perhaps others in their place."""

    def feed(self, batch: Batch) -> Batch:
        """The events to pass on. Raises UpstreamError."""
        ...


class ProviderAnswer:
    """One answer, read batch by batch until it is `over`. The reader must call `end` in every case.

    Only events extend the timeout; pings don't. A model that has begun to reason silently has more time. The timeout is
    paused between reads.
    """

    over = False
    choice_in_words = False
    """See WireRequest; known once the first event has arrived."""
    _has_started = False
    _deadline: Deadline | None = None
    _parser: Parser | None = None
    _response: Response | None = None
    _since = 0.0
    _wait = 0.0

    def __init__(
        self,
        client: ProviderClient,
        provider: Provider,
        model: ModelSpec,
        turn: Turn,
        timeouts: Timeouts,
        *,
        end: float,
        fresh: bool,
        filters: tuple[AnswerFilter, ...] = (),
    ) -> None:
        self._client = client
        self._provider = provider
        self._model = model
        self._turn = turn
        self._timeouts = timeouts
        self._end = end
        self._fresh = fresh
        self._filters = filters  # followed by those for what the wire format lacks

    async def read(self) -> Batch:
        """The next batch: the events of one network read, or a whole answer; empty at the end.

        Raises UpstreamError.
        """
        batch: Batch = []
        while not (batch or self.over):
            try:
                deadline = self._deadline
                if deadline is None:
                    batch = await self._open()
                else:
                    self._since = now = asyncio.get_running_loop().time()
                    deadline.when = min(now + self._wait, self._end)
                    batch = await self._next(deadline)
                for one in self._filters:
                    batch = one.feed(batch)
            except UpstreamError as error:
                self._mark_stall(error)
                error = with_advice(self._provider, error, self._turn)
                if error.kind is UpstreamKind.MALFORMED and not self._has_started:
                    self._name_type(error)
                raise presentable(self._provider, error, texts_of(self._turn)) from None
            except TransportError as error:
                failure = from_exception(self._provider, error, self._client.limits.connect)
                self._mark_stall(failure)
                raise failure from error
            except asyncio.CancelledError as error:
                if self._deadline is None or not self._deadline.interrupted():
                    raise
                raise self._timeout() from error
        return batch

    def adopt(self) -> None:
        """Continue in the current task; the task that started to read has ended."""
        if self._deadline is not None:
            self._deadline.adopt()

    def end(self) -> None:
        """Stop reading. The connection returns to the pool if the answer is complete; else it is aborted."""
        if self._deadline is not None:
            self._deadline.stop()
        response, self._response = self._response, None
        if response is not None:
            response.end()

    async def _open(self) -> Batch:
        client, provider, turn = self._client, self._provider, self._turn
        self._since = now = asyncio.get_running_loop().time()
        self._wait = provider.timeout or _first_wait(provider, self._model, turn, self._timeouts)
        self._deadline = deadline = client.deadlines.at(min(now + self._wait, self._end))
        deadline.start()
        if provider.prepare is not None:
            await provider.prepare()
        wire = UPSTREAMS[provider.wire]
        own = self._model.own_tools
        knows_all = own and wire.own_tools == "any" and knows_hosted(turn, OWN_TOOLS)
        if not knows_all and needs_functions(turn, wire.name, labelled=own):
            turn = self._offered_as_functions(turn, wire)
        if turn.tools and self._model.tool_schemas is not None:
            turn = self._model.tool_schemas.accepted(turn)
        if turn.sampling.stop and not wire.stop_sequences:
            self._filters += (StopSequences(turn.sampling.stop),)
        if _is_large(turn):  # others' requests go on meanwhile
            asked = await asyncio.to_thread(wire.request, turn, self._model)
        else:
            asked = wire.request(turn, self._model)
        self.choice_in_words = asked.choice_in_words
        plain = provider.signer is None and not provider.traced
        target = provider.endpoint(asked.path, asked.headers) if plain else await provider.signed(asked)
        self._response = response = await client.http.post(target, asked.body, fresh=self._fresh)
        if response.status != 200:
            raise await refusal(response, wire)
        if response.content_type == _JSON if turn.stream else not response.is_event_stream:
            # Also a server that ignores `stream` answers with one body; so do errors inside a 200.
            batch = _parsed(wire, await read_whole(response), self._model)
            deadline.when = None
            self.over = True
            return batch
        self._parser = wire.parser(self._model)
        return await self._next(deadline)

    async def _next(self, deadline: Deadline) -> Batch:
        response, parser = self._response, self._parser
        if response is None or parser is None:
            raise AssertionError("read after the end of an answer")
        while not (parser.complete or parser.failure) and (data := await response.read()):
            if batch := parser.feed(data):
                deadline.when = None
                self._has_started = True
                timeouts = self._timeouts
                thinks = batch[-1].__class__ is ThinkingDelta
                self._wait = self._provider.timeout or (timeouts.thinking if thinks else timeouts.idle)
                return batch
            if parser.thinking:  # silently, with pings at best: the timeout is that of reasoning which is shown
                self._wait = max(self._wait, self._provider.timeout or self._timeouts.thinking)
                deadline.when = min(self._since + self._wait, self._end)
        deadline.when = None
        batch = await self._read_trailing(response, parser) if parser.complete and not parser.done else []
        if batch and not parser.complete:
            return batch  # more content: the answer was not complete
        self.over = True
        batch = [*batch, *parser.close()]
        await finish(response)
        return batch

    async def _read_trailing(self, response: Response, parser: Parser) -> Batch:
        """Read what follows a finish reason: usually token counts. Content means that the answer was not complete.

        A failure here does not fail the answer, unless the finish reason means nothing: a server that sends one with
        every piece of text has not ended its answer when it falls silent.
        """
        batch: Batch = []
        wait = _USAGE_WAIT if parser.end == "sure" else self._wait
        try:
            async with asyncio.timeout(min(wait, self._end - asyncio.get_running_loop().time())):
                while parser.complete and not parser.done and (data := await response.read()):
                    batch += parser.feed(data)
        except (UpstreamError, TransportError, TimeoutError) as error:
            response.abandon()
            if parser.end == "doubtful":
                raise self._timeout() if isinstance(error, TimeoutError) else error from None
            log.info("Stream failed after its finish reason", reason=type(error).__name__)
        return batch

    def _offered_as_functions(self, turn: Turn, wire: UpstreamFormat) -> Turn:
        """The turn for an endpoint that knows only functions; its calls are turned back. Raises BadRequest."""
        asked, restorer = as_functions(turn, wire.name, labelled=self._model.own_tools)
        hosted = [tool.name for tool in turn.tools if tool.kind == "hosted" and tool not in asked.tools]
        if hosted:
            log.info("Tools that the provider does not run are left out", provider=self._provider.id, tools=hosted)
        self._filters += (restorer,)
        return asked

    def _mark_stall(self, error: UpstreamError) -> None:
        """Reclassify a broken connection after a long silence as STALL: a retry would make the client wait again."""
        silence = asyncio.get_running_loop().time() - self._since
        is_break = error.kind in _BREAKS or (
            error.kind is UpstreamKind.MALFORMED and not self._has_started and self._parser
        )
        if is_break and silence >= self._client.limits.stall_after:
            error.kind = UpstreamKind.STALL
            error.message = f"{error.message.removesuffix('.')} after {silence:.3g} s of silence."

    def _name_type(self, error: UpstreamError) -> None:
        """Name the media type of what is no answer, such as a page of a login or of a proxy."""
        media_type = "" if self._response is None else self._response.content_type
        if media_type not in _KNOWN_TYPES:
            error.message = f"{error.message.removesuffix('.')}; its type is '{printable(media_type)[:_MAX_TYPE]}'."
            if media_type == _PAGE:
                error.message += f" Check models.providers.{self._provider.id}.baseUrl."

    def _timeout(self) -> UpstreamError:
        name, wait = named(self._provider), self._wait
        if asyncio.get_running_loop().time() >= self._end:
            text = "did not complete its answer before the time limit of the whole run"
            return UpstreamError(UpstreamKind.TOTAL_TIMEOUT, f"{name} {text}.")
        if self._has_started:
            text = f"stopped in the middle of its answer and was silent for {wait:.3g} s"
            return UpstreamError(UpstreamKind.STALL, f"{name} {text}.")
        missing = "no first event" if self._turn.stream else "no answer"
        return UpstreamError(UpstreamKind.TIMEOUT, f"{name} sent {missing} within {wait:.3g} s.")


def _is_large(turn: Turn) -> bool:
    """Whether encoding the turn may take more than some milliseconds."""
    messages = turn.messages
    return len(messages) > _MANY or (len(messages) > 0 and len(messages[-1].parts) > _MANY)


def _parsed(wire: UpstreamFormat, body: bytes, model: ModelSpec) -> Batch:
    """The events of a whole answer, or of a stream that its server did not announce as one. Raises UpstreamError."""
    if not body.startswith(_EVENT_STARTS):
        return wire.parse_answer(body, model)
    parser = wire.parser(model)
    batch = parser.feed(body)
    return batch + parser.close()


def _first_wait(provider: Provider, model: ModelSpec, turn: Turn, timeouts: Timeouts) -> float:
    """The timeout in seconds for the first event, or for a whole answer."""
    slow = model.reasoning or provider.local
    slow = slow or asks_to_reason(turn, model)
    if not turn.stream:
        return max(timeouts.whole, timeouts.thinking) if slow else timeouts.whole
    return timeouts.thinking if slow else timeouts.first_event
