"""What answers: a run, or what looks on while it runs."""

from typing import Protocol

from gateway.core.event import Stream
from gateway.core.reply import Reply
from gateway.runs.trace import RunTrace


class AnswerStream(Protocol):
    """One answer on its way. Nothing is opened until `events` is iterated or `reply` awaited."""

    @property
    def trail(self) -> RunTrace:
        """What has been tried so far."""
        ...

    def events(self) -> Stream:
        """The answer as it comes. Raises GatewayError."""
        ...

    async def reply(self) -> Reply:
        """The whole answer. Raises GatewayError."""
        ...
