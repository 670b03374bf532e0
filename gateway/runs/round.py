"""A round: one answer of a model to a turn, with all the attempts that it takes. Most runs are a single round."""

from contextlib import aclosing

from msgspec import Struct

from gateway.core.event import Batch, Stream
from gateway.core.names import ModelRef
from gateway.core.turn import Turn
from gateway.core.upstream_error import UpstreamError
from gateway.runs.candidates import Candidate
from gateway.runs.context import RunContext
from gateway.runs.failover import Attempts
from gateway.runs.filters.contract import EventFilter
from gateway.runs.filters.hold_back import ALL, HoldBack
from gateway.runs.filters.reasoning import ReasoningFilter
from gateway.runs.filters.tool_choice import ToolChoiceGuard, demands_call
from gateway.runs.prefill import prefilled
from gateway.runs.rescue import Replay, Seen
from gateway.runs.trace import RunTrace


class Round(Struct, frozen=True):
    """One answer. Nothing is opened until `events` is iterated or `whole` awaited.

    `timeout` (seconds) shortens its time. One that is a `part` leaves the end of the run to whoever asked for it.
    """

    turn: Turn
    chain: tuple[ModelRef, ...]
    dispatch: RunContext
    trail: RunTrace
    timeout: float | None = None
    part: bool = False

    async def whole(self) -> Batch:
        """The whole answer as one batch. Raises GatewayError."""
        if self.turn.stream:
            # Nothing is shown before the end, so that a stream that breaks is simply asked for again.
            async with aclosing(self.events(ALL)) as batches:
                return [event async for batch in batches for event in batch]
        caller, turn = self.dispatch.caller, self.turn
        attempts = self._attempts()
        batch = await attempts.ask(lambda one: caller.whole(one.provider, one.model, turn, attempts.end))
        return _through(stages_for(turn, 0), batch)

    async def events(self, hold_back: float | None = None) -> Stream:
        """The answer as it comes; `hold_back` characters of it at first withheld. Raises GatewayError.

        Each attempt passes stages of its own. Once something has been passed on, another attempt must repeat it, or is
        asked to continue it.
        """
        dispatch, turn = self.dispatch, self.turn
        hold_back = dispatch.hold_back if hold_back is None else hold_back
        attempts = self._attempts()
        seen = Seen()
        try:
            candidate = await attempts.first()
            while True:
                asked, stages = _attempt(turn, candidate, seen, hold_back)
                begun = False
                batches = dispatch.caller.stream(candidate.provider, candidate.model, asked, attempts.end)
                try:
                    async for batch in batches:
                        if not begun:
                            begun = True
                            attempts.begun()
                        if passed := _through(stages, batch):
                            seen.add(passed)
                            yield passed
                except UpstreamError as error:
                    failure = error
                else:
                    attempts.succeeded()
                    return
                finally:
                    await batches.aclose()
                final = bool(seen) and not (dispatch.rescue and seen.repeatable)
                candidate = await attempts.after(failure, begun=begun, final=final)
        finally:
            attempts.close()

    def _attempts(self) -> Attempts:
        return self.dispatch.attempts(self.turn, self.chain, self.trail, self.timeout, part=self.part)


def _attempt(turn: Turn, candidate: Candidate, seen: Seen, hold_back: float) -> tuple[Turn, tuple[EventFilter, ...]]:
    """What a candidate is asked, given what was seen of an answer that broke, and what its answer passes."""
    if not seen:
        return turn, stages_for(turn, hold_back)
    if candidate.model.compat.accepts_prefill and (continued := prefilled(turn, seen)) is not None:
        asked, replay = continued
        return asked, (replay,)
    return turn, (*stages_for(turn, hold_back), Replay(seen))


def _through(stages: tuple[EventFilter, ...], batch: Batch) -> Batch:
    for stage in stages:
        batch = stage.feed(batch)
    return batch


def stages_for(turn: Turn, hold_back: float) -> tuple[EventFilter, ...]:
    """What the batches of an attempt pass, in order; for each attempt anew."""
    stages: tuple[EventFilter, ...] = (ReasoningFilter(),)
    choice = turn.tool_choice
    if choice is not None and demands_call(choice):
        stages += (ToolChoiceGuard(choice),)
    return (*stages, HoldBack(hold_back)) if hold_back else stages
