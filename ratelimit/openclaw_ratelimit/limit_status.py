"""How much of a quota is left: the arithmetic of the sliding window, the same wherever the counts are stored.

The window before this one fades in proportion to the time that is left of this one: what counts is
`previous * left / width + current`, rounded down.
"""

from dataclasses import dataclass
from math import floor

from openclaw_ratelimit.quota_policy import QuotaPolicy

RUN_WAIT = 0.5
"""Seconds after which to ask for a run again: when another one ends can't be known."""

_TINY = 0.001  # seconds: a refusal always has a wait, even if there is room in the next moment


@dataclass(frozen=True, slots=True)
class LimitStatus:
    """What is left under one policy. Times are seconds.

    `remaining` can be had now. `left` is the rest of the current window, 0.0 for runs. `reset` is when all would be
    free again if nobody asked for more. `wait` is when what was asked will fit, 0.0 when it did, None when it never
    will, because it is more than the whole quota.
    """

    policy: QuotaPolicy
    remaining: int
    left: float
    reset: float
    wait: float | None


@dataclass(frozen=True, slots=True)
class QuotaUsage:
    """What one caller has used under one policy with a window. Times are seconds.

    `used` is what counts now, `reserved` the part of it that this process has reserved for work that is not settled
    (strict policies only). `left` is the rest of the current window; `reset` is when all would be free again.
    """

    policy: QuotaPolicy
    used: int
    reserved: int
    left: float
    reset: float


def usage_of(policy: QuotaPolicy, previous: int, current: int, left: float, reserved: int) -> QuotaUsage:
    """The use of a window with these counts."""
    width = policy.window
    used = floor(previous * left / width + current)
    return QuotaUsage(policy, used, min(reserved, used), left, _until(previous, current, left, width, 1))


def of_window(policy: QuotaPolicy, previous: int, current: int, left: float, cost: int) -> LimitStatus:
    """The status of a window with these counts; `cost` is what it has no place for, 0 when it is counted already."""
    width = policy.window
    remaining = max(0, policy.amount - floor(previous * left / width + current))
    wait: float | None = 0.0
    if cost > policy.amount:
        wait = None
    elif cost > remaining:
        wait = max(_TINY, _until(previous, current, left, width, policy.amount - cost + 1))
    return LimitStatus(policy, remaining, left, _until(previous, current, left, width, 1), wait)


def of_runs(policy: QuotaPolicy, running: int, cost: int) -> LimitStatus:
    """The status of runs at the same time; `cost` as for windows."""
    remaining = max(0, policy.amount - running)
    return LimitStatus(policy, remaining, 0.0, RUN_WAIT if running else 0.0, 0.0 if cost <= remaining else RUN_WAIT)


def _until(previous: int, current: int, left: float, width: int, under: int) -> float:
    """Seconds until less than `under` counts, if nothing more is counted. At that very moment it is not yet less."""
    if previous * left / width + current < under:
        return 0.0
    if current < under:
        return left - (under - current) * width / previous
    return left + width - under * width / current
