"""From the end of a run to rows of the ledger, one for each attempt."""

import hashlib
from collections.abc import Iterator, Mapping

from msgspec import Struct

from gateway.core.price import Price, cost
from gateway.core.session_key import SessionKey
from gateway.core.usage import NO_USAGE
from gateway.ledger.row import Outcome, Row, UsageSource
from gateway.runs.trace import ANSWERED, CANCELLED, Attempt, RunFinished
from gateway.upstream.provider import Provider


class Booking(Struct, frozen=True, gc=False):
    """A run that has ended at `time` (Unix time in seconds), with the providers of its configuration."""

    time: float
    finished: RunFinished
    providers: Mapping[str, Provider]

    def rows(self) -> Iterator[Row]:
        """One row for each attempt."""
        trace = self.finished.trace
        session = digest(trace.origin.session)
        last = len(trace.attempts)
        for number, attempt in enumerate(trace.attempts, 1):
            yield self._row(attempt, number, session, is_last=number == last)

    def _row(self, attempt: Attempt, number: int, session: str, *, is_last: bool) -> Row:
        finished = self.finished
        trace, ref = finished.trace, attempt.ref
        provider = self.providers.get(ref.provider)
        wire, price = ("", None) if provider is None else _terms(provider, ref.model)
        usage = attempt.usage or NO_USAGE
        outcome, error = _outcome(attempt)
        return Row(
            self.time - (trace.ended - attempt.began),
            trace.origin.request,
            number,
            trace.agent,
            trace.client,
            session,
            trace.origin.endpoint,
            ref.provider,
            ref.model,
            wire,
            attempt.key,
            usage.prompt,
            usage.cached,
            usage.cache_write,
            usage.completion,
            usage.reasoning,
            None if attempt.usage is None else cost(usage, price),
            "" if price is None else price.source,
            "" if price is None else price.date,
            outcome,
            error,
            attempt.status,
            attempt.seconds or 0.0,
            attempt.first_event,
            attempt.streamed,
            not attempt.shown and not (is_last and finished.failed),
            _source(attempt),
        )


def digest(session: SessionKey | None) -> str:
    """A digest of a conversation's key: equal for equal keys, without disclosing what a client calls it."""
    return "" if session is None else hashlib.sha256(str(session).encode()).hexdigest()[:16]


def _terms(provider: Provider, model: str) -> tuple[str, Price | None]:
    """The wire format and the price of a model."""
    return provider.row_for(model).wire, provider.prices.get(model)


def _outcome(attempt: Attempt) -> tuple[Outcome, str]:
    if attempt.outcome == ANSWERED:
        return "answered", ""
    return ("cancelled", "") if attempt.outcome in (CANCELLED, None) else ("failed", str(attempt.outcome))


def _source(attempt: Attempt) -> UsageSource:
    if attempt.usage is None:
        return "none"
    return "estimated" if attempt.estimated else "provider"
