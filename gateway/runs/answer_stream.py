"""The stream of one answer: a run, or a wrapper around it such as SessionRecorder, ResponseRecorder or UsageMeter."""

from typing import Protocol

from gateway.core.accumulator import Accumulator
from gateway.core.answer import Answer
from gateway.core.event import Stream
from gateway.runs.trace import RunTrace


class AnswerStream(Protocol):
    """One answer as a stream. Nothing starts until `events` is iterated.

    If the turn does not ask for a stream, the whole answer comes as one batch.
    """

    @property
    def trace(self) -> RunTrace:
        """The trace of the run."""
        ...

    def events(self) -> Stream:
        """The batches of the answer. Raises GatewayError."""
        ...


async def whole_answer(stream: AnswerStream) -> Answer:
    """Read the stream to its end and return the answer. Raises GatewayError."""
    accumulator = Accumulator()
    batches = stream.events()
    try:
        async for batch in batches:
            accumulator.add(batch)
    finally:
        await batches.aclose()
    return accumulator.answer()
