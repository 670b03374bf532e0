"""What all runs of one configuration share: the providers, how patiently they are asked, and who is resting."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gateway.core.names import ModelRef
from gateway.core.turn import Turn
from gateway.runs.candidates import Candidate, candidates_for
from gateway.runs.cooldowns import Cooldowns
from gateway.runs.failover import Attempts, RetryPolicy
from gateway.runs.trace import RunTrace
from gateway.upstream.client import ProviderClient
from gateway.upstream.provider import Provider


@dataclass(frozen=True, slots=True)
class RunContext:
    """`rescue` replays answers that broke after the caller saw a part of them; `hold_back` (characters) withholds."""

    providers: Mapping[str, Provider]
    caller: ProviderClient
    policy: RetryPolicy
    circuits: Cooldowns
    rescue: bool = True
    hold_back: float = 0

    def trail(self, agent: str) -> RunTrace:
        """The trail of a new run."""
        return RunTrace(agent, self.policy.clock)

    def attempts(
        self,
        turn: Turn,
        chain: Sequence[ModelRef],
        trail: RunTrace,
        timeout: float | None = None,
        *,
        part: bool = False,
    ) -> Attempts:
        """The attempts of a new answer; its time, at most `timeout` seconds, begins now. See Attempts for `part`.

        Raises NotFound or BadRequest when nobody can be asked.
        """
        return self.attempts_of(candidates_for(turn, chain, self.providers), trail, timeout, part=part)

    def attempts_of(
        self, candidates: list[Candidate], trail: RunTrace, timeout: float | None = None, *, part: bool = False
    ) -> Attempts:
        """The same for candidates that are known."""
        end = self.policy.clock() + self.time(timeout)
        return Attempts(candidates, self.policy, self.circuits, trail, end, part=part)

    def time(self, timeout: float | None) -> float:
        """Seconds for a run whose agent wants it to take `timeout` at most."""
        total = self.caller.limits.total
        return total if timeout is None else min(timeout, total)
