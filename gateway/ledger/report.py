"""Reports of the ledger: its rows, filtered and summed by one or more columns."""

import asyncio
import datetime as dt
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

import structlog
from msgspec import Struct

from gateway.core.price import NANODOLLARS
from gateway.ledger.row import Row, Rows, decode_rows
from gateway.state.usage.store import UsageStore

log = structlog.get_logger(__name__)

MAX_GROUPS = 10_000
"""Further groups are summed in one whose columns are "(others)"."""
OTHERS = "(others)"

DIMENSIONS: Mapping[str, Callable[[Row], str]] = {
    "day": lambda row: f"{dt.datetime.fromtimestamp(row.time, dt.UTC):%Y-%m-%d}",
    "agent": lambda row: row.agent,
    "model": lambda row: f"{row.provider}/{row.model}",
    "provider": lambda row: row.provider,
    "caller": lambda row: row.caller,
    "outcome": lambda row: row.error or row.outcome,
    "endpoint": lambda row: row.endpoint,
    "key": lambda row: f"{row.provider} {row.key}",
    "session": lambda row: row.session,
}
"""The columns that rows can be summed by."""


class Totals(Struct):
    """Sums over attempts. `cost` is in nanodollars and covers the attempts with a known price; `unpriced` counts those
    that used tokens at an unknown price, `estimated` those whose tokens are an estimate, `absorbed` those of which the
    client saw nothing.
    """

    attempts: int = 0
    answered: int = 0
    failed: int = 0
    cancelled: int = 0
    absorbed: int = 0
    prompt: int = 0
    cached: int = 0
    cache_write: int = 0
    completion: int = 0
    reasoning: int = 0
    cost: int = 0
    unpriced: int = 0
    estimated: int = 0

    def add(self, row: Row) -> None:
        """Add one attempt."""
        self.attempts += 1
        match row.outcome:
            case "answered":
                self.answered += 1
            case "failed":
                self.failed += 1
            case _:
                self.cancelled += 1
        self.absorbed += row.absorbed
        self.prompt += row.prompt
        self.cached += row.cached
        self.cache_write += row.cache_write
        self.completion += row.completion
        self.reasoning += row.reasoning or 0
        self.cost += row.cost or 0
        self.unpriced += row.cost is None and bool(row.prompt or row.completion)
        self.estimated += row.usage_source == "estimated"

    def as_dict(self) -> dict[str, Any]:
        """As JSON. `cost` is US dollars as a number, null if tokens were used and none of them at a known price."""
        return {
            "attempts": self.attempts,
            "answered": self.answered,
            "failed": self.failed,
            "cancelled": self.cancelled,
            "absorbed": self.absorbed,
            "prompt_tokens": self.prompt,
            "cached_tokens": self.cached,
            "cache_write_tokens": self.cache_write,
            "completion_tokens": self.completion,
            "reasoning_tokens": self.reasoning,
            "cost": self.cost / NANODOLLARS if self.cost or not self.unpriced else None,
            "unpriced_attempts": self.unpriced,
            "estimated_attempts": self.estimated,
        }


class Report(Struct):
    """The sums of each group, by its columns, and of all. `lost` are rows that instances could not store."""

    groups: dict[tuple[str, ...], Totals]
    total: Totals
    lost: int = 0


async def report(
    store: UsageStore, since: float, until: float, by: tuple[str, ...], *, caller: str | None = None
) -> Report:
    """Sum the rows of [since, until) (Unix time) by these DIMENSIONS; those of one `caller` only, unless None.

    Raises Unavailable.
    """
    columns = tuple(DIMENSIONS[name] for name in by)
    result = Report({}, Totals())
    async for segment in _segments(store, since):
        for row in segment.rows:
            if since <= row.time < until and caller in (None, row.caller):
                _add(result, tuple(column(row) for column in columns), row)
        if caller is None:
            result.lost += segment.lost
    return result


async def rows(store: UsageStore, since: float, until: float, *, caller: str | None = None) -> AsyncIterator[list[Row]]:
    """The rows of [since, until) in the order in which they were written, page by page. Raises Unavailable."""
    async for segment in _segments(store, since):
        if page := [row for row in segment.rows if since <= row.time < until and caller in (None, row.caller)]:
            yield page


async def _segments(store: UsageStore, since: float) -> AsyncIterator[Rows]:
    unreadable = 0
    async for page in store.read(since):
        for data in page:
            try:
                yield decode_rows(data)
            except ValueError:
                unreadable += 1
            await asyncio.sleep(0)  # a long report must not hold up requests
    if unreadable:
        log.warning("Parts of the ledger are damaged and left out of a report", segments=unreadable)


def _add(result: Report, group: tuple[str, ...], row: Row) -> None:
    totals = result.groups.get(group)
    if totals is None:
        if len(result.groups) >= MAX_GROUPS:
            group = (OTHERS,) * len(group)
        totals = result.groups.setdefault(group, Totals())
    totals.add(row)
    result.total.add(row)
