"""Caller-supplied keys → keys that every storage can hold: text that is valid UTF-8 and not long.

A key that is neither is replaced by its digest, so one hostile caller costs no more than any other.
"""

import re
from hashlib import blake2b

from openclaw_ratelimit.errors import UsageError

MAX_KEY_BYTES = 256
"""Longer keys are stored as digests."""

_MARK = "§"
_DIGEST = re.compile(f"{_MARK}[0-9a-f]{{40}}")


def stored_key(key: str | bytes) -> str:
    """The key as it is stored and listed; different keys stay different. Bytes are read as UTF-8.

    Raises UsageError for anything but text and bytes.
    """
    if isinstance(key, bytes | bytearray | memoryview):
        key = bytes(key).decode("utf-8", "surrogateescape")
    elif not isinstance(key, str):
        raise UsageError(f"a key must be str or bytes, not {type(key).__name__}")
    # A key that looks like a digest is digested too: nobody can name another one's key.
    if len(key) <= MAX_KEY_BYTES and not key.startswith(_MARK):
        try:
            if len(key.encode()) <= MAX_KEY_BYTES:
                return str.__str__(key)  # of a subclass too: `str` of an enumeration's member is its name
        except UnicodeEncodeError:  # lone surrogates: bytes of a header that were no UTF-8
            pass
    return _MARK + blake2b(key.encode("utf-8", "surrogatepass"), digest_size=20).hexdigest()


def listed_key(key: str | bytes) -> str:
    """For operators: a digest as a list shows it stands for itself, anything else for `stored_key` of it."""
    return key if isinstance(key, str) and _DIGEST.fullmatch(key) else stored_key(key)
