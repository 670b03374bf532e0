"""How strict to be: the numbers of the limits, checked once when they are made. Times are seconds."""

from dataclasses import dataclass
from math import isfinite

from ratelimit.errors import PolicyError


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
        _at_least_one("max_attempts", self.max_attempts)
        _positive("window", self.window)
        _positive("lockout", self.lockout)


@dataclass(frozen=True, slots=True)
class DelayPolicy:
    """The first failure of a key within `window` costs `first`, each further one twice the last, at most `cap`.

    Raises `PolicyError`.
    """

    first: float = 0.25
    cap: float = 5.0
    window: float = 60.0

    def __post_init__(self) -> None:
        _positive("first", self.first)
        _positive("cap", self.cap)
        _positive("window", self.window)


@dataclass(frozen=True, slots=True)
class BudgetPolicy:
    """`failures` of all keys of a group together within `window` (whole seconds) exhaust the group's budget.

    Until there is room again, a key without a success in the last `memory` gets one attempt per `interval`, and all
    such keys together no more than another `failures` per `window`. Raises `PolicyError`.
    """

    failures: int = 100
    window: int = 60
    interval: float = 10.0
    memory: float = 86_400.0

    def __post_init__(self) -> None:
        _at_least_one("failures", self.failures)
        _at_least_one("window", self.window)
        _positive("interval", self.interval)
        _positive("memory", self.memory)


def _at_least_one(name: str, value: int) -> None:
    if value < 1:
        raise PolicyError(f"{name} must be a whole number of at least 1, not {value}")


def _positive(name: str, value: float) -> None:
    if not (isfinite(value) and value > 0):
        raise PolicyError(f"{name} must be a positive number of seconds, not {value}")
