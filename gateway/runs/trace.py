"""What a run has tried: each attempt, the pause before it and how it ended. For headers, logs and operators."""

from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from gateway.core.names import ModelRef
from gateway.core.usage import Usage

if TYPE_CHECKING:
    from gateway.runs.observers import Observer

ANSWERED, CANCELLED, LEFT_OUT = "answered", "cancelled", "left_out"


class Attempt:
    """One call of one candidate with one key. Times are seconds; `outcome` is None until it has ended.

    `waited` is the pause before it, `status` the provider's HTTP status as far as it is known, `outcome` ANSWERED,
    CANCELLED, or the kind of the failure.
    """

    __slots__ = ("began", "key", "outcome", "ref", "seconds", "status", "waited")

    def __init__(self, ref: ModelRef, key: str, began: float, waited: float) -> None:
        self.ref = ref
        self.key = key
        self.began = began
        self.waited = waited
        self.status: int | None = None
        self.outcome: str | None = None
        self.seconds: float | None = None

    def as_dict(self) -> dict[str, Any]:
        """As JSON. The key is named by its place in the configuration and never disclosed."""
        return {
            "model": str(self.ref),
            "key_id": self.key,
            "waited": round(self.waited, 4),
            "seconds": None if self.seconds is None else round(self.seconds, 4),
            "status": self.status,
            "outcome": self.outcome,
        }


class ToolUse(Struct, frozen=True):
    """One tool that the agent ran. Times are seconds; `outcome` is ANSWERED, CANCELLED, LEFT_OUT or how it failed."""

    tool: str
    seconds: float
    outcome: str

    def as_dict(self) -> dict[str, Any]:
        """As JSON, without arguments and results."""
        return {"tool": self.tool, "seconds": round(self.seconds, 4), "outcome": self.outcome}


class RunTrace:
    """One run, from its first attempt on.

    `clock` counts seconds; `client` is who asked for it, "" when unknown. `observers` are called at its end. `usage` is
    what the providers reported so far, None if they reported nothing.
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
        "outcome",
        "tools",
        "usage",
    )

    def __init__(
        self, agent: str, clock: Callable[[], float], client: str = "", observers: "tuple[Observer, ...]" = ()
    ) -> None:
        self.agent = agent
        self.client = client
        self.observers = observers
        self.usage: Usage | None = None
        self.attempts: list[Attempt] = []
        self.current: Attempt | None = None  # the one that is being made, or was made last
        self.tools: tuple[ToolUse, ...] = ()
        self.outcome: str | None = None
        self._clock = clock
        self._began = clock()
        self._ended: float | None = None

    @property
    def answered(self) -> ModelRef | None:
        """The model behind the events of the run, or the one that is being asked; None before any was."""
        return self.current.ref if self.current is not None else None

    @property
    def waited(self) -> float:
        """Seconds of pauses before attempts, all together."""
        return sum(attempt.waited for attempt in self.attempts)

    def begin(self, ref: ModelRef, key: str, waited: float) -> Attempt:
        """An attempt is made now, after a pause of `waited` seconds."""
        self.current = attempt = Attempt(ref, key, self._clock(), waited)
        self.attempts.append(attempt)
        return attempt

    def end(self, outcome: str, status: int | None) -> None:
        """The current attempt has ended; once."""
        attempt = self.current
        if attempt is None:
            raise AssertionError("no attempt was begun")
        attempt.outcome, attempt.status = outcome, status
        attempt.seconds = self._clock() - attempt.began

    def ran(self, use: ToolUse) -> None:
        """The agent has run a tool, or has not although the model called it."""
        self.tools = (*self.tools, use)

    def close(self, outcome: str) -> None:
        """The run has ended."""
        self.outcome = outcome
        self._ended = self._clock()

    def as_dict(self) -> dict[str, Any]:
        """As JSON; `outcome` is null while the run goes on."""
        fields: dict[str, Any] = {
            "agent": self.agent,
            "outcome": self.outcome,
            "seconds": round((self._ended or self._clock()) - self._began, 4),
            "attempts": [attempt.as_dict() for attempt in self.attempts],
        }
        if self.tools:
            fields["tools"] = [use.as_dict() for use in self.tools]
        return fields


class RecentRuns:
    """The last runs of this process by request id, at most `max_runs` of them, without prompts and answers."""

    def __init__(self, max_runs: int = 1000) -> None:
        self._max_runs = max_runs
        self._traces: OrderedDict[str, RunTrace] = OrderedDict()

    def put(self, request_id: str, trace: RunTrace) -> None:
        """Remember a run; of two with one id the later one counts."""
        self._traces[request_id] = trace
        if len(self._traces) > self._max_runs:
            self._traces.popitem(last=False)

    def get(self, request_id: str) -> RunTrace | None:
        """The run of a request."""
        return self._traces.get(request_id)
