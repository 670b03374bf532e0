"""A round: one answer of a model to a turn, with all the attempts that it takes. Most runs are a single round."""

from msgspec import Struct
from msgspec.structs import replace

from gateway.agents.agent import UpstreamStreaming
from gateway.core.accumulator import Accumulator
from gateway.core.errors import GatewayError
from gateway.core.event import Batch, Finish, Stream, ThinkingEnd, ToolCallBegin, ToolCallDelta, UsageReport
from gateway.core.names import ModelRef
from gateway.core.turn import Turn
from gateway.core.upstream_error import UpstreamError, UpstreamKind
from gateway.runs.attempts import Attempts
from gateway.runs.candidates import Candidate
from gateway.runs.context import RunContext
from gateway.runs.filters.contract import EventFilter
from gateway.runs.filters.hold_back import ALL, HoldBack
from gateway.runs.filters.reasoning import ReasoningFilter
from gateway.runs.filters.tool_choice import ToolChoiceGuard, demands_call
from gateway.runs.hedge import HedgedAnswer, HedgingAttempts
from gateway.runs.observers import close_run
from gateway.runs.prefill import Continuation, PrefillRejected, prefilled
from gateway.runs.rescue import Replay, seen_answer, shows_content
from gateway.runs.trace import RunTrace
from gateway.upstream.client import ProviderAnswer

_ENDINGS = frozenset({Finish, UsageReport})


class Round(Struct, frozen=True):
    """One answer. Nothing is opened until `events` is iterated.

    `timeout` (seconds) shortens its time. A `part` of a run leaves ending the run to the code that began it.
    `streaming` says when the provider is asked for a stream: `always`, `never`, or with `auto` when the client wants
    one or another model can be asked instead, so that the same waiting limits hold for a whole answer.
    """

    turn: Turn
    chain: tuple[ModelRef, ...]
    dispatch: RunContext
    trail: RunTrace
    timeout: float | None = None
    part: bool = False
    streaming: UpstreamStreaming = "auto"

    async def events(self) -> Stream:
        """The answer as it comes; all of it at its end when the client wants it whole. Raises GatewayError.

        Each attempt passes filters of its own. Once something has been passed on, another attempt must repeat it, or is
        asked to continue it.
        """
        dispatch, turn = self.dispatch, self.turn
        attempts = self._attempts()
        client = dispatch.provider_client
        seen: Accumulator | None = None
        rescue: _Rescue | None = None
        try:
            candidate = await attempts.first()
            while True:
                has_fallback = attempts.has_fallback
                asked, filters = self._plan(candidate, rescue, has_fallback=has_fallback)
                timeouts = dispatch.timeouts(turn) if has_fallback else client.limits.last
                first = client.ask(
                    candidate.provider, candidate.model, asked, timeouts, end=attempts.end, fresh=attempts.fresh
                )
                answer = self._hedged(first, asked, attempts) if has_fallback and seen is None else first
                begun = False
                try:
                    while not answer.over and (batch := await answer.read()):
                        if not begun:
                            begun = True
                            attempts.begun()
                        for one in filters:
                            batch = one.feed(batch)
                        if batch:
                            if batch[-1].__class__ in _ENDINGS:
                                await self._finish(seen, batch)
                            if not answer.over:  # else nothing can break any more
                                if seen is None:
                                    seen = seen_answer()
                                seen.add(batch)
                            yield batch
                except UpstreamError as error:
                    failure = error
                else:
                    attempts.succeeded()
                    return
                finally:
                    answer.end()
                rescue = rescue or _Rescue()
                failure = rescue.judge(failure, filters, seen)
                candidate = await attempts.after(
                    failure, final=seen is not None and not (dispatch.rescue and not seen.overflowed)
                )
        finally:
            attempts.close()

    def _attempts(self) -> Attempts:
        """The attempts of this answer. Ends the run and raises NotFound or BadRequest if no model can take the turn."""
        try:
            return self.dispatch.attempts(self.turn, self.chain, self.trail, self.timeout, part=self.part)
        except GatewayError:
            if not self.part:
                close_run(self.trail)
            raise

    async def _finish(self, seen: Accumulator | None, batch: Batch) -> None:
        """The answer ends with this batch: note its usage, and store reasoning before the client can ask again."""
        if isinstance(report := batch[-1], UsageReport):
            self.trail.usage = report.usage
        reasoning = self.dispatch.reasoning
        if reasoning is None or not any(isinstance(event, Finish) and event.reason == "tool_calls" for event in batch):
            return
        whole = Accumulator()
        if seen is not None:  # the batch may hold only the rest of a call
            for index, call in seen.tool_calls.items():
                begin = ToolCallBegin(index, call.id, call.name, call.extras, call.kind, call.namespace)
                whole.add([begin, ToolCallDelta(index, call.arguments)])
            whole.add([ThinkingEnd(block) for block in seen.thinking])
        whole.add(batch)
        thinking = [block for block in whole.thinking if block.owner is not None]
        await reasoning.remember(self.trail.client, thinking, tuple(whole.tool_calls.values()))

    def _hedged(self, answer: ProviderAnswer, asked: Turn, attempts: Attempts) -> ProviderAnswer | HedgedAnswer:
        """The answer, or that of the next candidate if this one stays silent and the next one is faster."""
        if not isinstance(attempts, HedgingAttempts) or not asked.stream:
            return answer
        hedging, after = attempts, attempts.hedge_after
        if after is None:
            return answer

        def ask(candidate: Candidate) -> ProviderAnswer:
            client = self.dispatch.provider_client
            timeouts = self.dispatch.timeouts(self.turn) if hedging.has_third else client.limits.last
            return client.ask(candidate.provider, candidate.model, asked, timeouts, end=attempts.end)

        return HedgedAnswer(answer, hedging, after, ask)

    def _plan(
        self, candidate: Candidate, rescue: "_Rescue | None", *, has_fallback: bool
    ) -> tuple[Turn, tuple[EventFilter, ...]]:
        """What the provider is asked, as a stream or whole, and what the batches of the attempt pass, in order."""
        turn, streaming = self.turn, self.streaming
        stream = turn.stream or has_fallback if streaming == "auto" else streaming == "always"
        asked = turn if turn.stream is stream else replace(turn, stream=stream)
        filters: tuple[EventFilter, ...] = (ReasoningFilter(),)
        choice = turn.tool_choice
        if choice is not None and demands_call(choice):
            filters += (ToolChoiceGuard(choice),)
        if stream:  # else the whole answer is one batch
            # Nothing of a whole answer is shown before its end, so that a stream that breaks is simply asked for again.
            hold_back = self.dispatch.hold_back if turn.stream else ALL
            if hold_back:
                filters += (HoldBack(hold_back),)
        return (asked, filters) if rescue is None else rescue.plan(asked, candidate, filters)


