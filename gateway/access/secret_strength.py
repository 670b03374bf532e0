"""Whether a secret can be guessed over the network at all: one of 128 random bits can't, so it needs no common budget.

Only the form of the secret is judged; what looks like a person's choice is taken for guessable.
"""

import re
from math import log2

from gateway.config.auth import AuthConfig

_BITS = 128
_HEXADECIMAL = re.compile(r"[0-9a-f]+|[0-9A-F]+")
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]+=*")
_CLASSES = re.compile(r"[a-z]+|[A-Z]+|[0-9]+")


def needs_budget(auth: AuthConfig) -> bool:
    """Whether failures of all addresses together are limited (`rateLimit.global`): as configured; if nothing is, only
    when the secret in force could be guessed.
    """
    limits = auth.rate_limit
    if not limits.global_per_minute or "global_per_minute" in limits.model_fields_set:
        return bool(limits.global_per_minute)
    return is_guessable(auth)


def is_guessable(auth: AuthConfig) -> bool:
    """Whether the secret in force could be guessed."""
    secret = auth.token if auth.mode == "token" else auth.password
    return secret is None or not is_unguessable(secret.get_secret_value())


def is_unguessable(secret: str) -> bool:
    """Whether the secret looks like the output of a generator of at least 128 bits: hexadecimal or base64, long enough,
    and changing between letters and digits as often as random text does, which words and repetitions don't.
    """
    if _HEXADECIMAL.fullmatch(secret):
        alphabet = 16
    elif _BASE64.fullmatch(secret):
        alphabet = 62  # a separator between words must not make a secret longer than it is
    else:
        return False
    classes = _CLASSES.findall(secret)
    if len(classes) < len(secret) / 5 or len(set(secret)) < 10:
        return False
    return len("".join(classes)) * log2(alphabet) >= _BITS
