"""Secrets as values of the configuration. Editors, `echo` and env files put line breaks and quotes around them."""

import re
from typing import Annotated, Any

from pydantic import BeforeValidator, SecretStr

_CONTROLS = re.compile(r"[\x00-\x1f\x7f]")
# White space, and what has no width: a byte order mark of a file, and what is copied from web pages.
_AROUND = re.compile(r"\A[\s\ufeff\u200b-\u200f\u2060]+|[\s\ufeff\u200b-\u200f\u2060]+\Z")
_MIN_QUOTED = 2  # characters: a pair of quotes


def trimmed_secret(text: str) -> str:
    """The secret without white space and a pair of quotes around it: no client can send the former, and `docker run
    --env-file` keeps the latter. Raises ValueError for a secret that is only that, or that has control characters.
    """
    secret = _AROUND.sub("", text)
    if len(secret) >= _MIN_QUOTED and secret[0] == secret[-1] and secret[0] in "\"'":
        secret = _AROUND.sub("", secret[1:-1])
    if text and not secret:
        raise ValueError("is blank or the word undefined or null; set a real secret or remove the key")
    if _CONTROLS.search(secret):
        raise ValueError("has a line break or another control character inside; write the secret in one line")
    return secret


def _trimmed(value: Any) -> Any:
    if isinstance(value, SecretStr):
        return value  # it was read before
    return trimmed_secret(value) if isinstance(value, str) else value


Secret = Annotated[SecretStr, BeforeValidator(_trimmed)]
"""A secret without white space and quotes around it."""
