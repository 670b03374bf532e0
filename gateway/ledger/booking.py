"""From the end of a run to rows of the ledger, one for each attempt."""

import hashlib
from collections.abc import Iterator, Mapping

from gateway.core.price import Price, cost
from gateway.core.session_key import SessionKey
from gateway.core.usage import NO_USAGE
from gateway.ledger.row import Outcome, Row
from gateway.runs.attempt import ANSWERED, CANCELLED, Attempt
from gateway.runs.trace import RunFinished
from gateway.upstream.provider import Provider

_ANSWERED: tuple[Outcome, str] = ("answered", "")


def rows_of(finished: RunFinished, time: float, providers: Mapping[str, Provider]) -> Iterator[Row]:
    """One row for each attempt of a run that ended at `time` (Unix time in seconds) and used these providers."""
    trace = finished.trace
    origin = trace.origin
    session = "" if origin.session is None else digest(origin.session)
    offset = time - trace.ended  # from clock time to Unix time
    last = len(trace.attempts)
    for number, attempt in enumerate(trace.attempts, 1):
        ref, usage = attempt.ref, attempt.usage or NO_USAGE
        provider = providers.get(ref.provider)
        wire, price = ("", None) if provider is None else _terms(provider, ref.model)
        outcome, error = _ANSWERED if attempt.outcome == ANSWERED else _failure(attempt)
        yield Row(
            offset + attempt.began,
            origin.request,
            number,
            trace.agent,
            trace.client,
            session,
            origin.endpoint,
            ref.provider,
            ref.model,
            wire,
            attempt.key,
            usage.prompt,
            usage.cached,
            usage.cache_write,
            usage.completion,
            usage.reasoning,
            None if attempt.usage is None or price is None else cost(usage, price),
            "" if price is None else price.source,
            "" if price is None else price.date,
            outcome,
            error,
            attempt.status,
            attempt.seconds or 0.0,
            attempt.first_event,
            attempt.streamed,
            not attempt.shown and not (finished.failed and number == last),
            "none" if attempt.usage is None else "estimated" if attempt.estimated else "provider",
        )


def digest(session: SessionKey) -> str:
    """A digest of a conversation's key: equal for equal keys, without disclosing what a client calls it."""
    return hashlib.sha256(str(session).encode()).hexdigest()[:16]


def _terms(provider: Provider, model: str) -> tuple[str, Price | None]:
    """The wire format and the price of a model."""
    return provider.row_for(model).wire, provider.prices.get(model)


def _failure(attempt: Attempt) -> tuple[Outcome, str]:
    return ("cancelled", "") if attempt.outcome in (CANCELLED, None) else ("failed", str(attempt.outcome))
