"""Which model answers: the chain of candidates, asked in order until one begins to answer.

A candidate that fails before its first event gives way to the next, unless the failure lies in the request itself. Once
something was passed on, the failure is the caller's to know.
"""

from collections.abc import Mapping, Sequence

from gateway.core.errors import BadRequest, GatewayError, NotFound, UpstreamError
from gateway.core.event import Batch, Stream
from gateway.core.names import ModelRef
from gateway.core.turn import Turn
from gateway.upstream.call import Caller
from gateway.upstream.provider import Provider
from gateway.wire.compat import ModelSpec


class Trail:
    """What a run has tried so far: each attempt's model and how it ended (None: it is the one that answers)."""

    __slots__ = ("attempts",)

    def __init__(self) -> None:
        self.attempts: list[tuple[ModelRef, UpstreamError | None]] = []

    @property
    def answered(self) -> ModelRef | None:
        """The model behind the events of the run."""
        return self.attempts[-1][0] if self.attempts else None


async def ask(
    turn: Turn, chain: Sequence[ModelRef], providers: Mapping[str, Provider], caller: Caller, trail: Trail
) -> tuple[Batch, Stream | None]:
    """The first batch of the first candidate that answers, and the stream of what follows (None: that was all).

    The caller closes the stream. Raises the failure of the last candidate that was tried, or what kept all from trying.
    """
    failure: GatewayError | None = None
    for ref in chain:
        provider = providers.get(ref.provider)
        if provider is None:
            failure = failure or unknown_model(ref)
            continue
        model = provider.model(ref.model)
        if (unfit := _unfit(turn, ref, model)) is not None:
            failure = failure or unfit
            continue
        trail.attempts.append((ref, None))
        try:
            if not turn.stream:
                return await caller.whole(provider, model, turn), None
            stream = caller.stream(provider, model, turn)
            return await anext(stream), stream
        except UpstreamError as error:
            trail.attempts[-1] = (ref, error)
            if not error.failover:
                raise
            failure = error
    raise failure or AssertionError("an agent without candidates")


def unknown_model(ref: ModelRef) -> NotFound:
    """The refusal of a reference whose provider is not configured (status as recorded)."""
    return NotFound(
        f"Unknown model: {ref}. No provider '{ref.provider}' is configured; `openclaw-gateway models` lists them.",
        param="x-openclaw-model",
        code="model_not_found",
    )


def _unfit(turn: Turn, ref: ModelRef, model: ModelSpec) -> BadRequest | None:
    """Why a model can't take this turn at all; asking it would only lose what the caller sent."""
    if not model.compat.tools and turn.tools and not (turn.tool_choice and turn.tool_choice.mode == "none"):
        return BadRequest(f"The model '{ref}' does not support tools.", param="tools", code="tools_unsupported")
    if model.images is False and turn.has_images():
        return BadRequest(f"The model '{ref}' does not read images.", param="messages", code="images_unsupported")
    return None
