"""One request of a run to one candidate: when, how it ended, what it cost."""

from gateway.core.event import Batch, UsageReport
from gateway.core.names import ModelRef
from gateway.core.usage import Usage
from gateway.runs.answer_bytes import bytes_of_text
from gateway.runs.attempt_capture import AttemptCapture

ANSWERED, CANCELLED = "answered", "cancelled"
"""Outcomes of attempts, tool calls and runs. A failure has the name of its kind."""

_MAX_BATCHES = 256  # that an attempt holds before it measures them


class Attempt:
    """One request to one candidate. Times are seconds; `outcome` is None until it has ended.

    `waited` is the pause before it, `status` the provider's HTTP status if known, `outcome` ANSWERED, CANCELLED or the
    kind of the failure, `reason` the message of the failure, without secrets. `first_event` is the time until the
    first event of a streamed answer, None before it.

    The rest is for the ledger and is set only in a metered run: `usage` is the provider's own count or, if `estimated`,
    ours, None without one; `streamed` says that the provider was asked for a stream, and `shown` that the client got a
    part of the answer. As a filter of the provider's answer it sees every event and passes all of them on. `capture` is
    None unless the run's trace is recorded.
    """

    __slots__ = (
        "_batches",
        "_bytes",
        "began",
        "capture",
        "estimated",
        "first_event",
        "key",
        "outcome",
        "reason",
        "ref",
        "seconds",
        "shown",
        "status",
        "streamed",
        "usage",
        "waited",
    )

    def __init__(self, ref: ModelRef, key: str, began: float, waited: float) -> None:
        self.ref = ref
        self.key = key
        self.began = began
        self.waited = waited
        self.status: int | None = None
        self.outcome: str | None = None
        self.reason: str | None = None
        self.seconds: float | None = None
        self.first_event: float | None = None
        self.usage: Usage | None = None
        self.estimated = False
        self.streamed = False
        self.shown = False
        self.capture: AttemptCapture | None = None
        self._batches: list[Batch] = []
        self._bytes = 0

    def feed(self, batch: Batch) -> Batch:
        """The same batch. It is measured only if there are many, or at the end if the provider reports no usage."""
        if batch:
            last = batch[-1]
            if isinstance(last, UsageReport) and (last.usage.prompt or last.usage.completion):
                self.usage = last.usage
                self._batches.clear()
            else:
                self._batches.append(batch)
                if len(self._batches) > _MAX_BATCHES:
                    self._measure()
        return batch

    def forget(self) -> None:
        """Forget the answer: traces are stored without prompts and answers."""
        self._batches.clear()

    def take_bytes(self) -> int:
        """The bytes of text that the provider sent. The attempt forgets the text itself."""
        self._measure()
        return self._bytes

    def _measure(self) -> None:
        self._bytes += sum(map(bytes_of_text, self._batches))
        self._batches.clear()
