"""Whether the store can be used: what its calls have shown lately, for `/readyz` and the log."""

import structlog

log = structlog.get_logger(__name__)


class StoreHealth:
    """The uses of the store that failed last time, with the reason. A later success of the same use removes it.

    A use is any name: reading, writing, a script. So a full store stays reported while only reads succeed.
    """

    def __init__(self) -> None:
        self._failing: dict[str, str] = {}

    @property
    def problem(self) -> str | None:
        """Why the store can't be used, None if it can."""
        return next(iter(self._failing.values()), None)

    def failed(self, use: str, reason: str) -> None:
        """A use failed. The first failure is logged."""
        if not self._failing:
            log.warning("The store can't be used", reason=reason)
        self._failing[use] = reason

    def succeeded(self, *uses: str) -> None:
        """These uses succeeded."""
        if not self._failing:
            return
        for use in uses:
            self._failing.pop(use, None)
        if not self._failing:
            log.info("The store can be used again")
