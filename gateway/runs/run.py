"""A run: one agent works on one turn. Its prompt, model chain and tools are fixed before it begins."""

from collections.abc import Mapping
from dataclasses import dataclass

from msgspec import Struct
from msgspec.structs import replace

from gateway.agents.agent import Agent
from gateway.core.errors import BadRequest
from gateway.core.event import Stream
from gateway.core.message import Message, Text
from gateway.core.names import ModelRef, parse_model_ref
from gateway.core.params import with_params
from gateway.core.turn import Turn
from gateway.runs.candidates import unknown_model
from gateway.runs.context import RunContext
from gateway.runs.round import Round
from gateway.runs.tool_rounds import ToolRounds, offered_tools
from gateway.runs.trace import NO_ORIGIN, Origin, RunTrace
from gateway.tools.registry import OfferedTools
from gateway.upstream.provider import Provider


@dataclass(frozen=True, slots=True)
class RunOptions:
    """The `x-openclaw-*` headers: another model, another agent, a channel. `tools`: the agent may run its tools."""

    model: str | None = None
    agent: str | None = None
    channel: str = "webchat"
    tools: bool = True


class Run(Struct, frozen=True):
    """One agent that works on one turn. Nothing starts until `events` is iterated.

    `offer` are the tools that the agent runs itself; without them a run has one round. `params` is the agent if its
    request fields differ by model: `turn` does not have them yet.
    """

    agent: Agent
    turn: Turn
    chain: tuple[ModelRef, ...]
    context: RunContext
    trace: RunTrace
    offer: OfferedTools | None = None
    params: Agent | None = None

    def events(self) -> Stream:
        """The batches of the answer. Raises GatewayError."""
        return self._round().events() if self.offer is None else self._rounds(self.offer).events()

    def _round(self) -> Round:
        return Round(
            self.turn,
            self.chain,
            self.context,
            self.trace,
            self.agent.timeout,
            streaming=self.agent.upstream_streaming,
            params=self.params,
        )

    def _rounds(self, offer: OfferedTools) -> ToolRounds:
        return ToolRounds(self._round(), offer, self.agent.tool_limits)


async def prepare(
    agent: Agent,
    turn: Turn,
    options: RunOptions,
    context: RunContext,
    *,
    client: str = "",
    origin: Origin = NO_ORIGIN,
) -> Run:
    """Add the agent's prompt and resolve the model chain. Raises BadRequest or NotFound for an invalid override, and
    BadRequest if a client's tool has the name of one of the agent's tools.

    The client's system and developer messages follow the agent's prompt; nothing else is added. `client` is any text
    that identifies the client for cooldowns, and `origin` names the request.
    """
    chain = chain_for(agent, options.model, context.providers)
    prompt = await agent.prompt.text(options.channel)
    if prompt:
        turn = replace(turn, messages=(Message("system", (Text(prompt),)), *turn.messages))
    params = agent.params_for(chain[0])
    differ = bool(agent.model_params) and any(agent.params_for(ref) != params for ref in chain[1:])
    if params and not differ:
        turn = with_params(turn, params)
    offer = None
    if agent.toolset is not None and options.tools:
        offer = offered_tools(agent.toolset.offer(), turn, chain[0], context.providers)
    trace = context.new_trace(agent.id, client, origin)
    return Run(agent, turn, chain, context, trace, offer, agent if differ else None)


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
