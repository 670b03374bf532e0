"""Counting the tokens of one request while it is answered. What is done with the count is the business of `quota`."""

from contextlib import aclosing

from gateway.agents.run import Run
from gateway.agents.trail import Trail
from gateway.core.errors import GatewayError, ToolChoiceUnmet
from gateway.core.event import Batch, RefusalDelta, Stream, TextDelta, ThinkingDelta, ToolCallDelta, UsageReport
from gateway.core.reply import Reply
from gateway.core.token_estimate import text_bytes, tokens_in
from gateway.upstream.embed import Embedder
from gateway.upstream.provider import Provider
from gateway.wire.contract import EmbeddingReply, EmbeddingRequest
from openclaw_ratelimit import Reservation


class Meter:
    """One request's tokens: the provider's own count, or an estimate as long as there is none.

    A request that failed before any answer costs nothing. One whose answer broke, or whose caller left, costs the
    prompt and what had come of the answer, or leaving early would be a way to get answers for nothing.
    """

    def __init__(self, reservation: Reservation, prompt: int) -> None:
        self.reservation = reservation
        self._prompt = prompt
        self._bytes = 0
        self._counted = 0
        self._asked = False
        self._failed = False

    def begin(self) -> None:
        """The provider is asked from here on, perhaps once more."""
        self._asked, self._failed = True, False

    def count(self, tokens: int) -> None:
        """The provider has counted; 0 when it did not."""
        self._counted = tokens

    def fail(self, error: GatewayError) -> None:
        """The run has failed: the provider did not answer, or not to the end, or answered what was not asked for."""
        if error.usage is not None:
            self._counted = max(self._counted, error.usage.total)
        self._failed = not isinstance(error, ToolChoiceUnmet)

    def look(self, batch: Batch) -> None:
        """More of the answer has come."""
        for event in batch:
            if isinstance(event, (TextDelta, ThinkingDelta, RefusalDelta)):
                self._bytes += text_bytes(event.text)
            elif isinstance(event, ToolCallDelta):
                self._bytes += text_bytes(event.arguments)
            elif isinstance(event, UsageReport):
                self._counted = event.usage.total

    @property
    def tokens(self) -> int:
        """What the request has cost so far."""
        if self._counted:
            return self._counted
        if not self._asked or (self._failed and not self._bytes):
            return 0
        return self._prompt + tokens_in(self._bytes)

    async def settle(self) -> None:
        """Settle the reservation; a second time changes nothing."""
        await self.reservation.settle(self.tokens)


class MeteredRun:
    """A run whose tokens are counted. Its place is free again before the caller is told the end."""

    def __init__(self, run: Run, meter: Meter) -> None:
        self._run = run
        self._meter = meter

    @property
    def trail(self) -> Trail:
        """See Run."""
        return self._run.trail

    async def events(self) -> Stream:
        """See Run."""
        self._meter.begin()
        try:
            async with aclosing(self._run.events()) as events:
                async for batch in events:
                    self._meter.look(batch)
                    yield batch
        except GatewayError as error:
            self._meter.fail(error)
            await self._meter.settle()
            raise
        await self._meter.settle()

    async def reply(self) -> Reply:
        """See Run."""
        self._meter.begin()
        try:
            reply = await self._run.reply()
        except GatewayError as error:
            self._meter.fail(error)
            raise
        self._meter.look([TextDelta(text) for text in (reply.text, reply.thinking, reply.refusal) if text])
        self._meter.look([ToolCallDelta(0, call.arguments) for call in reply.tool_calls])
        self._meter.count(reply.usage.total)
        return reply


class MeteredEmbedder:
    """An embedder whose tokens are counted."""

    def __init__(self, embedder: Embedder, meter: Meter) -> None:
        self._embedder = embedder
        self._meter = meter

    async def embed(self, provider: Provider, model: str, request: EmbeddingRequest, end: float) -> EmbeddingReply:
        """See Embedder."""
        self._meter.begin()
        try:
            reply = await self._embedder.embed(provider, model, request, end)
        except GatewayError as error:
            self._meter.fail(error)
            raise
        self._meter.count(reply.total_tokens)
        return reply
