"""Counts the tokens of one request during its run. `quota` uses the count."""

from collections.abc import Callable
from contextlib import aclosing

from gateway.core.errors import GatewayError, ToolChoiceUnmet
from gateway.core.event import Batch, RefusalDelta, Stream, TextDelta, ThinkingDelta, ToolCallDelta, UsageReport
from gateway.core.price import Price, cost
from gateway.core.token_estimate import text_bytes, tokens_in
from gateway.core.usage import Usage
from gateway.runs.run import Run
from gateway.runs.trace import RunTrace
from gateway.upstream.embed import Embedder
from gateway.upstream.provider import Provider
from gateway.wire.contract import EmbeddingReply, EmbeddingRequest
from gateway.wire.model import ModelSpec
from openclaw_ratelimit import Reservation


class Meter:
    """One request's tokens: the provider's own count, or an estimate without one.

    A request that fails before any answer costs nothing. If the answer breaks or the client disconnects, the request
    costs the prompt and the received part of the answer: else a client could get answers for free by disconnecting.

    `price` is that of the model that answers. Where it is not known, the request costs as much as was reserved.
    """

    def __init__(self, reservation: Reservation, prompt: int, price: Callable[[], Price | None] = lambda: None) -> None:
        self.reservation = reservation
        self._price = price
        self._usage: Usage | None = None
        self._prompt = prompt
        self._bytes = 0
        self._counted = 0
        self._asked = False
        self._failed = False

    def begin(self) -> None:
        """A run calls the provider, perhaps again."""
        self._asked, self._failed = True, False

    def count(self, tokens: int) -> None:
        """Set the provider's own count, 0 without one."""
        self._counted = tokens

    def fail(self, error: GatewayError) -> None:
        """The run has failed: the answer is missing, incomplete, or not what the request demanded."""
        if error.usage is not None:
            self._counted = max(self._counted, error.usage.total)
            self._usage = error.usage
        self._failed = not isinstance(error, ToolChoiceUnmet)

    def add(self, batch: Batch) -> None:
        """Add a part of the answer."""
        for event in batch:
            if isinstance(event, (TextDelta, ThinkingDelta, RefusalDelta)):
                self._bytes += text_bytes(event.text)
            elif isinstance(event, ToolCallDelta):
                self._bytes += text_bytes(event.arguments)
            elif isinstance(event, UsageReport):
                self._counted = event.usage.total
                self._usage = event.usage

    @property
    def tokens(self) -> int:
        """The tokens of the request until now."""
        if self._counted:
            return self._counted
        if not self._asked or (self._failed and not self._bytes):
            return 0
        return self._prompt + tokens_in(self._bytes)

    def _cost(self) -> int | None:
        """Nanodollars."""
        tokens = self.tokens
        if not tokens:
            return 0
        usage = self._usage if self._counted and self._usage is not None else None
        return cost(usage or Usage(self._prompt, max(0, tokens - self._prompt), tokens), self._price())

    async def settle(self) -> None:
        """Settle the reservation; a second time changes nothing."""
        await self.reservation.settle(self.tokens, self._cost())


class UsageMeter:
    """A run whose tokens are counted. Its reservation is settled in every ending, before the client gets that of the
    answer.
    """

    def __init__(self, run: Run, meter: Meter) -> None:
        self._run = run
        self._meter = meter

    @property
    def trace(self) -> RunTrace:
        """See Run."""
        return self._run.trace

    async def events(self) -> Stream:
        """See Run."""
        self._meter.begin()
        try:
            async with aclosing(self._run.events()) as events:
                async for batch in events:
                    self._meter.add(batch)
                    yield batch
        except GatewayError as error:
            self._meter.fail(error)
            raise
        finally:  # also if the client has left: a run beside the request's own is settled by nobody else
            await self._meter.settle()


class MeteredEmbedder:
    """An embedder whose tokens are counted."""

    def __init__(self, embedder: Embedder, meter: Meter) -> None:
        self._embedder = embedder
        self._meter = meter

    async def embed(
        self, provider: Provider, model: ModelSpec, request: EmbeddingRequest, end: float, *, fresh: bool = False
    ) -> EmbeddingReply:
        """See Embedder."""
        self._meter.begin()
        try:
            reply = await self._embedder.embed(provider, model, request, end, fresh=fresh)
        except GatewayError as error:
            self._meter.fail(error)
            raise
        self._meter.count(reply.total_tokens)
        return reply
