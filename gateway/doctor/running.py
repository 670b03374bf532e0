"""The doctor inside a running gateway: it examines the configuration that this process serves, one at a time."""

import asyncio
from collections.abc import Callable, Collection

from gateway.doctor.diagnosis import diagnose, selected
from gateway.doctor.finding import Finding
from gateway.doctor.setup import Setup


class RunningDoctor:
    """`setup` returns what this process serves now; it is called in a thread."""

    def __init__(self, setup: Callable[[], Setup]) -> None:
        self._setup = setup
        self._examining = asyncio.Lock()

    async def examine(self, only: Collection[str], *, deep: bool) -> list[dict[str, str]]:
        """Each finding as `Finding.as_dict`. Raises ValueError for an unknown id in `only`."""
        ids = selected(only, deep=deep)
        async with self._examining:  # each examination asks every provider
            setup = await asyncio.to_thread(self._setup)
            findings: list[Finding] = await diagnose(setup, ids, deep=deep)
        return [finding.as_dict() for finding in findings]
