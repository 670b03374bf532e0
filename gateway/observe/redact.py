"""Removes secrets from log lines and from provider messages that clients get. When unsure, it redacts."""

import re
from collections.abc import Iterable, Mapping, MutableMapping
from functools import lru_cache
from typing import Any

HIDDEN = "[redacted]"

_SECRET_NAMES = ("authorization", "cookie", "token", "password", "passwd", "secret", "apikey", "apikeys", "privatekey")
# Operators search logs for ids, which look as random as keys. The other names have values of our own.
_OWN_NAMES = ("id", "trace", "span", "level", "timestamp", "logger", "method", "agent", "model", "provider", "status")
_MIN_SECRET_CHARS = 8

# A match starts only at the beginning of a run of key characters: else a long run would take quadratic time.
_SHAPES = re.compile(
    r"""
    (?P<scheme>\b(?:[Bb]earer\s+|[Bb]asic\s+(?=[\w+/=-]{8})))[^\s"',;]+    # Authorization: Bearer …
    | (?P<url>://)[^\s/@:]*:[^\s/@]+(?=@)                                # redis://user:password@host
    | (?P<query>[?&](?i:key|api[_-]?key|(?:access_?)?token|sig(?:nature)?)=)[^&\s"']+
    | (?P<label>(?i:api[ _-]?key|access[ _-]?key|token|secret|passw(?:or)?d)(?:\s+provided)?["']?\s*[:=]\s*["']?)
      [^\s"',;&]{4,}                                                     # "api_key": "…", API key provided: …
    | (?<![\w-])(?:sk|pk|rk|ocg|gsk|xai|pplx|hf|nvapi|csk|r8|gh[opsu]|glpat|xox[abps])[-_][\w.*-]{4,}
    | (?<![\w-])AIza[\w-]{16,}
    | (?<![\w-])eyJ[\w-]{8,}\.[\w-]+(?:\.[\w-]*)?                        # JSON Web Token
    | (?<!\w)[0-9a-fA-F]{32,}(?!\w)
    | (?<![\w+-])(?=[\w+-]*[0-9])(?=[\w+-]*[a-z])(?=[\w+-]*[A-Z])[\w+-]{40,}={0,2}
    """,
    re.VERBOSE,
)


class _Values:
    """The configured secrets of this process, which no log line may hold whatever they look like."""

    long: tuple[str, ...] = ()
    pattern: re.Pattern[str] | None = None


def hide_values(values: Iterable[str]) -> None:
    """Cut these values out of every log line from now on. Shorter ones than eight characters could be words."""
    long = sorted({value for value in values if len(value) >= _MIN_SECRET_CHARS}, key=len, reverse=True)
    _Values.long = tuple(long)
    _Values.pattern = re.compile("|".join(map(re.escape, long))) if long else None


def without_values(text: str) -> str:
    """`text` without the configured secrets."""
    for value in _Values.long:
        if value in text:  # this search is many times faster than the pattern's
            return text if _Values.pattern is None else _Values.pattern.sub(HIDDEN, text)
    return text


def redact_text(text: str) -> str:
    """`text` with everything that looks like a credential replaced by `[redacted]`. The words around it stay."""
    return _SHAPES.sub(_hide, text)


def redact(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Structlog processor: redacts values of keys with secret names, and credentials inside any other text."""
    for key, value in event.items():
        event[key] = _clean(key, value)
    return event


def _hide(match: re.Match[str]) -> str:
    prefix = match[match.lastgroup] if match.lastgroup else ""
    return f"{prefix}{HIDDEN}"


@lru_cache(maxsize=512)
def _treatment(name: str) -> str:
    plain = name.replace("-", "").replace("_", "").lower()
    if plain.endswith(_SECRET_NAMES):
        return "hide"
    return "keep" if plain.endswith(_OWN_NAMES) else "search"


def _clean(name: str, value: Any) -> Any:
    if isinstance(value, int | float) or value is None:
        return value
    treatment = _treatment(name)
    if treatment == "hide":
        return HIDDEN
    if isinstance(value, str):
        if len(value) < _MIN_SECRET_CHARS:
            return value
        value = without_values(value)
        return value if treatment == "keep" else redact_text(value)
    if isinstance(value, Mapping):
        return {key: _clean(str(key), item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_clean(name, item) for item in value]
    return redact_text(without_values(value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)))
