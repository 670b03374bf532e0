"""One background run: its answer so far, the entries that wait for the log, and its final response."""

import asyncio
from dataclasses import dataclass, field
from typing import Any

from gateway.core.accumulator import Accumulator
from gateway.core.errors import GatewayError
from gateway.core.event import Batch
from gateway.core.event_json import write_batch
from gateway.core.message import Message
from gateway.http.answers.background_entry import end_entry
from gateway.http.answers.response_recorder import Storage
from gateway.http.large_bodies import BodyReservation
from gateway.http.metering import Meter
from gateway.runs.answer_stream import AnswerStream
from gateway.wire.openai_responses.stream import Renderer


@dataclass(slots=True)
class Job:
    """One background run. `waiting` are entries to write, `unwritten` their bytes, `number` the number of the first of
    them, `final` the response at the end. `ended`: no more entries will be added. `cut_off` is the error of a run whose
    events were too many; its log is deleted.
    """

    run: AnswerStream
    renderer: Renderer
    storage: Storage
    sealed: bool = False
    caller: str = ""
    meter: Meter | None = None
    body: BodyReservation | None = None
    number: int = 0
    ended: bool = False
    waiting: list[bytes] = field(default_factory=list)
    answer: Accumulator = field(default_factory=Accumulator)
    final: dict[str, Any] | None = None
    unwritten: int = 0
    cut_off: GatewayError | None = None
    cancelled: asyncio.Event = field(default_factory=asyncio.Event)
    written: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def name(self) -> str:
        """The response's id."""
        return self.storage.record.id

    def messages(self) -> tuple[Message, ...]:
        """The messages that continue the conversation; none unless the answer is complete."""
        if not self.answer.finished:
            return ()
        answer = self.answer.answer()
        return *answer.tool_work, *answer.messages()

    def add(self, batch: Batch) -> int:
        """Add a batch of the answer and return its bytes in the log. Raises UpstreamError for what the client's format
        can't express.
        """
        self.renderer.frames(batch)
        self.answer.add(batch)
        entry = write_batch(batch)
        self.waiting.append(entry)
        self.unwritten += len(entry)
        return len(entry)

    def cut(self, error: GatewayError) -> None:
        """End the run with this error, and without the part of its answer: that was too large."""
        self.cut_off = error
        self.cancelled.set()

    def end_cut_off(self, error: GatewayError) -> None:
        """Close the job of a run that was cut off."""
        self.cut_off = error
        self.close({**self.renderer.failure(error), "output": ()})
        self.waiting.clear()
        self.answer = Accumulator()

    def close(self, response: dict[str, Any]) -> None:
        """End the run with this response."""
        self.final = response
        self.waiting.append(end_entry(response["status"]))
