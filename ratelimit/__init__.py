"""Counts wrong attempts per caller and locks a caller out for a while, exactly, over any number of instances."""

from ratelimit.delay import FailureDelay
from ratelimit.errors import PolicyError, RateLimitError, StorageUnavailable
from ratelimit.limiter import FailureLimiter
from ratelimit.link import Link, Script
from ratelimit.memory import ProcessStorage
from ratelimit.policy import BudgetPolicy, DelayPolicy, LockoutPolicy
from ratelimit.shared import FAILURES
from ratelimit.verdict import Verdict

__all__ = [
    "FAILURES",
    "BudgetPolicy",
    "DelayPolicy",
    "FailureDelay",
    "FailureLimiter",
    "Link",
    "LockoutPolicy",
    "PolicyError",
    "ProcessStorage",
    "RateLimitError",
    "Script",
    "StorageUnavailable",
    "Verdict",
]
