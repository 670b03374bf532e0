"""The candidates of a turn: the models of the chain with the keys of their providers, in the order of attempts."""

from collections.abc import Mapping, Sequence

from msgspec import Struct

from gateway.agents.agent import Agent
from gateway.core.errors import BadRequest, GatewayError, NotFound
from gateway.core.names import ModelRef
from gateway.core.params import with_params
from gateway.core.turn import Turn
from gateway.upstream.provider import Provider
from gateway.wire.model import ModelSpec


class Candidate(Struct, frozen=True):
    """One model of the chain with one key; `provider` is the provider row with this key."""

    ref: ModelRef
    provider: Provider
    model: ModelSpec

    @property
    def unit(self) -> str:
        """The key of its cooldown: address, credential and model. It is the same in every instance."""
        return f"{self.provider.identity} {self.model.id}"


def with_settings(turn: Turn, candidate: Candidate, agent: Agent | None) -> Turn:
    """The turn with the operator's settings for the candidate's model. `agent` is None if the turn has its settings."""
    if agent is not None:
        turn = with_params(turn, agent.params_for(candidate.ref))
    if candidate.model.defaults is not None:
        turn = with_params(turn, candidate.model.defaults)
    return turn


def candidates_for(turn: Turn, chain: Sequence[ModelRef], providers: Mapping[str, Provider]) -> tuple[Candidate, ...]:
    """The candidates that can take this turn, at least one: by model, then by key.

    Raises NotFound or BadRequest for the first model of the chain if there is no candidate.
    """
    if len(chain) == 1 and (provider := providers.get(chain[0].provider)) is not None and provider.is_simple:
        model = provider.model(chain[0].model)
        if (unfit := _unfit(turn, chain[0], model)) is not None:
            raise unfit
        return (Candidate(chain[0], provider, model),)
    candidates: list[Candidate] = []
    obstacle: GatewayError | None = None
    for ref in chain:
        provider = providers.get(ref.provider)
        if provider is None:
            obstacle = obstacle or unknown_model(ref)
            continue
        if not provider.has(ref.model):
            obstacle = obstacle or _not_listed(ref, provider)
            continue
        model = provider.model(ref.model)
        if (unfit := _unfit(turn, ref, model)) is not None:
            obstacle = obstacle or unfit
            continue
        candidates += [Candidate(ref, row, model) for row in provider.row_for(ref.model).in_turn()]
    if not candidates:
        raise obstacle or AssertionError("an agent without candidates")
    return tuple(candidates)


def unknown_model(ref: ModelRef) -> NotFound:
    """The error for a model reference whose provider is not configured (status as recorded)."""
    return NotFound(
        f"Unknown model: {ref}. No provider '{ref.provider}' is configured; `openclaw-gateway models` lists them.",
        param="x-openclaw-model",
        code="model_not_found",
    )


def _not_listed(ref: ModelRef, provider: Provider) -> NotFound:
    models = ", ".join(f"{ref.provider}/{model}" for model in provider.models)
    return NotFound(
        f"Unknown model: {ref}. The provider '{ref.provider}' has only: {models}.",
        param="x-openclaw-model",
        code="model_not_found",
    )


def _unfit(turn: Turn, ref: ModelRef, model: ModelSpec) -> BadRequest | None:
    """Why the model can't take this turn; None if it can."""
    if not model.tools and turn.tools and not (turn.tool_choice and turn.tool_choice.mode == "none"):
        return BadRequest(f"The model '{ref}' does not support tools.", param="tools", code="tools_unsupported")
    if model.images is False and turn.has_images():
        return BadRequest(f"The model '{ref}' does not read images.", param="messages", code="images_unsupported")
    return None
