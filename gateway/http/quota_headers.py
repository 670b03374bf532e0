"""The headers about limits: the IETF's two fields and OpenAI's six headers, for answers and refusals.

`x-ratelimit-*`: https://platform.openai.com/docs/guides/rate-limits. If several policies count the same unit, these
headers describe the one with the least remaining.
"""

from collections.abc import Sequence
from math import ceil

from gateway.http.quota_policies import is_budget
from openclaw_ratelimit import LimitStatus
from openclaw_ratelimit.headers import ratelimit_headers


def quota_headers(statuses: Sequence[LimitStatus], within: int | None = None) -> dict[str, str]:
    """The headers of a response under these policies. `within` is the `Retry-After` of a refusal (seconds).

    Budgets have no place in them: their windows are too long for clients that pace themselves by these headers.
    `t` is the remaining time of the window, at most `Retry-After`, because the draft requires that it is not later.
    """
    statuses = [status for status in statuses if not is_budget(status.policy.name)]
    headers = ratelimit_headers(statuses, within)
    for unit in ("requests", "tokens"):
        counted = [status for status in statuses if status.policy.counts == unit]
        if counted:
            nearest = min(counted, key=lambda status: status.remaining)
            headers[f"x-ratelimit-limit-{unit}"] = str(nearest.policy.amount)
            headers[f"x-ratelimit-remaining-{unit}"] = str(nearest.remaining)
            headers[f"x-ratelimit-reset-{unit}"] = duration(nearest.reset)
    return headers


def duration(seconds: float) -> str:
    """A duration in OpenAI's format, rounded up: `6m0s`, `1s`, `12ms`."""
    if seconds < 1:
        return f"{ceil(seconds * 1000)}ms"
    minutes, seconds_left = divmod(ceil(seconds), 60)
    return f"{minutes}m{seconds_left}s" if minutes else f"{seconds_left}s"
