"""The stream of one answer: of a run, or of a wrapper that watches the run."""

from contextlib import aclosing
from typing import Protocol

from gateway.core.accumulator import Accumulator, Answer
from gateway.core.event import Stream
from gateway.runs.trace import RunTrace


class AnswerStream(Protocol):
    """One answer on its way. Nothing is opened until `events` is iterated.

    An answer that its turn does not want streamed is one batch of the same stream.
    """

    @property
    def trace(self) -> RunTrace:
        """What has been tried so far."""
        ...

    def events(self) -> Stream:
        """The answer as it comes. Raises GatewayError."""
        ...


async def whole_answer(stream: AnswerStream) -> Answer:
    """All of an answer. Raises GatewayError."""
    accumulator = Accumulator()
    async with aclosing(stream.events()) as batches:
        async for batch in batches:
            accumulator.add(batch)
    return accumulator.answer()
