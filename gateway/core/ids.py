"""Ids of answers: unique, in the form of a UUID (recorded), and cheap. They are guessable, so they are no secrets."""

from random import getrandbits


def new_id(prefix: str) -> str:
    """`prefix` and 32 random hexadecimal digits, grouped like a UUID."""
    digits = f"{getrandbits(128):032x}"
    return f"{prefix}{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"
