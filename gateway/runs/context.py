"""What all runs of one configuration share: providers, their client, the retry policy and cooldowns."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from gateway.core.lifetime import Lifetime
from gateway.core.names import ModelRef
from gateway.core.turn import Turn
from gateway.runs.attempt_capture import AttemptCapture
from gateway.runs.attempts import Attempts
from gateway.runs.candidates import Candidate, candidates_for
from gateway.runs.cooldowns import Cooldowns
from gateway.runs.hedge import HedgingAttempts
from gateway.runs.observers import log_run
from gateway.runs.reasoning import CallReasoning
from gateway.runs.retry_policy import RetryPolicy
from gateway.runs.trace import NO_ORIGIN, Observer, Origin, RunTrace
from gateway.upstream.client import ProviderClient
from gateway.upstream.http import Timeouts
from gateway.upstream.provider import Provider
from gateway.wire import UPSTREAMS


@dataclass(frozen=True, slots=True)
class RunContext:
    """The shared parts of runs.

    With `rescue`, an answer that breaks after the client got a part of it is requested again. `hold_back` is the number
    of characters that are withheld at the beginning of an answer. `reasoning` stores what models need back with their
    tool calls. `observers` are called once at the end of each run. `metered`: each attempt counts its own usage.
    `on_attempt` is called when an attempt begins, `capture` makes what observes it for traces.
    `lifetime` is that of the snapshot.
    """

    providers: Mapping[str, Provider]
    provider_client: ProviderClient
    policy: RetryPolicy
    cooldowns: Cooldowns
    rescue: bool = True
    hold_back: float = 0
    reasoning: CallReasoning | None = None
    observers: tuple[Observer, ...] = (log_run,)
    metered: bool = False
    on_attempt: Callable[[], None] | None = None
    capture: Callable[[], AttemptCapture] | None = None
    lifetime: Lifetime = field(default_factory=Lifetime)

    def new_trace(self, agent: str, client: str = "", origin: Origin = NO_ORIGIN) -> RunTrace:
        """The trace of a new run; `client` identifies the client for cooldowns, `origin` the request."""
        trace = RunTrace(agent, self.policy.clock, client, self.observers, origin)
        trace.on_attempt = self.on_attempt
        trace.capture = self.capture
        return trace

    def attempts(
        self,
        turn: Turn,
        chain: Sequence[ModelRef],
        trace: RunTrace,
        timeout: float | None = None,
        *,
        part: bool = False,
    ) -> Attempts:
        """The attempts of a new answer, with a time limit of at most `timeout` seconds from now. `part`: see Attempts.

        Raises NotFound or BadRequest if there is no candidate.
        """
        metered = turn if self.metered else None
        return self.attempts_of(candidates_for(turn, chain, self.providers), trace, timeout, part=part, metered=metered)

    def attempts_of(
        self,
        candidates: tuple[Candidate, ...],
        trace: RunTrace,
        timeout: float | None = None,
        *,
        part: bool = False,
        metered: Turn | None = None,
    ) -> Attempts:
        """The same for the given candidates. `metered`: see `turn` of Attempts."""
        policy = self.policy
        end = policy.clock() + self.time(timeout)
        kind = Attempts if policy.hedge_after is None else HedgingAttempts
        return kind(candidates, policy, self.cooldowns, trace, end, part=part, turn=metered)

    def read_pdfs(self, chain: Sequence[ModelRef]) -> bool:
        """Whether every model of the chain takes PDFs as they are."""
        for ref in chain:
            provider = self.providers.get(ref.provider)
            if provider is None:
                return False
            wire = provider.row_for(ref.model).wire
            if not UPSTREAMS[wire].reads_pdfs(provider.model(ref.model)):
                return False
        return True

    def wires(self, chain: Sequence[ModelRef]) -> frozenset[str]:
        """The wire formats of the models of the chain that have a provider."""
        rows = [(self.providers.get(ref.provider), ref.model) for ref in chain]
        return frozenset(row.row_for(model).wire for row, model in rows if row is not None)

    def timeouts(self, turn: Turn) -> Timeouts:
        """The timeouts of an attempt that has a fallback. Without rescue, a stream that has begun has no fallback."""
        limits = self.provider_client.limits
        if self.rescue or not turn.stream:
            return limits.fallback
        return replace(limits.fallback, idle=limits.last.idle)

    def time(self, timeout: float | None) -> float:
        """The time limit of a run in seconds; `timeout` is the agent's own limit, None without one."""
        total = self.provider_client.limits.total
        return total if timeout is None else min(timeout, total)
