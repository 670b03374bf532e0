"""Login lockout and quotas, exact over any number of processes that share a Redis.

Without the extra `redis` everything but `ReplicationLink` is there, and nothing of redis is imported.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from openclaw_ratelimit.attempt import Attempt
from openclaw_ratelimit.delay import FailureDelay
from openclaw_ratelimit.errors import (
    CallRejected,
    ConfigurationError,
    Locked,
    PolicyError,
    RateLimitError,
    StorageUnavailable,
    UsageError,
)
from openclaw_ratelimit.events import Event, EventKind, Listener, log_event
from openclaw_ratelimit.limit_status import LimitStatus, QuotaUsage
from openclaw_ratelimit.limiter import FailureLimiter
from openclaw_ratelimit.memory import ProcessStorage, WindowRecord
from openclaw_ratelimit.peer import Argument, Ask, Peer
from openclaw_ratelimit.policy import BudgetPolicy, DelayPolicy, LockoutPolicy
from openclaw_ratelimit.quota import Quota
from openclaw_ratelimit.quota_policy import QuotaPolicy
from openclaw_ratelimit.refusal import QuotaExceeded, Refusal
from openclaw_ratelimit.reservation import Reservation
from openclaw_ratelimit.script import Script
from openclaw_ratelimit.verdict import Lock, Verdict

if TYPE_CHECKING:
    from openclaw_ratelimit.link import ReplicationLink

__version__ = "0.1.0"

__all__ = [
    "Argument",
    "Ask",
    "Attempt",
    "BudgetPolicy",
    "CallRejected",
    "ConfigurationError",
    "DelayPolicy",
    "Event",
    "EventKind",
    "FailureDelay",
    "FailureLimiter",
    "LimitStatus",
    "Listener",
    "Lock",
    "Locked",
    "LockoutPolicy",
    "Peer",
    "PolicyError",
    "ProcessStorage",
    "Quota",
    "QuotaExceeded",
    "QuotaPolicy",
    "QuotaUsage",
    "RateLimitError",
    "Refusal",
    "ReplicationLink",
    "Reservation",
    "Script",
    "StorageUnavailable",
    "UsageError",
    "Verdict",
    "WindowRecord",
    "log_event",
]


def __getattr__(name: str) -> Any:
    """`ReplicationLink` brings redis-py with it, so it is imported when it is used."""
    if name != "ReplicationLink":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        return import_module("openclaw_ratelimit.link").ReplicationLink
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != "redis":
            raise
        raise ModuleNotFoundError(
            "ReplicationLink needs redis-py: pip install 'openclaw-ratelimit[redis]'", name=error.name
        ) from error
