"""A round: one answer of a model to a turn, with all its attempts. Most runs have one round."""

from msgspec import Struct
from msgspec.structs import replace

from gateway.agents.agent import Agent, UpstreamStreaming
from gateway.core.accumulator import Accumulator
from gateway.core.errors import GatewayError, ToolChoiceUnmet
from gateway.core.event import Batch, Finish, Stream, UsageReport
from gateway.core.names import ModelRef
from gateway.core.tracebacks import drop_tracebacks
from gateway.core.turn import Turn
from gateway.core.upstream_error import UpstreamError, UpstreamKind
from gateway.core.usage import NO_USAGE
from gateway.runs.attempts import Attempts
from gateway.runs.candidates import Candidate, with_settings
from gateway.runs.context import RunContext
from gateway.runs.filters.contract import EventFilter
from gateway.runs.filters.hold_back import ALL, HoldBack
from gateway.runs.filters.reasoning import ReasoningFilter
from gateway.runs.filters.tool_choice import SecondTry, ToolChoiceGuard, demands_call
from gateway.runs.hedge import HedgedAnswer, HedgingAttempts
from gateway.runs.observers import close_run
from gateway.runs.prefill import Continuation, PrefillRejected, prefilled
from gateway.runs.rescue import Replay, seen_answer, shows_content
from gateway.runs.trace import RunTrace
from gateway.upstream.client import ProviderAnswer

_ENDINGS = frozenset({Finish, UsageReport})


class Round(Struct, frozen=True):
    """One answer. Nothing starts until `events` is iterated.

    `timeout` (seconds) is the round's own time limit. With `part`, the code that began the run ends it. `streaming`
    says whether the provider is asked for a stream: `always`, `never`, or with `auto` if the client wants one or if
    there is a fallback, so that the same timeouts apply to whole answers. `params` is an agent whose request fields
    differ by model: `turn` does not have them yet.
    """

    turn: Turn
    chain: tuple[ModelRef, ...]
    context: RunContext
    trace: RunTrace
    timeout: float | None = None
    part: bool = False
    streaming: UpstreamStreaming = "auto"
    params: Agent | None = None

    async def events(self) -> Stream:
        """The batches of the answer; a single one if the client does not want a stream. Raises GatewayError.

        Each attempt has its own filters. Once the client has received something, a further attempt must repeat it or
        continue it.
        """
        context, turn, attempts = self.context, self.turn, self._attempts()
        client = context.provider_client
        seen: Accumulator | None = None
        rescue: _Rescue | None = None
        try:
            candidate = await attempts.first()
            while True:
                has_fallback = attempts.has_fallback
                asked, filters = self._plan(candidate, rescue, has_fallback=has_fallback)
                timeouts = context.timeouts(turn) if has_fallback else client.limits.last
                first = client.ask(
                    candidate.provider,
                    candidate.model,
                    asked,
                    timeouts,
                    end=attempts.end,
                    fresh=attempts.fresh,
                    filters=attempts.meter(streamed=asked.stream),
                )
                answer = self._hedged(first, asked, attempts) if has_fallback and seen is None else first
                has_event = False
                try:
                    while not answer.over and (batch := await answer.read()):
                        if not has_event:
                            has_event = True
                            attempts.first_event_received(streamed=asked.stream)
                        for one in filters:
                            batch = one.feed(batch)
                        if batch:
                            if seen is None and not answer.over:  # else nothing can break any more
                                seen = seen_answer()
                            if seen is not None:
                                seen.add(batch)
                            if batch[-1].__class__ in _ENDINGS and self._called_tools(batch):
                                await self._remember(seen, batch)
                            attempts.show()
                            yield batch
                except (UpstreamError, ToolChoiceUnmet) as error:
                    drop_tracebacks(error)
                    failure = error
                else:
                    attempts.succeeded()
                    return
                finally:
                    answer.end()
                rescue = rescue or _Rescue(self.trace)
                final = seen is not None and not (context.rescue and not seen.overflowed)
                candidate = (
                    rescue.second_try(failure, attempts, in_words=answer.choice_in_words)
                    if isinstance(failure, ToolChoiceUnmet)
                    else await attempts.after(rescue.judge(failure, filters, seen), final=final)
                )
        finally:
            attempts.close()

    def _attempts(self) -> Attempts:
        """The attempts of this answer. Raises NotFound or BadRequest, which end the run, if no model can."""
        try:
            return self.context.attempts(self.turn, self.chain, self.trace, self.timeout, part=self.part)
        except GatewayError:
            if not self.part:
                close_run(self.trace)
            raise

    def _called_tools(self, batch: Batch) -> bool:
        """The answer ends with this batch: note its usage. Whether it calls tools."""
        finish = batch[-1]
        if isinstance(finish, UsageReport):
            self.trace.usage = finish.usage
            finish = batch[-2] if len(batch) > 1 else finish  # alone, it follows a Finish that was seen before
        return isinstance(finish, Finish) and finish.reason == "tool_calls"

    async def _remember(self, seen: Accumulator | None, batch: Batch) -> None:
        """Store the reasoning before tool calls, before the client can ask again.

        `seen` is the whole answer; None when the batch is all of it.
        """
        reasoning = self.context.reasoning
        if reasoning is None:
            return
        if seen is None:
            seen = Accumulator()
            seen.add(batch)
        await reasoning.remember(self.trace.client, seen.answer().parts)

    def _hedged(self, answer: ProviderAnswer, asked: Turn, attempts: Attempts) -> ProviderAnswer | HedgedAnswer:
        """The answer, or with hedging the answer of the faster of two candidates."""
        if not isinstance(attempts, HedgingAttempts) or not asked.stream:
            return answer
        hedging, after = attempts, attempts.hedge_after
        if after is None:
            return answer

        def ask(candidate: Candidate) -> ProviderAnswer:
            client = self.context.provider_client
            timeouts = self.context.timeouts(self.turn) if hedging.has_third else client.limits.last
            filters = hedging.meter_second()
            turn = with_settings(replace(self.turn, stream=asked.stream), candidate, self.params)
            return client.ask(candidate.provider, candidate.model, turn, timeouts, end=attempts.end, filters=filters)

        return HedgedAnswer(answer, hedging, after, ask)

    def _plan(
        self, candidate: Candidate, rescue: "_Rescue | None", *, has_fallback: bool
    ) -> tuple[Turn, tuple[EventFilter, ...]]:
        """The turn for the provider, streamed or whole, and the filters of the attempt, in order."""
        turn, streaming = self.turn, self.streaming
        stream = turn.stream or has_fallback if streaming == "auto" else streaming == "always"
        asked = turn if turn.stream is stream else replace(turn, stream=stream)
        if self.params is not None or candidate.model.defaults is not None:
            asked = with_settings(asked, candidate, self.params)
        filters: tuple[EventFilter, ...] = (ReasoningFilter(),)
        choice = turn.tool_choice
        if choice is not None and demands_call(choice):
            filters += (ToolChoiceGuard(choice),)
        if stream:  # a whole answer is one batch
            # A whole answer is sent at its end, so after a break the answer can simply start again.
            hold_back = self.context.hold_back if turn.stream else ALL
            if hold_back:
                filters += (HoldBack(hold_back),)
        return (asked, filters) if rescue is None else rescue.plan(asked, candidate, filters)


