"""The notation of `limits`: "5/minute", "100 per 2 hours"."""

from limits import RateLimitItem, parse

from openclaw_ratelimit.errors import PolicyError


def parsed(text: str | RateLimitItem) -> tuple[int, int]:
    """Amount and window (whole seconds). Raises PolicyError."""
    if isinstance(text, RateLimitItem):
        return text.amount, text.get_expiry()
    try:
        item = parse(text)
    except ValueError:
        raise PolicyError(f'{text!r} is not a limit; write one as "5/minute" or "100 per 2 hours"') from None
    return item.amount, item.get_expiry()
