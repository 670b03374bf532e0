"""Adds the answer of a run to its conversation before the client gets the end of it."""

from contextlib import AsyncExitStack, aclosing
from typing import TYPE_CHECKING

from gateway.core.accumulator import Accumulator
from gateway.core.event import Batch, Finish, Stream
from gateway.runs.answer_stream import AnswerStream
from gateway.runs.trace import RunTrace

if TYPE_CHECKING:
    from gateway.conversations.conversation import Conversation


class SessionRecorder:
    """See AnswerStream. `to_the_end` says that it leaves the conversation's context itself."""

    def __init__(self, run: AnswerStream, conversation: "Conversation", *, to_the_end: bool) -> None:
        self._run = run
        self._conversation = conversation
        self._to_the_end = to_the_end

    @property
    def trail(self) -> RunTrace:
        """See AnswerStream."""
        return self._run.trail

    async def events(self) -> Stream:
        """See AnswerStream. From the batch with the Finish on, everything waits until the turn is stored."""
        conversation = self._conversation
        answer = Accumulator()
        held: Batch = []
        async with AsyncExitStack() as stack:
            if self._to_the_end:
                await stack.enter_async_context(conversation)
            conversation.begin()
            batches = await stack.enter_async_context(aclosing(self._run.events()))
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
            await conversation.finish(answer.answer(), self.trail)
            if held:
                yield held
