"""Which turns of a stored conversation a model is shown when all are too much for it. The transcript stays whole.

- Where the window of the model that is asked first is declared, and the turns don't fit, the oldest are left out until
  three quarters of the room are used. An eighth of the window stays free, or what the answer may take if that is more,
  but never more than half of it.
- Where the provider says that it is too much, and the caller has been shown nothing, the run is tried again with the
  oldest turns left out, so that about half of what was sent remains; at most four times, the last time without any.
- What was left out is left out from then on for the model that answered. So it does not refuse each turn, and the
  prompt begins in the same way for several turns, which is what providers' caches of prompts need.

What the caller sends now, the agent's prompt and a summary are never left out, nor is a call whose result is sent now.
"""

from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import replace
from itertools import accumulate

import structlog
from msgspec import structs

from gateway.conversations.history import MergedHistory
from gateway.conversations.transcript import View
from gateway.core.event import Stream
from gateway.core.message import Message
from gateway.core.names import ModelRef
from gateway.core.token_estimate import answer_tokens, message_tokens, prompt_tokens
from gateway.core.turn import Turn
from gateway.core.upstream_error import UpstreamError, UpstreamKind
from gateway.runs.context import RunContext
from gateway.runs.failover import another_model_may_answer
from gateway.runs.run import Run

log = structlog.get_logger(__name__)

_TRIES = 4  # after the first
_RESULTS = ("tool", "function")


class HistoryWindow:
    """The stored turns in front of one request, of which those from the message `start` on are shown."""

    def __init__(self, joined: MergedHistory, shown: View) -> None:
        self._joined = joined
        self._starts = shown.starts
        self._marks = shown.marks
        self.start = 0
        self.cut = False

    @property
    def kept(self) -> int:
        """How many entries of the transcript are shown."""
        return sum(start >= self.start for start in self._starts)

    def fitted(self, run: Run) -> Run:
        """The run with as many turns as the model that it asks first can take, ready to be tried again with fewer."""
        history = self._joined.history
        if not history:
            return run
        front = run.turn.messages[: len(run.turn.messages) - len(self._joined.shown())]
        start = min(self._marks.get(str(run.chain[0]), 0), len(history))
        if (room := _room(run)) is not None:
            left = self._left()
            others = prompt_tokens(run.turn) - left[0]
            if others + left[start] > room:
                start = self._first_within(room * 3 // 4 - others, start, left)
                self.cut = True
        self.start = start
        turn = structs.replace(run.turn, messages=(*front, *self._joined.shown(start))) if start else run.turn
        return FittingRun(run.agent, turn, run.chain, run.context, run.trace, run.offer, past=self, front=front)

    def shortened(self, turn: Turn, front: tuple[Message, ...], *, last: bool) -> Turn | None:
        """The turn with about half of what was too much, None if nothing more can be left out."""
        left = self._left()
        whole = prompt_tokens(turn)
        start = self._first_within(-1 if last else left[self.start] - whole // 2, self.start, left)
        if start == self.start:
            return None
        self.start, self.cut = start, True
        return structs.replace(turn, messages=(*front, *self._joined.shown(start)))

    def _left(self) -> list[int]:
        """For each message, the tokens of the history from it on; at the end, 0."""
        sizes = [message_tokens(message) for message in reversed(self._joined.history)]
        return [*accumulate(sizes, initial=0)][::-1]

    def _first_within(self, room: int, start: int, left: Sequence[int]) -> int:
        """Where to begin, not before `start`, so that so many tokens suffice, or as few as possible."""
        for cut in self._cuts():
            if left[start] <= room:
                break
            start = max(start, cut)
        return start

    def _cuts(self) -> list[int]:
        """Where the history may begin: with an entry, which is no answer to a call that would be left out."""
        history, new = self._joined.history, self._joined.new
        cuts = [start for start in self._starts if 0 < start < len(history) and history[start].role not in _RESULTS]
        return cuts if new and new[0].role in _RESULTS else [*cuts, len(history)]


class FittingRun(Run, frozen=True, kw_only=True):
    """A run that is tried again with fewer stored turns where they are too much for every model that it can ask."""

    past: HistoryWindow
    front: tuple[Message, ...]

    def events(self) -> Stream:
        """See Run."""
        return self._events()

    async def _events(self) -> Stream:
        tries = Retries(self)
        shown = False
        while True:
            try:
                async with aclosing(tries.run.events()) as batches:
                    async for batch in batches:
                        shown = True
                        yield batch
            except UpstreamError as error:
                if shown:
                    raise
                tries.failed(error)
            else:
                return


class Retries:
    """What is tried of a run; `run` is what is to be tried now."""

    def __init__(self, fitting: FittingRun) -> None:
        self._fitting = fitting
        self._clock = fitting.context.policy.clock
        self._began = self._clock()
        self._left = _TRIES
        self._seen = 0
        self.run = Run(fitting.agent, fitting.turn, fitting.chain, fitting.context, fitting.trace, fitting.offer)

    def failed(self, error: UpstreamError) -> None:
        """Go on with fewer turns, within what is left of the time. Raises the error where that can't help."""
        fitting, run = self._fitting, self.run
        attempts = run.trace.attempts[self._seen :]
        self._seen = len(run.trace.attempts)
        too_much = any(attempt.outcome == UpstreamKind.CONTEXT_OVERFLOW for attempt in attempts)
        if not (too_much and another_model_may_answer(error) and self._left) or run.trace.tools:
            raise error
        self._left -= 1
        shorter = fitting.past.shortened(run.turn, fitting.front, last=not self._left)
        if shorter is None:
            raise error
        log.warning(
            "a conversation is too long for its model; declare the model's contextWindow to spare it the refusal",
            model=str(run.chain[0]),
            messages_left_out=fitting.past.start,
        )
        left = run.context.time(fitting.agent.timeout) - (self._clock() - self._began)
        self.run = structs.replace(run, turn=shorter, agent=replace(run.agent, timeout=max(0.0, left)))


def window_of(model: ModelRef, context: RunContext) -> int | None:
    """The model's declared window in tokens, if there is one."""
    provider = context.providers.get(model.provider)
    return None if provider is None else provider.model(model.model).context_window


def _room(run: Run) -> int | None:
    """The tokens that a prompt may have; None when the window of the model is not known."""
    window = window_of(run.chain[0], run.context)
    if window is None:
        return None
    answer = max(answer_tokens(run.turn, None), window // 8)
    return window - min(answer, window // 2)
