"""What an attempt cost if its provider does not say it: an estimate from the bytes that went over the wire.

A provider bills what it has computed, also if the client leaves or the stream breaks before the token counts arrive.
"""

import asyncio
from collections.abc import Awaitable, Iterable

from gateway.core.token_estimate import prompt_tokens, tokens_in
from gateway.core.turn import Turn
from gateway.core.upstream_error import UpstreamError, UpstreamKind
from gateway.core.usage import Usage
from gateway.runs.attempt import ANSWERED, CANCELLED, Attempt
from gateway.runs.trace import RunTrace
from gateway.upstream.embed import input_tokens
from gateway.wire.contract import EmbeddingReply, EmbeddingRequest

_ABORTED = frozenset({
    UpstreamKind.TIMEOUT.value, UpstreamKind.TOTAL_TIMEOUT.value, UpstreamKind.STALL.value,
})  # fmt: skip
"""Failures that end a request on which the provider was still working."""


def estimate_missing(attempts: Iterable[Attempt], turn: Turn) -> None:
    """Estimate the usage of the attempts that have none although their provider may have worked. They have ended."""
    prompt: int | None = None
    for attempt in attempts:
        if attempt.usage is not None:
            attempt.forget()
            continue
        sent = attempt.take_bytes()
        if sent or attempt.outcome in (None, ANSWERED, CANCELLED) or attempt.outcome in _ABORTED:
            prompt = prompt_tokens(turn) if prompt is None else prompt
            _estimate(attempt, prompt, tokens_in(sent))


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
        _estimate(attempt, input_tokens(request))
        raise
    except UpstreamError as error:
        if error.kind.value in _ABORTED:
            _estimate(attempt, input_tokens(request))
        raise
    if tokens := max(reply.prompt_tokens, reply.total_tokens):
        attempt.usage = Usage(tokens, 0, tokens)
    else:
        _estimate(attempt, input_tokens(request))
    attempt.shown = True
    return reply


def _estimate(attempt: Attempt, prompt: int, completion: int = 0) -> None:
    attempt.usage = Usage(prompt, completion, prompt + completion)
    attempt.estimated = True
