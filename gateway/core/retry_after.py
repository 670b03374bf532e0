"""The value of a `Retry-After` header."""

from math import ceil


def retry_after_seconds(wait: float) -> int:
    """`wait` in whole seconds, rounded up and at least 1: a client that obeys it is not refused again."""
    return max(1, ceil(wait))
