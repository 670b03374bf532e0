"""A run: one agent works on one turn; prompt, attempts and checks composed into one stream of events."""

from collections.abc import Mapping
from contextlib import aclosing
from dataclasses import dataclass

from msgspec import Struct
from msgspec.structs import replace

from gateway.agents.agent import Agent
from gateway.agents.candidates import Candidate, unknown_model
from gateway.agents.dispatch import Dispatch
from gateway.agents.hold_back import ALL, HoldBack
from gateway.agents.params import with_params
from gateway.agents.prefill import prefilled
from gateway.agents.rescue import Replay, Seen
from gateway.agents.stage import Stage
from gateway.agents.tool_choice import Verified, demands_call
from gateway.agents.trail import Trail
from gateway.agents.visible import Visible
from gateway.core.errors import BadRequest, UpstreamError
from gateway.core.event import Batch, Stream
from gateway.core.message import Message, Text
from gateway.core.names import ModelRef, parse_model_ref
from gateway.core.reply import Reply, fold
from gateway.core.turn import Turn
from gateway.upstream.provider import Provider


@dataclass(frozen=True, slots=True)
class RunOptions:
    """What the `x-openclaw-*` headers ask for: another model, another agent, a channel."""

    model: str | None = None
    agent: str | None = None
    channel: str = "webchat"


class Run(Struct, frozen=True):
    """One agent at work on one turn. Nothing is opened until `events` is iterated or `reply` awaited."""

    agent: Agent
    turn: Turn
    chain: tuple[ModelRef, ...]
    dispatch: Dispatch
    trail: Trail

    async def reply(self) -> Reply:
        """The whole answer: the fold of the same batches. Raises GatewayError."""
        if self.turn.stream:
            # Nothing is shown before the end, so that a stream that breaks is simply asked for again.
            async with aclosing(self.events(ALL)) as batches:
                return fold([event async for batch in batches for event in batch])
        caller, turn = self.dispatch.caller, self.turn
        attempts = self.dispatch.attempts(turn, self.chain, self.trail, self.agent.timeout)
        batch = await attempts.ask(lambda one: caller.whole(one.provider, one.model, turn, attempts.end))
        return fold(_through(stages_for(turn, 0), batch))

    async def events(self, hold_back: float | None = None) -> Stream:
        """The answer as it comes; `hold_back` characters of it at first withheld. Raises GatewayError.

        Each attempt passes stages of its own. Once something has been passed on, another attempt must repeat it, or is
        asked to continue it.
        """
        dispatch, turn = self.dispatch, self.turn
        hold_back = dispatch.hold_back if hold_back is None else hold_back
        attempts = dispatch.attempts(turn, self.chain, self.trail, self.agent.timeout)
        seen = Seen()
        try:
            candidate = await attempts.first()
            while True:
                asked, stages = _attempt(turn, candidate, seen, hold_back)
                begun = False
                batches = dispatch.caller.stream(candidate.provider, candidate.model, asked, attempts.end)
                try:
                    async for batch in batches:
                        if not begun:
                            begun = True
                            attempts.begun()
                        if passed := _through(stages, batch):
                            seen.add(passed)
                            yield passed
                except UpstreamError as error:
                    failure = error
                else:
                    attempts.succeeded()
                    return
                finally:
                    await batches.aclose()
                final = bool(seen) and not (dispatch.rescue and seen.repeatable)
                candidate = await attempts.after(failure, begun=begun, final=final)
        finally:
            attempts.close()


def _attempt(turn: Turn, candidate: Candidate, seen: Seen, hold_back: float) -> tuple[Turn, tuple[Stage, ...]]:
    """What a candidate is asked, given what was seen of an answer that broke, and what its answer passes."""
    if not seen:
        return turn, stages_for(turn, hold_back)
    if candidate.model.compat.accepts_prefill and (continued := prefilled(turn, seen)) is not None:
        asked, replay = continued
        return asked, (replay,)
    return turn, (*stages_for(turn, hold_back), Replay(seen))


def _through(stages: tuple[Stage, ...], batch: Batch) -> Batch:
    for stage in stages:
        batch = stage.feed(batch)
    return batch


def stages_for(turn: Turn, hold_back: float) -> tuple[Stage, ...]:
    """What the batches of an attempt pass, in order; for each attempt anew."""
    stages: tuple[Stage, ...] = (Visible(),)
    choice = turn.tool_choice
    if choice is not None and demands_call(choice):
        stages += (Verified(choice),)
    return (*stages, HoldBack(hold_back)) if hold_back else stages


async def prepare(agent: Agent, turn: Turn, options: RunOptions, dispatch: Dispatch) -> Run:
    """Put the agent's prompt in front, settle the model chain. Raises BadRequest or NotFound for a bad override.

    The caller's system and developer messages follow the agent's own prompt; nothing else is added.
    """
    chain = chain_for(agent, options.model, dispatch.providers)
    prompt = await agent.prompt.text(options.channel)
    if prompt:
        turn = replace(turn, messages=(Message("system", (Text(prompt),)), *turn.messages))
    if agent.params:
        turn = with_params(turn, agent.params)
    if agent.always_stream and not turn.stream:
        turn = replace(turn, stream=True)
    return Run(agent, turn, chain, dispatch, dispatch.trail(agent.id))


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
