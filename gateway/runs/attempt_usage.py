"""What an attempt cost if its provider does not say it: an estimate from the bytes that went over the wire.

A provider bills what it has computed, also if the client leaves or the stream breaks before the token counts arrive.
"""

import asyncio
from collections.abc import Awaitable, Iterable

from gateway.core.event import Batch, RefusalDelta, TextDelta, ThinkingDelta, ToolCallDelta, UsageReport
from gateway.core.token_estimate import prompt_tokens, raw_text_bytes, text_bytes, tokens_in
from gateway.core.turn import Turn
from gateway.core.upstream_error import UpstreamError, UpstreamKind
from gateway.core.usage import Usage
from gateway.runs.trace import ANSWERED, CANCELLED, Attempt, RunTrace
from gateway.wire.contract import EmbeddingReply, EmbeddingRequest


class AttemptMeter:
    """A filter of a provider's answer that passes everything on, and counts it for the attempt."""

    __slots__ = ("_attempt",)

    def __init__(self, attempt: Attempt, *, streamed: bool) -> None:
        self._attempt = attempt
        attempt.streamed = streamed

    def feed(self, batch: Batch) -> Batch:
        """The same batch."""
        attempt = self._attempt
        for event in batch:
            if isinstance(event, TextDelta):
                attempt.output += raw_text_bytes(event.raw)
            elif isinstance(event, UsageReport):
                if event.usage.prompt or event.usage.completion:  # else a server that does not count
                    attempt.usage = event.usage
            elif isinstance(event, ThinkingDelta | RefusalDelta):
                attempt.output += text_bytes(event.text)
            elif isinstance(event, ToolCallDelta):
                attempt.output += text_bytes(event.arguments)
        return batch


_ABORTED = frozenset({
    UpstreamKind.TIMEOUT.value, UpstreamKind.TOTAL_TIMEOUT.value, UpstreamKind.STALL.value,
})  # fmt: skip
"""Failures that end a request on which the provider was still working."""


def estimate_missing(attempts: Iterable[Attempt], turn: Turn) -> None:
    """Estimate the usage of the attempts that have none although their provider may have worked."""
    prompt: int | None = None
    for attempt in attempts:
        if attempt.usage is None and _has_worked(attempt):
            prompt = prompt_tokens(turn) if prompt is None else prompt
            _estimate(attempt, prompt)


async def metered_embedding(
    call: Awaitable[EmbeddingReply], trace: RunTrace, request: EmbeddingRequest
) -> EmbeddingReply:
    """Await the reply and set the usage of the current attempt. Raises what the call raises."""
    attempt = trace.current
    if attempt is None:
        raise AssertionError("there is no attempt")
    try:
        reply = await call
    except asyncio.CancelledError:
        _estimate(attempt, _input_tokens(request))
        raise
    except UpstreamError as error:
        if error.kind.value in _ABORTED:
            _estimate(attempt, _input_tokens(request))
        raise
    if tokens := max(reply.prompt_tokens, reply.total_tokens):
        attempt.usage = Usage(tokens, 0, tokens)
    else:
        _estimate(attempt, _input_tokens(request))
    attempt.shown = True
    return reply


def _has_worked(attempt: Attempt) -> bool:
    """Whether the provider sent a part of an answer, or was still working when the attempt ended."""
    return bool(attempt.output) or attempt.outcome in (None, ANSWERED, CANCELLED) or attempt.outcome in _ABORTED


def _input_tokens(request: EmbeddingRequest) -> int:
    return tokens_in(sum(text_bytes(text) for text in request.inputs))


def _estimate(attempt: Attempt, prompt: int) -> None:
    completion = tokens_in(attempt.output)
    attempt.usage = Usage(prompt, completion, prompt + completion)
    attempt.estimated = True
