"""Failure limiting: counts wrong attempts per caller and locks a caller out for a while."""

from ratelimit.budget import FailureBudget
from ratelimit.delay import FailureDelay
from ratelimit.errors import PolicyError, RateLimitError
from ratelimit.limiter import FailureLimiter
from ratelimit.memory import ProcessStorage
from ratelimit.policy import BudgetPolicy, DelayPolicy, LockoutPolicy
from ratelimit.verdict import Verdict

__all__ = [
    "BudgetPolicy",
    "DelayPolicy",
    "FailureBudget",
    "FailureDelay",
    "FailureLimiter",
    "LockoutPolicy",
    "PolicyError",
    "ProcessStorage",
    "RateLimitError",
    "Verdict",
]
