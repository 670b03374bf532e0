"""What can go wrong in this library.

RateLimitError
├── PolicyError           a policy that can't be meant
└── StorageUnavailable    the shared storage does not answer, or not in time
"""


class RateLimitError(Exception):
    """Base of every error of this library."""


class PolicyError(RateLimitError, ValueError):
    """A policy's numbers make no sense; the message names the field and the range."""


class StorageUnavailable(RateLimitError):
    """The shared storage can't be asked now; the message says what happened to it."""
