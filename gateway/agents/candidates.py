"""Which model answers: the chain of candidates, asked in order until one begins to answer.

A candidate that fails before its first event gives way to the next, unless the failure lies in the request itself. Once
something was passed on, the failure is the caller's to know.
"""

from collections.abc import Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field

from gateway.core.errors import BadRequest, NotFound, UpstreamError
from gateway.core.event import Stream
from gateway.core.names import ModelRef
from gateway.core.turn import Turn
from gateway.upstream.call import Caller
from gateway.upstream.provider import Provider
from gateway.wire.compat import ModelSpec


@dataclass(slots=True)
class Trail:
    """What a run has tried so far: each attempt's model and how it ended (None: it is the one that answers)."""

    attempts: list[tuple[ModelRef, UpstreamError | None]] = field(default_factory=list)

    @property
    def answered(self) -> ModelRef | None:
        """The model behind the events of the run."""
        return self.attempts[-1][0] if self.attempts else None


async def ask(
    turn: Turn, chain: Sequence[ModelRef], providers: Mapping[str, Provider], caller: Caller, trail: Trail
) -> Stream:
    """The events of the first candidate that answers. Raises its failure, or that of the last one tried."""
    unfit: BadRequest | None = None
    for position, ref in enumerate(chain):
        provider = providers.get(ref.provider)
        if provider is None:
            raise unknown_model(ref)
        model = provider.model(ref.model)
        unfit = _unfit(turn, ref, model)
        if unfit is not None:
            continue
        trail.attempts.append((ref, None))
        answering = False
        try:
            if turn.stream:
                async with aclosing(caller.stream(provider, model, turn)) as stream:
                    async for batch in stream:
                        answering = True
                        yield batch
            else:
                yield await caller.whole(provider, model, turn)
        except UpstreamError as error:
            trail.attempts[-1] = (ref, error)
            if answering or not error.failover or position == len(chain) - 1:
                raise
        else:
            return
    if unfit is not None:
        raise unfit


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
