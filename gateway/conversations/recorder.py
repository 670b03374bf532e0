"""Stores the answer of a run in its conversation before the client gets the end of the stream."""

from contextlib import aclosing

from gateway.conversations.conversation import Conversation
from gateway.core.accumulator import Accumulator
from gateway.core.event import Batch, Finish, Stream
from gateway.runs.answer_stream import AnswerStream
from gateway.runs.trace import RunTrace


class SessionRecorder:
    """An AnswerStream that stores its answer and leaves the conversation in every ending."""

    def __init__(self, run: AnswerStream, conversation: Conversation) -> None:
        self._run = run
        self._conversation = conversation

    @property
    def trace(self) -> RunTrace:
        """See AnswerStream."""
        return self._run.trace

    async def events(self) -> Stream:
        """See AnswerStream. Batches from the Finish on wait until the turn is stored."""
        answer = Accumulator()
        held: Batch = []
        async with self._conversation as conversation, aclosing(self._run.events()) as batches:
            conversation.begin()
            while True:
                async with conversation.holding():
                    batch = await anext(batches, None)
                if batch is None:
                    break
                answer.add(batch)
                if held or any(type(event) is Finish for event in batch):
                    held = [*held, *batch]
                else:
                    yield batch
            await conversation.finish(answer.answer(), self.trace)
            if held:
                yield held
