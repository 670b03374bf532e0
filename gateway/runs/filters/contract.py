"""A stage of a run: looks at each batch on its way to the caller, and may change it, hold it back, or refuse it.

Stages do no I/O and wait for nothing, so they are plain objects: a run applies them one after the other, and a test
needs no event loop.
"""

from typing import Protocol

from gateway.core.event import Batch


class EventFilter(Protocol):
    """One per run; it sees every batch in order."""

    def feed(self, batch: Batch) -> Batch:
        """What goes on of this batch and of what was held back; may be empty. Raises GatewayError to end the run."""
        ...
