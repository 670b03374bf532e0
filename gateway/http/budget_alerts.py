"""Warns at 80 and 100 per cent of a budget: a header of the response, a log line, and the operator's webhook.

Each instance warns once per budget and threshold, and again only after the use has fallen below it.
"""

import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import structlog
from aiohttp import web
from msgspec import Struct

from gateway.core.client_key import format_time
from gateway.core.price import NANODOLLARS
from gateway.http.quota_policies import is_budget
from openclaw_ratelimit import LimitStatus, QuotaPolicy

log = structlog.get_logger(__name__)

HEADER = "x-openclaw-budget"
_THRESHOLDS = (100, 80)  # per cent
_MAX_WARNED = _MAX_SEEN = 10_000
_DAY = 86_400

Attributes = Sequence[tuple[str, str]]


class Seen(Struct):
    """A budget as a request saw it: `values` are those of the policy's `per`. `used` of `amount` was used at the Unix
    time `at`; it begins to fade after `left` seconds at the latest, and has faded after `reset` seconds.
    """

    policy: QuotaPolicy
    values: tuple[str, ...]
    used: int
    amount: int
    at: float
    left: float
    reset: float

    def ratio(self, now: float) -> float:
        """The used part of the amount at this time, if nothing was used since; rather too much than too little."""
        passed = now - self.at
        if passed > self.left:
            return max(0.0, self.used * (self.reset - passed) / max(self.reset - self.left, 1e-9)) / self.amount
        return self.used / self.amount


class BudgetAlerts:
    """`post` sends an alert to the webhook. `clock` gives Unix time in seconds."""

    def __init__(self, post: Callable[[dict[str, Any]], None], clock: Callable[[], float] = time.time) -> None:
        self._post = post
        self._clock = clock
        self._warned: OrderedDict[tuple[str, ...], int] = OrderedDict()  # budget → the highest threshold
        self._seen: OrderedDict[tuple[str, ...], Seen] = OrderedDict()
        self.refusals: dict[str, int] = {}
        """Refused requests by budget."""

    @property
    def seen(self) -> Sequence[Seen]:
        """The budgets that requests to this process had, most recently seen last; at most some thousands."""
        return list(self._seen.values())

    def ratios(self) -> dict[str, float]:
        """The highest used part of each budget's amount, of all that have it."""
        now = self._clock()
        ratios: dict[str, float] = {}
        for one in self._seen.values():
            ratios[one.policy.name] = max(ratios.get(one.policy.name, 0.0), one.ratio(now))
        return ratios

    def observe(
        self,
        statuses: Sequence[LimitStatus],
        attributes: Attributes,
        reserved: Mapping[str, int],
        soft: Mapping[str, int],
    ) -> dict[str, str]:
        """Warn about the budgets in `statuses`, of a request with these attributes. Returns the response's headers.

        `reserved` is what this request itself has reserved and not used yet, by unit; empty if it was refused.
        `soft` are the amounts of the budgets that only warn, by policy.
        """
        texts = []
        for status in statuses:
            if not is_budget(status.policy.name):
                continue
            is_refused = status.wait != 0.0
            amount = soft.get(status.policy.name, status.policy.amount)
            used = max(0, status.policy.amount - status.remaining - reserved.get(status.policy.counts, 0))
            percent = 100 if is_refused else min(100, used * 100 // amount)
            threshold = next((one for one in _THRESHOLDS if percent >= one), 0)
            if is_refused:
                self.refusals[status.policy.name] = self.refusals.get(status.policy.name, 0) + 1
            values = {name: value for name, value in attributes if name in status.policy.per}
            self._see(status, values, used, amount)
            self._warn(status, values, threshold, used, amount)
            if threshold:
                shown = f"used={_shown(status, used)}; amount={_shown(status, amount)}"
                texts.append(f"{status.policy.name}; {shown}; percent={used * 100 // amount}")
        return {HEADER: ", ".join(texts)} if texts else {}

    def _see(self, status: LimitStatus, values: Mapping[str, str], used: int, amount: int) -> None:
        policy = status.policy
        ordered = tuple(values[name] for name in policy.per)
        key = (policy.name, *ordered)
        self._seen[key] = Seen(policy, ordered, used, amount, self._clock(), status.left, status.reset)
        self._seen.move_to_end(key)
        if len(self._seen) > _MAX_SEEN:
            self._seen.popitem(last=False)

    def _warn(self, status: LimitStatus, values: Mapping[str, str], threshold: int, used: int, amount: int) -> None:
        policy = status.policy
        key = (policy.name, *values.values())
        before = self._warned.pop(key, 0)
        if threshold:
            self._warned[key] = threshold
            if len(self._warned) > _MAX_WARNED:
                self._warned.popitem(last=False)
        if threshold <= before:
            return
        now = self._clock()
        log.warning("Budget is used up" if threshold == 100 else "Budget is nearly used up", budget=policy.name,
                    used=_shown(status, used), amount=_shown(status, amount), **values)  # fmt: skip
        self._post({
            "type": "budget.exhausted" if threshold == 100 else "budget.warning",
            "id": _id(key, threshold, int(now // _DAY)),
            "time": format_time(now),
            "budget": policy.name,
            "percent": threshold,
            "used": _shown(status, used),
            "amount": _shown(status, amount),
            "unit": "usd" if policy.counts == "cost" else "tokens",
            "window_seconds": policy.window,
            **values,
        })  # fmt: skip


def _shown(status: LimitStatus, amount: int) -> int | float:
    """Tokens, or US dollars."""
    return amount / NANODOLLARS if status.policy.counts == "cost" else amount


def _id(key: tuple[str, ...], threshold: int, day: int) -> str:
    """The same at all instances on one day, so that a receiver can drop what it has already."""
    return hashlib.sha256("\0".join((*key, str(threshold), str(day))).encode("utf-8", "replace")).hexdigest()[:32]


BUDGET_ALERTS = web.AppKey("budget_alerts", BudgetAlerts)
