"""Authenticates data that the gateway gives to a client and takes back later, such as a model's reasoning.

The data stays readable. Only the gateway can make a seal, and a seal of one user is void for another.
"""

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from hashlib import sha256
from hmac import compare_digest, digest
from typing import Final

from msgspec import Struct

PREFIX: Final = "ocg2."
"""The beginning of everything sealed."""
OWN_PREFIXES: Final = (PREFIX, "ocg1.")
"""Beginnings of texts that this gateway made, now or in an earlier version, whose texts had no seal and are void."""

_TAG_BYTES = 32


class Seal(Struct, frozen=True):
    """The seal of one user. `key` are 32 secret bytes."""

    key: bytes

    def close(self, data: bytes) -> str:
        """The data as text that `open` of the same seal accepts. The same data gives the same text."""
        return PREFIX + urlsafe_b64encode(self._tag(data) + data).decode()

    def open(self, text: str) -> bytes | None:
        """The data; None if this seal did not make the text, or if the text was altered."""
        try:
            decoded = urlsafe_b64decode(text.removeprefix(PREFIX))
        except (binascii.Error, ValueError):
            return None
        tag, data = decoded[:_TAG_BYTES], decoded[_TAG_BYTES:]
        return data if text.startswith(PREFIX) and compare_digest(tag, self._tag(data)) else None

    def _tag(self, data: bytes) -> bytes:
        return digest(self.key, data, sha256)


def seal_for(secret: bytes, user: str | None) -> Seal:
    """The seal of a verified user, or of callers without an identity (None), under the gateway's `secret`."""
    subject = b"everybody" if user is None else b"user:" + user.encode()
    return Seal(digest(secret, b"seal/" + subject, sha256))
