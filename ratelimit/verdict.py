"""The limiter's answer to one failure."""

from typing import NamedTuple


class Verdict(NamedTuple):
    """`allowed`: the caller may be told that it failed; otherwise only that it is locked out.

    `remaining` is how many further failures are allowed before the key locks. `retry_after` is seconds until the next
    attempt is worth making: 0.0 while none is locked, the whole lock when this failure has started one.
    """

    allowed: bool
    remaining: int
    retry_after: float
