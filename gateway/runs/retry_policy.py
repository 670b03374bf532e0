"""How often and after which pauses the candidates of an answer are retried."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """At most `retries` per candidate, the first after up to `backoff` seconds, doubled up to `max_backoff`.

    A provider's `Retry-After` is obeyed up to `fallback_hint` seconds while another candidate can be asked, and up to
    `max_hint` seconds for the last one. After `hedge_after` seconds without a first event the next candidate starts in
    parallel (None: never). `random` returns numbers from 0 to 1; `sleep` takes seconds.
    """

    clock: Callable[[], float]
    sleep: Callable[[float], Awaitable[object]]
    random: Callable[[], float]
    retries: int = 2
    backoff: float = 0.5
    max_backoff: float = 8.0
    fallback_hint: float = 3.0
    max_hint: float = 60.0
    hedge_after: float | None = None
