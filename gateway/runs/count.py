"""Counts the tokens of the prompt of a run that never starts: by its provider if it can, else by an estimate.

It has the candidates, retries and fallbacks of a run. The provider computes no answer, so the ledger, the metrics of
runs and the cooldowns of answers don't see it: providers limit the rate of counts apart from that of answers.
"""

from msgspec import Struct
from msgspec.structs import replace

from gateway.core.errors import BadRequest, NotFound
from gateway.core.token_estimate import prompt_tokens
from gateway.core.turn import Turn
from gateway.runs.candidates import Candidate, candidates_for, with_settings
from gateway.runs.observers import log_run
from gateway.runs.run import Run
from gateway.runs.trace import Observer, RunTrace
from gateway.upstream.count import can_count, count


class TokenCount(Struct, frozen=True):
    """`estimated`: by the gateway, not by a provider. `trace` has the requests to providers, None without any."""

    tokens: int
    estimated: bool
    trace: RunTrace | None = None


class _Counting(Candidate, frozen=True):
    @property
    def unit(self) -> str:
        return f"{super().unit} count"


class PromptCount:
    """The count of one run's prompt, with the tools that the agent offers. `trace` has the requests to providers;
    `observers` are called at its end, beside the log.
    """

    def __init__(self, run: Run, *observers: Observer) -> None:
        self._run = run
        turn = run.turn
        if run.offer is not None:
            turn = replace(turn, tools=(*turn.tools, *run.offer.specs))
        self._turn: Turn = turn
        self._candidates = _candidates(run, turn)
        own = run.trace
        self.trace = RunTrace(own.agent, run.context.policy.clock, own.client, (log_run, *observers), own.origin)

    @property
    def asks_provider(self) -> bool:
        """Whether the first candidate's provider can count; else nothing is asked."""
        return bool(self._candidates) and can_count(self._candidates[0].provider)

    async def result(self) -> TokenCount:
        """Ask the provider, or estimate. Raises UpstreamError or BadRequest."""
        if not self.asks_provider:
            return TokenCount(prompt_tokens(self._turn), estimated=True)
        run = self._run
        client = run.context.provider_client
        attempts = run.context.attempts_of(self._candidates, self.trace, run.agent.timeout)

        async def ask(one: Candidate) -> int | None:
            turn = with_settings(self._turn, one, run.params)
            return await count(client, one.provider, one.model, turn, attempts.end, fresh=attempts.fresh)

        tokens = await attempts.ask(ask)
        if tokens is None:
            return TokenCount(prompt_tokens(self._turn), estimated=True, trace=self.trace)
        return TokenCount(tokens, estimated=False, trace=self.trace)


def _candidates(run: Run, turn: Turn) -> tuple[Candidate, ...]:
    """None for a turn that no model of the chain can take: a count is no run, and needs no refusal."""
    try:
        fitting = candidates_for(turn, run.chain, run.context.providers)
    except (BadRequest, NotFound):
        return ()
    return tuple(_Counting(one.ref, one.provider, one.model) for one in fitting)
