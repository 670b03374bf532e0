"""An event filter sees each batch on its way to the client and may change it, hold it back, or refuse it.

Filters do no I/O and never wait. A run applies them one after the other, and their tests need no event loop.
"""

from typing import Protocol

from gateway.core.event import Batch


class EventFilter(Protocol):
    """A filter of one attempt; it gets every batch in order."""

    def feed(self, batch: Batch) -> Batch:
        """The events to pass on from this and earlier batches; may be empty. Raises GatewayError to end the run."""
        ...
