"""The trace of a run: each attempt, the pause before it and its outcome. For headers, logs and operators."""

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from msgspec import Struct

from gateway.core.event import Batch, Event, RefusalDelta, TextDelta, ThinkingDelta, ToolCallDelta, UsageReport
from gateway.core.names import ModelRef
from gateway.core.session_key import SessionKey
from gateway.core.token_estimate import raw_text_bytes, text_bytes
from gateway.core.usage import Usage
from gateway.observe.redact import redact_text, without_values

ANSWERED, CANCELLED, LEFT_OUT = "answered", "cancelled", "left_out"
_MAX_REASON = 500  # characters
_MAX_BATCHES = 256  # that an attempt holds before it measures them


class Attempt:
    """One request to one candidate. Times are seconds; `outcome` is None until it has ended.

    `waited` is the pause before it, `status` the provider's HTTP status if known, `outcome` ANSWERED, CANCELLED or the
    kind of the failure, `reason` the message of the failure, without secrets. `first_event` is the time until the
    first event of a streamed answer, None before it.

    The rest is for the ledger and is set only in a metered run: `usage` is the provider's own count or, if `estimated`,
    ours, None without one; `streamed` says that the provider was asked for a stream, and `shown` that the client got a
    part of the answer. As a filter of the provider's answer it sees every event and passes all of them on.
    """

    __slots__ = (
        "_batches",
        "_bytes",
        "began",
        "estimated",
        "first_event",
        "key",
        "outcome",
        "reason",
        "ref",
        "seconds",
        "shown",
        "status",
        "streamed",
        "usage",
        "waited",
    )

    def __init__(self, ref: ModelRef, key: str, began: float, waited: float) -> None:
        self.ref = ref
        self.key = key
        self.began = began
        self.waited = waited
        self.status: int | None = None
        self.outcome: str | None = None
        self.reason: str | None = None
        self.seconds: float | None = None
        self.first_event: float | None = None
        self.usage: Usage | None = None
        self.estimated = False
        self.streamed = False
        self.shown = False
        self._batches: list[Batch] = []
        self._bytes = 0

    def feed(self, batch: Batch) -> Batch:
        """The same batch. It is measured only if there are many, or at the end if the provider reports no usage."""
        if batch:
            last = batch[-1]
            if isinstance(last, UsageReport) and (last.usage.prompt or last.usage.completion):
                self.usage = last.usage
                self._batches.clear()
            else:
                self._batches.append(batch)
                if len(self._batches) > _MAX_BATCHES:
                    self._measure()
        return batch

    def forget(self) -> None:
        """Forget the answer: traces are stored without prompts and answers."""
        self._batches.clear()

    def take_bytes(self) -> int:
        """The bytes of text that the provider sent. The attempt forgets the text itself."""
        self._measure()
        return self._bytes

    def _measure(self) -> None:
        self._bytes += sum(_text_bytes(event) for batch in self._batches for event in batch)
        self._batches.clear()

    def as_dict(self) -> dict[str, Any]:
        """As JSON. `key_id` names the position of the key in the configuration; the key itself is never disclosed."""
        fields = {
            "model": str(self.ref),
            "key_id": self.key,
            "waited": round(self.waited, 4),
            "seconds": None if self.seconds is None else round(self.seconds, 4),
            "status": self.status,
            "outcome": self.outcome,
        }
        if self.reason is not None:
            fields["reason"] = redact_text(without_values(self.reason))
        return fields


def _text_bytes(event: Event) -> int:
    if isinstance(event, TextDelta):
        return raw_text_bytes(event.raw)
    if isinstance(event, (ThinkingDelta, RefusalDelta)):
        return text_bytes(event.text)
    return text_bytes(event.arguments) if isinstance(event, ToolCallDelta) else 0


class ToolUse(Struct, frozen=True):
    """One tool call of the agent. Times are seconds; `outcome` is ANSWERED, CANCELLED, LEFT_OUT or its failure."""

    tool: str
    seconds: float
    outcome: str

    def as_dict(self) -> dict[str, Any]:
        """As JSON, without arguments and results."""
        return {"tool": self.tool, "seconds": round(self.seconds, 4), "outcome": self.outcome}


class Origin(Struct, frozen=True):
    """The request that a run belongs to: its id, its path ("agent" and "summary" are not HTTP), its conversation."""

    request: str = ""
    endpoint: str = ""
    session: SessionKey | None = None


NO_ORIGIN = Origin()


class RunTrace:
    """The trace of one run.

    `clock` counts seconds; `client` identifies the client, "" if unknown. `observers` are called at its end,
    `on_attempt` when an attempt begins. `origin` names the request. `waited` is the sum of the pauses before attempts,
    in seconds. `rescues` counts the attempts that continue or replay a broken answer of which the client has a part.
    `usage` is what the providers reported so far, None if they reported nothing.
    """

    __slots__ = (
        "_began",
        "_clock",
        "_ended",
        "agent",
        "attempts",
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
    def ended(self) -> float:
        """The end of the run in clock time; now while it is active."""
        return self._clock() if self._ended is None else self._ended

    def begin(self, ref: ModelRef, key: str, waited: float) -> Attempt:
        """Begin an attempt after a pause of `waited` seconds."""
        self.waited += waited
        if self.on_attempt is not None:
            self.on_attempt()
        self.current = attempt = Attempt(ref, key, self._clock(), waited)
        self.attempts.append(attempt)
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

    def as_dict(self) -> dict[str, Any]:
        """As JSON; `outcome` is null while the run is active."""
        fields: dict[str, Any] = {
            "agent": self.agent,
            "outcome": self.outcome,
            "seconds": round((self._ended or self._clock()) - self._began, 4),
            "attempts": [attempt.as_dict() for attempt in self.attempts],
        }
        if self.tools:
            fields["tools"] = [use.as_dict() for use in self.tools]
        return fields


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


class RecentRuns:
    """The traces of the last `max_runs` runs of this process by request id, without prompts and answers.

    A client may choose its request ids, so each `user` (the verified identity, None without one) has ids of its own.
    """

    def __init__(self, max_runs: int = 1000) -> None:
        self._max_runs = max_runs
        self._traces: OrderedDict[tuple[str | None, str], RunTrace] = OrderedDict()

    def put(self, user: str | None, request_id: str, trace: RunTrace) -> None:
        """Store a trace. A later one of the same user with the same id replaces it."""
        self._traces[user, request_id] = trace
        if len(self._traces) > self._max_runs:
            self._traces.popitem(last=False)

    def get(self, user: str | None, request_id: str, *, everybody: bool = False) -> RunTrace | None:
        """The trace of the user's request; None if unknown. With `everybody`, else the latest one of another user."""
        trace = self._traces.get((user, request_id))
        if trace is None and everybody:
            others = (trace for (_, known), trace in reversed(self._traces.items()) if known == request_id)
            trace = next(others, None)
        return trace