class _Rescue:
    """What is asked after an attempt failed, given what the client has seen of the answer, if anything."""

    __slots__ = ("_cause", "_may_prefill", "_seen")

    def __init__(self) -> None:
        self._cause: UpstreamError | None = None  # what broke the answer that the client has seen a part of
        self._may_prefill = True
        self._seen: Accumulator | None = None

    def judge(
        self, failure: UpstreamError, filters: tuple[EventFilter, ...], seen: Accumulator | None
    ) -> UpstreamError:
        """The failure as it counts: a refusal of the prefill is none of the client's request."""
        if failure.kind is UpstreamKind.INVALID_REQUEST and isinstance(filters[0], Continuation):
            failure = PrefillRejected(self._cause, failure.upstream_status)
        if failure.kind is UpstreamKind.PREFILL_REJECTED:
            self._may_prefill = False
        if self._cause is None and seen is not None:
            self._cause, self._seen = failure, seen
        return failure

    def plan(
        self, asked: Turn, candidate: Candidate, filters: tuple[EventFilter, ...]
    ) -> tuple[Turn, tuple[EventFilter, ...]]:
        """What a candidate is asked and what its answer passes: the rest of the answer where it can continue one, else
        all of it again.
        """
        if self._seen is None or not shows_content(self._seen):
            return asked, filters
        if self._may_prefill and candidate.model.compat.accepts_prefill:
            continued = prefilled(asked, self._seen, self._cause)
            if continued is not None:
                turn, continuation = continued
                return turn, (continuation,)
        return asked, (*filters, Replay(self._seen, self._cause))
