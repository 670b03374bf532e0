"""What can go wrong in this library.

RateLimitError
├── ConfigurationError    can't be meant, or can't work however often it is tried: a password, a database, a version
│   └── PolicyError       a policy that can't be meant
├── UsageError            a call that can't be right: another event loop, a link that was never opened, a wrong type
├── Locked                a key is locked, or may not try now
├── QuotaExceeded         there is no room under a quota (in `refusal`)
└── StorageUnavailable    the shared storage does not answer, or not in time
    └── CallRejected      it answered this one call with an error
"""


class RateLimitError(Exception):
    """Base of every error of this library."""


class ConfigurationError(RateLimitError, ValueError):
    """A setting that can't work; the message names it and says what to do."""


class PolicyError(ConfigurationError):
    """A policy's fields make no sense; the message names the field and the range."""


class UsageError(RateLimitError, RuntimeError):
    """A call that can't be right; the message says what to do instead."""


class Locked(RateLimitError):
    """The attempt must be refused, whether it was right or wrong. `retry_after` is seconds."""

    def __init__(self, retry_after: float) -> None:
        super().__init__(f"too many failed attempts; try again in {retry_after:.0f} s")
        self.retry_after = retry_after


class StorageUnavailable(RateLimitError):
    """The shared storage can't be asked now; the message says what happened to it."""


class CallRejected(StorageUnavailable):
    """The shared storage answered this call with an error; others are not affected."""
