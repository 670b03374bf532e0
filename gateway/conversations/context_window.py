"""Fits a stored conversation into a model's context window by omitting the oldest turns. The transcript keeps them.

- If the first model's window is declared and the turns don't fit, the oldest turns are omitted until the prompt uses
  three quarters of the available tokens. Reserved for the answer: an eighth of the window, or the requested
  `max_tokens` if that is more, but at most half of the window.
- If the provider reports a context overflow before the client got anything, the run is retried without the oldest
  turns, so that about half of the prompt remains; at most four times, the last time without any stored turn.
- For the model that answered, later requests omit the same turns. So the model does not refuse every request, and the
  prompt begins in the same way for several requests, which prompt caches need.

Never omitted: the messages of this request, the agent's prompt, a summary, and a call whose result this request sends.
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

_MAX_RETRIES = 4
_RESULTS = ("tool", "function")


class HistoryWindow:
    """The stored turns of one request. The model gets those from message `start` on; `trimmed` if some are omitted."""

    def __init__(self, joined: MergedHistory, shown: View) -> None:
        self._joined = joined
        self._starts = shown.starts
        self._trim_points = shown.trim_points
        self.start = 0
        self.trimmed = False

    @property
    def entries_shown(self) -> int:
        """The number of transcript entries that the model gets."""
        return sum(start >= self.start for start in self._starts)

    def fitted(self, run: Run) -> Run:
        """The run with as many turns as fit into its first model's window. It retries with fewer after an overflow."""
        history = self._joined.history
        if not history:
            return run
        front = run.turn.messages[: len(run.turn.messages) - len(self._joined.shown())]
        start = min(self._trim_points.get(str(run.chain[0]), 0), len(history))
        if (room := _room(run)) is not None:
            left = self._left()
            others = prompt_tokens(run.turn) - left[0]
            if others + left[start] > room:
                start = self._first_within(room * 3 // 4 - others, start, left)
                self.trimmed = True
        self.start = start
        turn = structs.replace(run.turn, messages=(*front, *self._joined.shown(start))) if start else run.turn
        return FittingRun(
            run.agent, turn, run.chain, run.context, run.trace, run.offer, run.params, window=self, front=front
        )

    def shortened(self, turn: Turn, front: tuple[Message, ...], *, last: bool) -> Turn | None:
        """The turn with about half of its tokens; if `last`, without history. None if nothing more can be omitted."""
        left = self._left()
        whole = prompt_tokens(turn)
        start = self._first_within(-1 if last else left[self.start] - whole // 2, self.start, left)
        if start == self.start:
            return None
        self.start, self.trimmed = start, True
        return structs.replace(turn, messages=(*front, *self._joined.shown(start)))

    def _left(self) -> list[int]:
        """For each message, the tokens of the history from this message to its end; the last entry is 0."""
        sizes = [message_tokens(message) for message in reversed(self._joined.history)]
        return [*accumulate(sizes, initial=0)][::-1]

    def _first_within(self, room: int, start: int, left: Sequence[int]) -> int:
        """The first cut, not before `start`, whose remaining history fits into `room` tokens; else the last cut."""
        for cut in self._cuts():
            if left[start] <= room:
                break
            start = max(start, cut)
        return start

    def _cuts(self) -> list[int]:
        """Where the history may begin: at an entry that does not start with the result of an omitted call."""
        history, new = self._joined.history, self._joined.new
        cuts = [start for start in self._starts if 0 < start < len(history) and history[start].role not in _RESULTS]
        return cuts if new and new[0].role in _RESULTS else [*cuts, len(history)]


class FittingRun(Run, frozen=True, kw_only=True):
    """A run that retries with fewer stored turns when every model reports a context overflow."""

    window: HistoryWindow
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
    """The retries of one run; `run` is the current try."""

    def __init__(self, fitting: FittingRun) -> None:
        self._fitting = fitting
        self._clock = fitting.context.policy.clock
        self._began = self._clock()
        self._left = _MAX_RETRIES
        self._seen = 0
        self.run = Run(
            fitting.agent, fitting.turn, fitting.chain, fitting.context, fitting.trace, fitting.offer, fitting.params
        )

    def failed(self, error: UpstreamError) -> None:
        """Set `run` to a retry with fewer turns and the remaining time. Raises the error if a retry can't help."""
        fitting, run = self._fitting, self.run
        attempts = run.trace.attempts[self._seen :]
        self._seen = len(run.trace.attempts)
        too_much = any(attempt.outcome == UpstreamKind.CONTEXT_OVERFLOW for attempt in attempts)
        if not (too_much and another_model_may_answer(error) and self._left) or run.trace.tools:
            raise error
        self._left -= 1
        shorter = fitting.window.shortened(run.turn, fitting.front, last=not self._left)
        if shorter is None:
            raise error
        log.warning(
            "A conversation exceeds its model's context window; declare contextWindow to avoid the refusal",
            model=str(run.chain[0]),
            omitted_messages=fitting.window.start,
        )
        left = run.context.time(fitting.agent.timeout) - (self._clock() - self._began)
        self.run = structs.replace(run, turn=shorter, agent=replace(run.agent, timeout=max(0.0, left)))


def window_of(model: ModelRef, context: RunContext) -> int | None:
    """The model's declared window in tokens; None if it is not declared."""
    provider = context.providers.get(model.provider)
    return None if provider is None else provider.model(model.model).context_window


def _room(run: Run) -> int | None:
    """The most tokens that the prompt may have; None if the model's window is not declared."""
    window = window_of(run.chain[0], run.context)
    if window is None:
        return None
    answer = max(answer_tokens(run.turn, None), window // 8)
    return window - min(answer, window // 2)
