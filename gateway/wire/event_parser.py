"""What the parsers of all formats share: how a stream fails, and how it ends."""

from abc import ABC, abstractmethod

from gateway.core.event import Batch
from gateway.core.upstream_error import UpstreamError
from gateway.wire.failures import broken_off, malformed
from gateway.wire.framing.error import FramingError


class EventParser(ABC):
    """A Parser without the knowledge of a format. `_started` says whether a part of an answer has come."""

    __slots__ = ("_started", "done", "failure")

    def __init__(self) -> None:
        self._started = False
        self.done = False
        self.failure: UpstreamError | None = None

    @property
    @abstractmethod
    def complete(self) -> bool:
        """See Parser."""

    def feed(self, data: bytes) -> Batch:
        """See Parser."""
        batch: Batch = []
        try:
            self._feed(data, batch)
        except FramingError as error:
            self._fail(malformed(str(error)), batch)
        except UpstreamError as error:
            self._fail(error, batch)
        return batch

    def close(self) -> Batch:
        """See Parser. A stream that is not complete was truncated, whatever came before."""
        if self.failure is not None:
            raise self.failure
        batch: Batch = []
        if not self.done:
            self._flush(batch)
        if not self.complete:
            raise broken_off(started=self._started)
        if not self.done:
            self._end_answer(batch)
        return batch

    def _fail(self, error: UpstreamError, batch: Batch) -> None:
        """Let the events before the failure go out first."""
        if not batch:
            raise error from None
        self.failure = error

    @abstractmethod
    def _feed(self, data: bytes, batch: Batch) -> None:
        """Append the events that these bytes complete. Raises FramingError or UpstreamError."""

    @abstractmethod
    def _flush(self, batch: Batch) -> None:
        """Append the events of a last frame whose end is missing."""

    @abstractmethod
    def _end_answer(self, batch: Batch) -> None:
        """Append what was held back until the end of the answer, and be `done`."""
