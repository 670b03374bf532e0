"""What an answer says about limits: the IETF's two fields and OpenAI's six headers, for answers and refusals alike.

`x-ratelimit-*`: https://platform.openai.com/docs/guides/rate-limits. Of several policies that count the same, the one
with the least left is shown.
"""

from collections.abc import Sequence
from math import ceil

from openclaw_ratelimit import LimitStatus
from openclaw_ratelimit.headers import ratelimit_headers


def quota_headers(statuses: Sequence[LimitStatus], within: int | None = None) -> dict[str, str]:
    """The headers of an answer under these policies; `within` is the `Retry-After` of a refusal (seconds).

    `t` is the rest of the window, never more than `Retry-After`, which the draft wants to be the later one.
    """
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
    """As OpenAI writes it: `6m0s`, `1s`, `12ms`; rounded up."""
    if seconds < 1:
        return f"{ceil(seconds * 1000)}ms"
    minutes, rest = divmod(ceil(seconds), 60)
    return f"{minutes}m{rest}s" if minutes else f"{rest}s"
