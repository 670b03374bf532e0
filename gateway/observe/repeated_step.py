"""A step that a task repeats until the process ends: an unexpected error must neither end the task nor go unnoticed."""

from collections.abc import Iterator
from contextlib import contextmanager

import structlog

log = structlog.get_logger(__name__)


class RepeatedStep:
    """Surrounds each run of the step. An error is logged with its traceback, once until the step succeeds again."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._failing = False

    @contextmanager
    def run(self) -> Iterator[None]:
        """Log an exception of the body instead of raising it."""
        try:
            yield
        except Exception:
            if not self._failing:
                log.exception("A task of the gateway fails and is tried again", task=self._name)
            self._failing = True
        else:
            self._failing = False
