"""The limiter's answer to one attempt."""

from typing import NamedTuple


class Verdict(NamedTuple):
    """`allowed`: the caller may learn the result of its attempt; otherwise only that it is locked out.

    `remaining` is how many further failures are allowed before the key locks. `retry_after` is seconds until the next
    attempt is worth making: 0.0 while the key is free, the whole lock when this failure has started one.
    """

    allowed: bool
    remaining: int
    retry_after: float


class Lock(NamedTuple):
    """A locked key, as it is stored, and the seconds until its lock ends."""

    key: str
    seconds: float
