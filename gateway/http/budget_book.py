"""Keeps what has been used of budgets over the end of a process that counts alone: read at start, written behind."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from gateway.core.errors import Unavailable
from gateway.core.tracebacks import drop_tracebacks
from gateway.http.quota_policies import is_budget
from gateway.observe.repeated_step import RepeatedStep
from gateway.state.budget_windows import BudgetWindow, BudgetWindows
from openclaw_ratelimit import Quota, WindowRecord

_INTERVAL = 1.0  # seconds between two writes: so much is lost with a killed process


@asynccontextmanager
async def stored_budgets(quota: Quota, windows: BudgetWindows, *, interval: float = _INTERVAL) -> AsyncIterator[None]:
    """Restore the windows of budgets, and store those that change every `interval` seconds and at the end."""
    book = _Book(quota, windows)
    await book.restore()
    task = asyncio.create_task(book.write_behind(interval), name="store what budgets have used")
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait({task})
        await book.write()


class _Book:
    def __init__(self, quota: Quota, windows: BudgetWindows) -> None:
        self._quota = quota
        self._windows = windows
        self._unsaved: dict[str, BudgetWindow] = {}

    async def restore(self) -> None:
        try:
            stored = await self._windows.load()
        except Unavailable as error:  # the store's health reports it
            drop_tracebacks(error)
            stored = []
        for window, passed in stored:
            self._quota.restore([WindowRecord(*window)], passed)
        self._quota.take_changes(is_budget)  # from here on they are noted

    async def write_behind(self, interval: float) -> None:
        step = RepeatedStep("store what budgets have used")
        while True:
            await asyncio.sleep(interval)
            with step.run():
                await self.write()

    async def write(self) -> None:
        for record in self._quota.take_changes(is_budget):
            self._unsaved[record.key] = BudgetWindow(
                record.key, record.width, record.age, record.previous, record.current
            )
        if not self._unsaved:
            return
        try:
            await self._windows.save(list(self._unsaved.values()))
        except Unavailable as error:  # tried again with the next write
            drop_tracebacks(error)
        else:
            self._unsaved.clear()
