"""What broke a link: in one short sentence, and whether trying again can help."""

import re

from redis.exceptions import AuthenticationError, NoPermissionError

from openclaw_ratelimit.errors import ConfigurationError, StorageUnavailable

_MAX_REASON = 300  # characters: redis-py's messages may hold all that it knows
_PERMANENT = re.compile(r"index is out of range|invalid DB index|Invalid Database|NOPERM|NOAUTH|WRONGPASS")


def first_of(errors: BaseException) -> BaseException:
    """The first error of nested groups."""
    while isinstance(errors, BaseExceptionGroup):
        errors = errors.exceptions[0]
    return errors


def is_permanent(error: BaseException) -> bool:
    """Whether trying again can't help: a wrong password, database, right or version."""
    if isinstance(error, ConfigurationError | AuthenticationError | NoPermissionError):
        return True
    return bool(_PERMANENT.search(str(error)))


def reason_of(error: BaseException) -> str:
    """What happened, for logs and for StorageUnavailable."""
    if isinstance(error, TimeoutError):
        return "it did not answer in time"
    text = str(error)
    if not isinstance(error, StorageUnavailable | ConfigurationError):
        text = f"{type(error).__name__}: {text}" if text else type(error).__name__
    return text[:_MAX_REASON]
