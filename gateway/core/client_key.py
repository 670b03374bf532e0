"""Keys of clients: their form, their digest, and the record that is stored instead of the key.

A key is `ocg_` and 256 random bits, so nobody can guess it and a plain SHA-256 protects it.
"""

import hashlib
import re
import secrets
from datetime import UTC, datetime

from msgspec import Struct, field

from gateway.core.identity import ClientBudget, ClientLimits, Scope

PREFIX = "ocg_"
LENGTH = len(PREFIX) + 43
"""Characters of a key: the prefix, and 32 bytes in base64url."""
DEFAULT_SCOPES: tuple[str, ...] = (Scope.WRITE.value,)
"""The scopes of a key that declares none: its client may use agents, and may not administer the gateway."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")
_KEY = re.compile(rf"{PREFIX}[A-Za-z0-9_-]{{43}}")
_BYTES = 32


class KeyRecord(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One key without its secret. `digest` is the SHA-256 of the key as hexadecimal digits.

    `agents` are the ids of the agents that it may use, None for all. `created` and `expires` are Unix times in seconds;
    0 for a key that the configuration declares, and None without an expiry. A record with unknown fields is refused: it
    may restrict the key in a way that this version does not know.
    """

    name: str
    digest: str
    # With a factory it is written even if it has the default, which another version may change.
    scopes: tuple[str, ...] = field(default_factory=lambda: DEFAULT_SCOPES)
    agents: tuple[str, ...] | None = None
    limits: ClientLimits | None = None
    created: float = 0.0
    expires: float | None = None
    budget: ClientBudget | None = None


def new_key() -> str:
    """A new key."""
    return PREFIX + secrets.token_urlsafe(_BYTES)


def is_key(text: str) -> bool:
    """Whether `text` has the form of a key."""
    return _KEY.fullmatch(text) is not None


def is_key_name(name: str) -> bool:
    """Whether `name` can be the name of a key; `NAME_RULE` says which names can."""
    return _NAME.fullmatch(name) is not None


NAME_RULE = "1 to 64 letters, digits, dots, dashes, underscores or @, beginning with a letter or digit"


def digest_of(key: str) -> bytes:
    """The SHA-256 of a key, 32 bytes."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()


def parse_time(text: str) -> float:
    """The Unix time of a date with a time and a zone (RFC 3339). Raises ValueError with what to write."""
    try:
        time = datetime.fromisoformat(text)
        if time.tzinfo is not None:
            return time.astimezone(UTC).timestamp()
    except (ValueError, OverflowError):
        pass  # also a time of year 10,000 in UTC, which `format_time` can't write
    raise ValueError("must be a date, a time and a zone, such as 2027-01-31T00:00:00Z")


def format_time(seconds: float) -> str:
    """A Unix time as RFC 3339 text in UTC, in whole seconds."""
    return datetime.fromtimestamp(int(seconds), UTC).isoformat().replace("+00:00", "Z")
