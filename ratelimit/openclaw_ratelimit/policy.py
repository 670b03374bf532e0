"""How strict to be: the numbers of the limits, checked once when they are made. Times are seconds."""

from dataclasses import dataclass
from typing import Self

from limits import RateLimitItem

from openclaw_ratelimit.checks import require_count, require_seconds, require_whole_seconds
from openclaw_ratelimit.notation import parsed


@dataclass(frozen=True, slots=True)
class LockoutPolicy:
    """`max_attempts` failures of one key within `window` lock it for `lockout`.

    Failures older than `window` no longer count (a sliding window). The lock's end clears the history. Raises
    `PolicyError`.
    """

    max_attempts: int = 10
    window: float = 60.0
    lockout: float = 300.0

    def __post_init__(self) -> None:
        require_count("max_attempts", self.max_attempts)
        require_seconds("window", self.window)
        require_seconds("lockout", self.lockout)

    @classmethod
    def parse(cls, text: str | RateLimitItem, *, lockout: float = 300.0) -> Self:
        """`max_attempts` and `window` in the notation of `limits`: `LockoutPolicy.parse("10/minute")`."""
        amount, window = parsed(text)
        return cls(amount, float(window), lockout)


@dataclass(frozen=True, slots=True)
class DelayPolicy:
    """The first failure of a key within `window` costs `first`, each further one twice the last, at most `cap`.

    Raises `PolicyError`.
    """

    first: float = 0.25
    cap: float = 5.0
    window: float = 60.0

    def __post_init__(self) -> None:
        require_seconds("first", self.first)
        require_seconds("cap", self.cap)
        require_seconds("window", self.window)


@dataclass(frozen=True, slots=True)
class BudgetPolicy:
    """`failures` of all keys together within `window` (whole seconds) exhaust the budget.

    Until there is room again, keys without a success in the last `memory` share another `failures` attempts per
    `window`, at most one per key and `interval`; the key that has waited longest comes first. Raises `PolicyError`.
    """

    failures: int = 100
    window: int = 60
    interval: float = 10.0
    memory: float = 86_400.0

    def __post_init__(self) -> None:
        require_count("failures", self.failures)
        require_whole_seconds("window", self.window)
        require_seconds("interval", self.interval)
        require_seconds("memory", self.memory)
