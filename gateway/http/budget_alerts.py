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

from gateway.core.client_key import format_time
from gateway.core.price import NANODOLLARS
from gateway.http.quota_policies import is_budget
from openclaw_ratelimit import LimitStatus

log = structlog.get_logger(__name__)

HEADER = "x-openclaw-budget"
_THRESHOLDS = (100, 80)  # per cent
_MAX_WARNED = 10_000
_DAY = 86_400

Attributes = Sequence[tuple[str, str]]


class BudgetAlerts:
    """`post` sends an alert to the webhook. `clock` gives Unix time in seconds."""

    def __init__(self, post: Callable[[dict[str, Any]], None], clock: Callable[[], float] = time.time) -> None:
        self._post = post
        self._clock = clock
        self._warned: OrderedDict[tuple[str, ...], int] = OrderedDict()  # budget → the highest threshold

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
            self._warn(status, attributes, threshold, used, amount)
            if threshold:
                shown = f"used={_shown(status, used)}; amount={_shown(status, amount)}"
                texts.append(f"{status.policy.name}; {shown}; percent={used * 100 // amount}")
        return {HEADER: ", ".join(texts)} if texts else {}

    def _warn(self, status: LimitStatus, attributes: Attributes, threshold: int, used: int, amount: int) -> None:
        policy = status.policy
        values = {name: value for name, value in attributes if name in policy.per}
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
