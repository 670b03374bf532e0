"""Limits failures per caller, with locks, and requests, tokens and runs, by quotas; exactly, over any number of
instances.
"""

from ratelimit.delay import FailureDelay
from ratelimit.errors import PolicyError, RateLimitError, StorageUnavailable
from ratelimit.limiter import FailureLimiter
from ratelimit.link import Link
from ratelimit.memory import ProcessStorage
from ratelimit.pipeline import Script
from ratelimit.policy import BudgetPolicy, DelayPolicy, LockoutPolicy
from ratelimit.quota import Quota, Refusal, Reservation
from ratelimit.quota_policy import QuotaPolicy
from ratelimit.quota_shared import QUOTAS
from ratelimit.quota_standing import Standing
from ratelimit.shared import FAILURES
from ratelimit.verdict import Verdict

__all__ = [
    "FAILURES",
    "QUOTAS",
    "BudgetPolicy",
    "DelayPolicy",
    "FailureDelay",
    "FailureLimiter",
    "Link",
    "LockoutPolicy",
    "PolicyError",
    "ProcessStorage",
    "Quota",
    "QuotaPolicy",
    "RateLimitError",
    "Refusal",
    "Reservation",
    "Script",
    "Standing",
    "StorageUnavailable",
    "Verdict",
]
