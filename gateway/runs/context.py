"""What all runs of one configuration share: the providers, how they are asked, and which of them cool down."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from gateway.core.names import ModelRef
from gateway.core.turn import Turn
from gateway.runs.attempts import Attempts, RetryPolicy
from gateway.runs.candidates import Candidate, candidates_for
from gateway.runs.cooldowns import Cooldowns
from gateway.runs.hedge import HedgingAttempts
from gateway.runs.observers import Observer, log_run
from gateway.runs.reasoning import CallReasoning
from gateway.runs.trace import RunTrace
from gateway.upstream.client import ProviderClient
from gateway.upstream.http import Timeouts
from gateway.upstream.provider import Provider


@dataclass(frozen=True, slots=True)
class RunContext:
    """`rescue` replays answers that broke after the client saw a part of them; `hold_back` (characters) withholds.

    `reasoning` keeps what models want back with their calls; `observers` are called once at the end of each run.
    """

    providers: Mapping[str, Provider]
    provider_client: ProviderClient
    policy: RetryPolicy
    cooldowns: Cooldowns
    rescue: bool = True
    hold_back: float = 0
    reasoning: CallReasoning | None = None
    observers: tuple[Observer, ...] = (log_run,)

    def new_trace(self, agent: str, client: str = "") -> RunTrace:
        """The trace of a new run; `client` tells who asks for it, for cooldowns."""
        return RunTrace(agent, self.policy.clock, client, self.observers)

    def attempts(
        self,
        turn: Turn,
        chain: Sequence[ModelRef],
        trace: RunTrace,
        timeout: float | None = None,
        *,
        part: bool = False,
    ) -> Attempts:
        """The attempts of a new answer; its time, at most `timeout` seconds, begins now. See Attempts for `part`.

        Raises NotFound or BadRequest when nobody can be asked.
        """
        return self.attempts_of(candidates_for(turn, chain, self.providers), trace, timeout, part=part)

    def attempts_of(
        self, candidates: tuple[Candidate, ...], trace: RunTrace, timeout: float | None = None, *, part: bool = False
    ) -> Attempts:
        """The same for candidates that are known."""
        end = self.policy.clock() + self.time(timeout)
        made = Attempts if self.policy.hedge_after is None else HedgingAttempts
        return made(candidates, self.policy, self.cooldowns, trace, end, part=part)

    def timeouts(self, turn: Turn) -> Timeouts:
        """How long an attempt may take that has a fallback. Without rescue a stream has none once it has begun."""
        limits = self.provider_client.limits
        if self.rescue or not turn.stream:
            return limits.fallback
        return replace(limits.fallback, idle=limits.last.idle)

    def time(self, timeout: float | None) -> float:
        """Seconds for a run whose agent wants it to take `timeout` at most."""
        total = self.provider_client.limits.total
        return total if timeout is None else min(timeout, total)
