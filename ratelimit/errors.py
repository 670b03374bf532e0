"""What can go wrong in this library.

RateLimitError
└── PolicyError     a policy that can't be meant
"""


class RateLimitError(Exception):
    """Base of every error of this library."""


class PolicyError(RateLimitError, ValueError):
    """A policy's numbers make no sense; the message names the field and the range."""
