"""What only the span of an attempt shows: the names in the provider's response, and content if that is enabled."""

from gateway.core.accumulator import Accumulator
from gateway.core.event import Batch, Finish
from gateway.core.turn import Turn
from gateway.runs.answer_bytes import bytes_of_text
from gateway.wire.response_identity import read_identity

_MAX_HEAD = 64 * 1024
"""Bytes of a response that are searched for its id and model."""


class AttemptCapture:
    """Observes one attempt. It is a filter of the provider's answer that passes all events on, and a Tap.

    `room` is the number of bytes of the answer's text to hold, 0 for none; `truncated` says that there was more. `turn`
    is the request. `finish` is the provider's reason for the end, `response_id` and `response_model` are what its
    response names; None while unknown.
    """

    __slots__ = ("_head", "answer", "finish", "response_id", "response_model", "room", "truncated", "turn")

    def __init__(self, room: int = 0) -> None:
        self.room = room
        self.answer: Accumulator | None = Accumulator() if room else None
        self.finish: Finish | None = None
        self.response_id: str | None = None
        self.response_model: str | None = None
        self.truncated = False
        self.turn: Turn | None = None
        self._head: bytes | None = b""

    def feed(self, batch: Batch) -> Batch:
        """The same batch."""
        for event in batch[-2:]:  # only token counts follow a Finish
            if isinstance(event, Finish):
                self.finish = event
        if self.answer is not None:
            if self.room > 0:
                self.room -= bytes_of_text(batch)
                self.answer.add(batch)
            else:
                self.truncated = True
        return batch

    def forget(self) -> None:
        """Forget the content: the context of a kept connection refers to its last capture until the next request."""
        self.turn = self.answer = self._head = None
        self.room = 0

    def begin(self) -> None:
        """See Tap."""
        self._head = b""

    def take(self, data: bytes) -> None:
        """See Tap."""
        if self._head is None or not data:
            return
        self._head += data[: _MAX_HEAD - len(self._head)]
        self.response_id, self.response_model = read_identity(self._head)
        if self.response_id or self.response_model or len(self._head) >= _MAX_HEAD:
            self._head = None