class _Rescue:
    """What to ask for after a failed attempt, depending on the part of the answer that the client has."""

    __slots__ = ("_cause", "_may_prefill", "_seen", "_trace", "_unmet")

    def __init__(self, trace: RunTrace) -> None:
        self._cause: UpstreamError | None = None  # the failure that broke the answer of which the client has a part
        self._may_prefill = True
        self._seen: Accumulator | None = None
        self._trace = trace
        self._unmet: ToolChoiceUnmet | None = None

    def second_try(self, unmet: ToolChoiceUnmet, attempts: Attempts, *, in_words: bool) -> Candidate:
        """The candidate to ask once more for the call that it did not make, if it was asked for it `in_words` only.

        Raises the failure otherwise, and the second time, when it reports what both answers cost.
        """
        if self._unmet is not None and unmet.usage is not None:
            unmet.usage = (self._unmet.usage or NO_USAGE) + unmet.usage
        if self._unmet is not None or not in_words:
            raise unmet
        self._unmet = unmet
        return attempts.again()

    def judge(
        self, failure: UpstreamError, filters: tuple[EventFilter, ...], seen: Accumulator | None
    ) -> UpstreamError:
        """The failure that counts: a provider that refuses a prefill does not refuse the client's request."""
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
        """The turn for a candidate and its filters: a continuation if the model accepts a prefill, else the whole
        answer again.
        """
        if self._unmet is not None:
            filters = (SecondTry(self._unmet), *filters)
        if self._seen is None or not shows_content(self._seen):
            return asked, filters
        self._trace.rescues += 1
        if self._may_prefill and candidate.model.accepts_prefill:
            continued = prefilled(asked, self._seen, self._cause)
            if continued is not None:
                turn, continuation = continued
                return turn, (continuation,)
        return asked, (*filters, Replay(self._seen, self._cause))
