"""A run: one agent works on one turn; prompt, candidates and checks composed into one stream of events."""

from collections.abc import Mapping
from contextlib import aclosing
from dataclasses import dataclass, replace

from gateway.agents.agent import Agent
from gateway.agents.candidates import Trail, ask, unknown_model
from gateway.agents.params import with_params
from gateway.agents.stage import Stage
from gateway.agents.tool_choice import Verified, demands_call
from gateway.agents.visible import Visible
from gateway.core.errors import BadRequest
from gateway.core.event import Batch, Stream
from gateway.core.message import Message, Text
from gateway.core.names import ModelRef, parse_model_ref
from gateway.core.reply import Reply, fold
from gateway.core.turn import Turn
from gateway.core.value import value
from gateway.upstream.call import Caller
from gateway.upstream.provider import Provider


@dataclass(frozen=True, slots=True)
class RunOptions:
    """What the `x-openclaw-*` headers ask for: another model, another agent, a channel."""

    model: str | None = None
    agent: str | None = None
    channel: str = "webchat"


@value
class Run:
    """One agent at work on one turn. Nothing is opened until `events` is iterated or `reply` awaited."""

    agent: Agent
    turn: Turn
    chain: tuple[ModelRef, ...]
    providers: Mapping[str, Provider]
    caller: Caller
    trail: Trail

    async def events(self) -> Stream:
        """The answer as it comes. Raises GatewayError."""
        first, rest = await ask(self.turn, self.chain, self.providers, self.caller, self.trail)
        stages = stages_for(self.turn)
        try:
            if batch := _through(stages, first):
                yield batch
            if rest is not None:
                async for later in rest:
                    if batch := _through(stages, later):
                        yield batch
        finally:
            if rest is not None:
                await rest.aclose()

    async def reply(self) -> Reply:
        """The whole answer: the fold of the same batches. Raises GatewayError."""
        first, rest = await ask(self.turn, self.chain, self.providers, self.caller, self.trail)
        stages = stages_for(self.turn)
        if rest is None:
            return fold(_through(stages, first))
        async with aclosing(rest):
            events = _through(stages, first)
            async for batch in rest:
                events += _through(stages, batch)
        return fold(events)


def _through(stages: tuple[Stage, ...], batch: Batch) -> Batch:
    for stage in stages:
        batch = stage.feed(batch)
    return batch


def stages_for(turn: Turn) -> tuple[Stage, ...]:
    """What the batches of this turn pass, in order."""
    choice = turn.tool_choice
    return (Visible(), Verified(choice)) if choice is not None and demands_call(choice) else (Visible(),)


async def prepare(
    agent: Agent, turn: Turn, options: RunOptions, providers: Mapping[str, Provider], caller: Caller
) -> Run:
    """Put the agent's prompt in front, settle the model chain. Raises BadRequest or NotFound for a bad override.

    The caller's system and developer messages follow the agent's own prompt; nothing else is added.
    """
    chain = chain_for(agent, options.model, providers)
    prompt = await agent.prompt.text(options.channel)
    if prompt:
        turn = replace(turn, messages=(Message("system", (Text(prompt),)), *turn.messages))
    if agent.params:
        turn = with_params(turn, agent.params)
    if agent.always_stream and not turn.stream:
        turn = replace(turn, stream=True)
    return Run(agent, turn, chain, providers, caller, Trail())


def chain_for(agent: Agent, override: str | None, providers: Mapping[str, Provider]) -> tuple[ModelRef, ...]:
    """The models to ask, in order: the agent's own, or the override alone, which has no fallbacks."""
    if override is None:
        return agent.candidates
    ref = agent.aliases.get(override.lower()) or parse_model_ref(override, agent.candidates[0].provider)
    if ref is None:
        raise BadRequest(
            "Invalid `x-openclaw-model`. Use `provider/model`, or a bare model id of the agent's provider.",
            param="x-openclaw-model",
        )
    if not agent.allows(ref):
        raise BadRequest(f"Model '{ref}' is not allowed for agent '{agent.id}'.", param="x-openclaw-model")
    if ref.provider not in providers:
        raise unknown_model(ref)
    return (ref,)
