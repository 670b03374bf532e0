"""Checks of what limiters, quotas and links are made with: a mistake raises at once and says what is right."""

import re
from inspect import iscoroutinefunction

from openclaw_ratelimit.errors import ConfigurationError, PolicyError

MAX_COUNT = 2**53
"""Up to this, whole numbers are exact everywhere: Redis's scripts count in floats."""
_MIN_SECONDS = 0.001  # seconds: the resolution of the shared storage
_MAX_SECONDS = 1_000_000_000  # seconds, about 31 years
_KIND = re.compile(r"[A-Za-z0-9._-]{1,40}")


def require_kind(kind: object) -> None:
    """Raise ConfigurationError unless this can name a limiter or quota of a link."""
    if not (isinstance(kind, str) and _KIND.fullmatch(kind)):
        raise ConfigurationError(f"kind must be 1 to 40 letters, digits, dots, dashes or underscores, not {kind!r}")


def require_count(name: str, value: object) -> None:
    """Raise PolicyError unless the value is a whole number from 1 to `MAX_COUNT`."""
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MAX_COUNT:
        raise PolicyError(f"{name} must be a whole number of at least 1 and at most 2**53, not {value!r}")


def require_whole_seconds(name: str, value: object) -> None:
    """Raise PolicyError unless the value is a whole number of seconds, at least 1 and no more than 31 years."""
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= _MAX_SECONDS:
        raise PolicyError(
            f"{name} must be a whole number of at least 1 and at most {_MAX_SECONDS} seconds, not {value!r}"
        )


def require_seconds(name: str, value: object) -> None:
    """Raise PolicyError unless the value is a number of seconds, at least a millisecond and no more than 31 years."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not _MIN_SECONDS <= value <= _MAX_SECONDS:
        raise PolicyError(
            f"{name} must be a positive number of seconds, "
            f"at least {_MIN_SECONDS} and at most {_MAX_SECONDS}, not {value!r}"
        )


def require_listener(listener: object) -> None:
    """Raise ConfigurationError unless events can be passed to this."""
    if not callable(listener):
        raise ConfigurationError(f"on_event must be a function, not {type(listener).__name__}")
    if iscoroutinefunction(listener) or iscoroutinefunction(getattr(listener, "__call__", None)):  # noqa: B004
        raise ConfigurationError("on_event must be a plain function: nobody awaits it; let it start a task")


def require_clock(clock: object, name: str = "clock") -> None:
    """Raise ConfigurationError unless this is a function or None."""
    if clock is not None and not callable(clock):
        raise ConfigurationError(f"{name} must be a function that returns seconds, not {type(clock).__name__}")


def require_link(link: object) -> None:
    """Raise ConfigurationError unless this is a link, or None."""
    # By what it must have, because without redis-py there is no class to compare with.
    if link is not None and not (hasattr(link, "clock") and hasattr(link, "add") and hasattr(link, "usable")):
        raise ConfigurationError(f"link must be a ReplicationLink, not {type(link).__name__}")
