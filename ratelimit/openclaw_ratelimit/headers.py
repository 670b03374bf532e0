"""What an HTTP answer says about limits: `Retry-After`, and the IETF's `RateLimit-Policy` and `RateLimit`.

draft-ietf-httpapi-ratelimit-headers-11 (May 2026). Its registry of quota units has no word for tokens, so `qu="tokens"`
is ours.
"""

from collections.abc import Sequence
from math import ceil, floor

from openclaw_ratelimit.errors import Locked
from openclaw_ratelimit.limit_status import LimitStatus
from openclaw_ratelimit.refusal import QuotaExceeded, Refusal

_UNITS = {"requests": "", "tokens": ';qu="tokens"', "runs": ';qu="concurrent-requests"', "cost": ';qu="cost"'}


def retry_after(refused: Locked | QuotaExceeded | Refusal) -> int | None:
    """For `Retry-After`: the first whole second at which the caller can get in, at least 1; None when it never can."""
    if refused.retry_after is None:
        return None
    if isinstance(refused, Locked):
        return max(1, ceil(refused.retry_after))
    return max(1, floor(refused.retry_after) + 1)  # there is room only after that time


def ratelimit_headers(statuses: Sequence[LimitStatus], within: int | None = None) -> dict[str, str]:
    """The two fields of an answer under these policies; `within` is the `Retry-After` of a refusal (seconds).

    `t` is the rest of the window, never more than `Retry-After`, which the draft wants to be the later one.
    """
    if not statuses:
        return {}
    return {
        "RateLimit-Policy": ", ".join(_policy(status) for status in statuses),
        "RateLimit": ", ".join(_limit(status, within) for status in statuses),
    }


def _policy(status: LimitStatus) -> str:
    policy = status.policy
    window = f";w={policy.window}" if policy.counts != "runs" else ""
    return f'"{policy.name}";q={policy.amount}{window}{_UNITS[policy.counts]}'


def _limit(status: LimitStatus, within: int | None) -> str:
    if status.policy.counts == "runs":
        return f'"{status.policy.name}";r={status.remaining}'
    left = ceil(status.left)
    return f'"{status.policy.name}";r={status.remaining};t={left if within is None else min(left, within)}'
