"""What an answer says about limits: the IETF's two fields and OpenAI's six headers, for answers and refusals alike.

- `RateLimit-Policy` and `RateLimit`: draft-ietf-httpapi-ratelimit-headers-11 (May 2026). Its registry of quota units
  has no word for tokens, so `qu="tokens"` is ours.
- `x-ratelimit-*`: https://platform.openai.com/docs/guides/rate-limits. Of several policies that count the same, the one
  that is nearest to its end is told.
"""

from collections.abc import Sequence
from math import ceil, floor

from openclaw_ratelimit import Standing

_UNITS = {"requests": "", "tokens": ';qu="tokens"', "runs": ';qu="concurrent-requests"'}


def quota_headers(standings: Sequence[Standing], within: int | None = None) -> dict[str, str]:
    """The headers of an answer under these policies; `within` is the `Retry-After` of a refusal (seconds).

    `t` is the rest of the window, never more than `Retry-After`, which the draft wants to be the later one.
    """
    headers = {
        "RateLimit-Policy": ", ".join(_policy(standing) for standing in standings),
        "RateLimit": ", ".join(_limit(standing, within) for standing in standings),
    }
    for unit in ("requests", "tokens"):
        counted = [standing for standing in standings if standing.policy.counts == unit]
        if counted:
            nearest = min(counted, key=lambda standing: standing.remaining)
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


def whole_seconds(wait: float) -> int:
    """For `Retry-After`: the first whole second at which there is room, at least 1."""
    return max(1, floor(wait) + 1)


def _policy(standing: Standing) -> str:
    policy = standing.policy
    window = f";w={policy.window}" if policy.counts != "runs" else ""
    return f'"{policy.name}";q={policy.amount}{window}{_UNITS[policy.counts]}'


def _limit(standing: Standing, within: int | None) -> str:
    if standing.policy.counts == "runs":
        return f'"{standing.policy.name}";r={standing.remaining}'
    left = ceil(standing.left)
    return f'"{standing.policy.name}";r={standing.remaining};t={left if within is None else min(left, within)}'
