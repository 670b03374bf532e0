"""What a run has tried: each attempt, how long it was waited for and how it ended. For headers, logs and operators."""

import logging
import sys
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import structlog
from msgspec import Struct

from gateway.core.errors import GatewayError
from gateway.core.names import ModelRef
from gateway.core.upstream_error import UpstreamError

log = structlog.get_logger(__name__)

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
        """As JSON tells it. The key is named by its place in the configuration, never told."""
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
        """As JSON tells it: never with what was asked or answered."""
        return {"tool": self.tool, "seconds": round(self.seconds, 4), "outcome": self.outcome}


class RunTrace:
    """One run, from its first attempt on. `clock` counts seconds; `client` is who asked for it, "" when unknown."""

    __slots__ = ("_began", "_clock", "_ended", "agent", "attempts", "client", "outcome", "tools")

    def __init__(self, agent: str, clock: Callable[[], float], client: str = "") -> None:
        self.agent = agent
        self.client = client
        self.attempts: list[Attempt] = []
        self.tools: tuple[ToolUse, ...] = ()
        self.outcome: str | None = None
        self._clock = clock
        self._began = clock()
        self._ended: float | None = None

    @property
    def answered(self) -> ModelRef | None:
        """The model behind the events of the run, or the one that is being asked; None before any was."""
        return self.attempts[-1].ref if self.attempts else None

    @property
    def waited(self) -> float:
        """Seconds of pauses before attempts, all together."""
        return sum(attempt.waited for attempt in self.attempts)

    def begin(self, ref: ModelRef, key: str, waited: float) -> None:
        """An attempt is made now, after a pause of `waited` seconds."""
        self.attempts.append(Attempt(ref, key, self._clock(), waited))

    def end(self, outcome: str, status: int | None) -> None:
        """The attempt that was begun last has ended; once."""
        attempt = self.attempts[-1]
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
        """As JSON tells it; `outcome` is null while the run goes on."""
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
    """The last runs of this process by request id, at most `most` of them. Nothing of what was said is kept."""

    def __init__(self, most: int = 1000) -> None:
        self._most = most
        self._trails: OrderedDict[str, RunTrace] = OrderedDict()

    def put(self, request_id: str, trail: RunTrace) -> None:
        """Remember a run; of two with one id the later one counts."""
        self._trails[request_id] = trail
        if len(self._trails) > self._most:
            self._trails.popitem(last=False)

    def get(self, request_id: str) -> RunTrace | None:
        """The run of a request."""
        return self._trails.get(request_id)


def close_run(trail: RunTrace) -> None:
    """A run has ended; called while what ended it, if anything, is on its way up. One log line for what is unusual."""
    ending = sys.exception()
    trail.close(_outcome(ending))
    if isinstance(ending, GatewayError):
        log.warning("run", **trail.as_dict())
    elif ending is not None or len(trail.attempts) > 1:
        log.info("run", **trail.as_dict())
    elif log.is_enabled_for(logging.DEBUG):  # a line costs a fifth of what a small answer does
        log.debug("run", **trail.as_dict())


def _outcome(ending: BaseException | None) -> str:
    match ending:
        case None:
            return ANSWERED
        case UpstreamError(kind=kind):
            return kind.value
        case GatewayError(type=kind):
            return kind
        case Exception():
            return "error"
        case _:
            return CANCELLED
