"""A round: one answer of a model to a turn, with all the attempts that it takes. Most runs are a single round."""

from msgspec import Struct
from msgspec.structs import replace

from gateway.agents.agent import UpstreamStreaming
from gateway.core.event import Stream
from gateway.core.names import ModelRef
from gateway.core.turn import Turn
from gateway.core.upstream_error import UpstreamError, UpstreamKind
from gateway.runs.candidates import Candidate
from gateway.runs.context import RunContext
from gateway.runs.filters.contract import EventFilter
from gateway.runs.filters.hold_back import ALL, HoldBack
from gateway.runs.filters.reasoning import ReasoningFilter
from gateway.runs.filters.tool_choice import ToolChoiceGuard, demands_call
from gateway.runs.prefill import Continuation, PrefillRejected, prefilled
from gateway.runs.rescue import Replay, Seen
from gateway.runs.trace import RunTrace


class Round(Struct, frozen=True):
    """One answer. Nothing is opened until `events` is iterated.

    `timeout` (seconds) shortens its time. One that is a `part` leaves the end of the run to whoever asked for it.
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
        dispatch = self.dispatch
        attempts = dispatch.attempts(self.turn, self.chain, self.trail, self.timeout, part=self.part)
        seen = Seen()
        rescue: _Rescue | None = None
        try:
            candidate = await attempts.first()
            while True:
                has_fallback = attempts.has_fallback
                asked = self._streamed(has_fallback)
                filters = self._filters(asked)
                if rescue is not None:
                    asked, filters = rescue.plan(asked, candidate, filters)
                timeouts = dispatch.timeouts(self.turn, has_fallback=has_fallback)
                answer = dispatch.provider_client.ask(
                    candidate.provider, candidate.model, asked, timeouts, end=attempts.end, fresh=attempts.fresh
                )
                begun = False
                try:
                    while not answer.over and (batch := await answer.read()):
                        if not begun:
                            begun = True
                            attempts.begun()
                        for one in filters:
                            batch = one.feed(batch)
                        if batch:
                            seen.add(batch)
                            yield batch
                except UpstreamError as error:
                    failure = error
                else:
                    attempts.succeeded()
                    return
                finally:
                    answer.end()
                rescue = rescue or _Rescue(seen)
                failure = rescue.judge(failure, filters)
                candidate = await attempts.after(
                    failure, final=bool(seen) and not (dispatch.rescue and seen.repeatable)
                )
        finally:
            attempts.close()

    def _streamed(self, has_fallback: bool) -> Turn:
        """The turn as the provider is asked: as a stream or whole."""
        turn, streaming = self.turn, self.streaming
        stream = streaming == "always" or (streaming == "auto" and (turn.stream or has_fallback))
        return turn if turn.stream is stream else replace(turn, stream=stream)

    def _filters(self, asked: Turn) -> tuple[EventFilter, ...]:
        """What the batches of an attempt pass, in order; for each attempt anew."""
        filters: tuple[EventFilter, ...] = (ReasoningFilter(),)
        choice = asked.tool_choice
        if choice is not None and demands_call(choice):
            filters += (ToolChoiceGuard(choice),)
        if not asked.stream:
            return filters  # the whole answer is one batch
        # Nothing of a whole answer is shown before its end, so that a stream that breaks is simply asked for again.
        hold_back = self.dispatch.hold_back if self.turn.stream else ALL
        return (*filters, HoldBack(hold_back)) if hold_back else filters


class _Rescue:
    """What is asked after an answer broke off, given what the client has seen of it."""

    __slots__ = ("_cause", "_may_prefill", "_seen")

    def __init__(self, seen: Seen) -> None:
        self._cause: UpstreamError | None = None  # what broke the answer that the client has seen a part of
        self._may_prefill = True
        self._seen = seen

    def judge(self, failure: UpstreamError, filters: tuple[EventFilter, ...]) -> UpstreamError:
        """The failure as it counts: a refusal of the prefill is none of the client's request."""
        if failure.kind is UpstreamKind.INVALID_REQUEST and isinstance(filters[0], Continuation):
            failure = PrefillRejected(self._cause, failure.upstream_status)
        if failure.kind is UpstreamKind.PREFILL_REJECTED:
            self._may_prefill = False
        if self._cause is None and self._seen:
            self._cause = failure
        return failure

    def plan(
        self, asked: Turn, candidate: Candidate, filters: tuple[EventFilter, ...]
    ) -> tuple[Turn, tuple[EventFilter, ...]]:
        """What a candidate is asked and what its answer passes: the rest of the answer where it can continue one, else
        all of it again.
        """
        if not self._seen:
            return asked, filters
        if self._may_prefill and candidate.model.compat.accepts_prefill:
            continued = prefilled(asked, self._seen, self._cause)
            if continued is not None:
                turn, continuation = continued
                return turn, (continuation,)
        return asked, (*filters, Replay(self._seen, self._cause))
