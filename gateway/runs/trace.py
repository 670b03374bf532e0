"""The trace of a run: each attempt, the pause before it and its outcome. For headers, logs and operators."""

from collections.abc import Callable
from typing import Any

from msgspec import Struct

from gateway.core.names import ModelRef
from gateway.core.session_key import SessionKey
from gateway.core.trace_context import CURRENT_ATTEMPT, TraceContext
from gateway.core.usage import Usage
from gateway.runs.attempt import Attempt
from gateway.runs.attempt_capture import AttemptCapture
from gateway.runs.run_record import AttemptRecord, RunRecord, ToolUse
from gateway.upstream.tapped import CURRENT_TAP

_MAX_REASON = 500  # characters


class Origin(Struct, frozen=True):
    """The request that a run belongs to: its id, its path ("agent" and "summary" are not HTTP), its conversation.

    `user` is the verified identity, None without one. `context` is the span of the run, None without tracing.
    """

    request: str = ""
    endpoint: str = ""
    session: SessionKey | None = None
    user: str | None = None
    context: TraceContext | None = None


NO_ORIGIN = Origin()


class RunTrace:
    """The trace of one run.

    `clock` counts seconds; `client` identifies the client, "" if unknown. `observers` are called at its end,
    `on_attempt` when an attempt begins; `capture` makes what observes an attempt of a run that is recorded for traces.
    `origin` names the request. `waited` is the sum of the pauses before attempts, in seconds. `rescues` counts the
    attempts that continue or replay a broken answer of which the client has a part. `usage` is what the providers
    reported so far, None if they reported nothing.
    """

    __slots__ = (
        "_began",
        "_clock",
        "_ended",
        "agent",
        "attempts",
        "capture",
        "client",
        "current",
        "observers",
        "on_attempt",
        "origin",
        "outcome",
        "rescues",
        "tools",
        "usage",
        "waited",
    )

    def __init__(
        self,
        agent: str,
        clock: Callable[[], float],
        client: str = "",
        observers: "tuple[Observer, ...]" = (),
        origin: Origin = NO_ORIGIN,
    ) -> None:
        self.agent = agent
        self.origin = origin
        self.client = client
        self.observers = observers
        self.on_attempt: Callable[[], None] | None = None
        self.capture: Callable[[], AttemptCapture] | None = None
        self.usage: Usage | None = None
        self.attempts: list[Attempt] = []
        self.current: Attempt | None = None  # the running attempt, or the last one
        self.tools: tuple[ToolUse, ...] = ()
        self.outcome: str | None = None
        self.rescues = 0
        self.waited = 0.0
        self._clock = clock
        self._began = clock()
        self._ended: float | None = None

    @property
    def answered(self) -> ModelRef | None:
        """The model of the current or last attempt; None before the first."""
        return self.current.ref if self.current is not None else None

    @property
    def began(self) -> float:
        """The start of the run in clock time."""
        return self._began

    @property
    def ended(self) -> float:
        """The end of the run in clock time; now while it is active."""
        return self._clock() if self._ended is None else self._ended

    @property
    def since_end(self) -> float:
        """The seconds since its end, 0 while it is active."""
        return 0.0 if self._ended is None else self._clock() - self._ended

    def begin(self, ref: ModelRef, key: str, waited: float) -> Attempt:
        """Begin an attempt after a pause of `waited` seconds."""
        self.waited += waited
        if self.on_attempt is not None:
            self.on_attempt()
        self.current = attempt = Attempt(ref, key, self._clock(), waited)
        self.attempts.append(attempt)
        if (context := self.origin.context) is not None:
            CURRENT_ATTEMPT.set(context.numbered(len(self.attempts)))
            if self.capture is not None:
                attempt.capture = self.capture() if context.sampled else None
                CURRENT_TAP.set(attempt.capture)
        return attempt

    def first_event(self) -> None:
        """The current attempt has sent the first event of its stream."""
        if (attempt := self.current) is not None:
            attempt.first_event = self._clock() - attempt.began

    def show(self) -> None:
        """The client gets a part of the current attempt's answer."""
        if (attempt := self.current) is not None:
            attempt.shown = True

    def end(self, outcome: str, status: int | None, reason: str | None = None) -> None:
        """End the current attempt, a failed one with its message. Call this once per attempt."""
        attempt = self.current
        if attempt is None:
            raise AssertionError("there is no attempt to end")
        attempt.outcome, attempt.status = outcome, status
        attempt.reason = None if reason is None else reason[:_MAX_REASON]
        attempt.seconds = self._clock() - attempt.began

    def ran(self, use: ToolUse) -> None:
        """Record a tool call of the agent, also one that was not run."""
        self.tools = (*self.tools, use)

    def close(self, outcome: str) -> None:
        """End the run."""
        self.outcome = outcome
        self._ended = self._clock()

    def record(self) -> RunRecord:
        """The run as far as it has come; `outcome` is None while it is active."""
        return RunRecord(
            self.agent,
            self.outcome,
            self.ended - self._began,
            [
                AttemptRecord(one.ref, one.key, one.waited, one.seconds, one.status, one.outcome, one.reason)
                for one in self.attempts
            ],
            self.tools,
        )

    def as_dict(self) -> dict[str, Any]:
        """The record as JSON."""
        return self.record().as_dict()


class RunFinished(Struct, frozen=True):
    """How a run ended.

    `usage` is None if no provider reported any. `client` identifies the client for limits and cooldowns. `outcome` is
    ANSWERED, CANCELLED, the kind of the provider's failure, or the type of another error. `failed` is True if the
    client got an error.
    """

    trace: RunTrace
    usage: Usage | None
    client: str
    outcome: str
    failed: bool


Observer = Callable[[RunFinished], None]
"""Called once at the end of each run. It must neither raise nor block."""
