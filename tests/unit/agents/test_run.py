from dataclasses import replace

import pytest

from gateway.agents.candidates import Trail
from gateway.agents.run import Run, RunOptions, chain_for, prepare
from gateway.core.errors import BadRequest, NotFound, ToolChoiceUnmet, UpstreamError, UpstreamKind
from gateway.core.event import Finish, TextDelta, ThinkingDelta, ToolCallBegin
from gateway.core.message import Message, Text
from gateway.core.names import ModelRef
from gateway.core.turn import Sampling, ToolChoice, ToolSpec, Turn
from gateway.upstream.provider import Provider

PROVIDERS = {name: Provider(name, f"http://{name}/v1") for name in ("home", "other")}
HELLO = Message("user", (Text("hi"),))
TURN = Turn("openclaw", (HELLO,))
FAILURE = UpstreamError(UpstreamKind.TRANSPORT, "gone")


class FakeCaller:
    """Gives the same batches to everyone, one by one when streaming, else joined."""

    def __init__(self, *batches):
        self.batches = batches
        self.closed = 0

    async def whole(self, *_):
        return [event for batch in self.batches for event in batch]

    async def stream(self, *_):
        try:
            for batch in self.batches:
                if isinstance(batch, Exception):
                    raise batch
                yield batch
        finally:
            self.closed += 1


def run(agent, caller, turn=TURN):
    return Run(agent(), turn, (ModelRef("home", "big"),), PROVIDERS, caller, Trail())


@pytest.mark.parametrize("stream", [True, False])
async def test_a_reply_is_the_same_streamed_or_whole(agent, stream):
    caller = FakeCaller([TextDelta("<thi")], [TextDelta("nk>why</think>Yes")], [Finish("stop")])
    reply = await run(agent, caller, replace(TURN, stream=stream)).reply()
    assert (reply.text, reply.thinking, reply.finish) == ("Yes", "why", "stop")


async def test_events_pass_the_stages_as_they_come(agent):
    caller = FakeCaller([TextDelta("<think>why")], [TextDelta("</think>")], [TextDelta("Yes"), Finish("stop")])
    events = [batch async for batch in run(agent, caller, replace(TURN, stream=True)).events()]
    assert events == [[ThinkingDelta("why")], [TextDelta("Yes"), Finish("stop")]]
    assert caller.closed == 1


async def test_leaving_early_closes_the_call(agent):
    caller = FakeCaller([TextDelta("a")], [TextDelta("b")], [Finish("stop")])
    events = run(agent, caller, replace(TURN, stream=True)).events()
    assert await anext(events) == [TextDelta("a")]
    await events.aclose()
    assert caller.closed == 1


async def test_a_failure_in_the_middle_passes_and_closes_the_call(agent):
    caller = FakeCaller([TextDelta("a")], FAILURE)
    with pytest.raises(UpstreamError) as caught:
        await run(agent, caller, replace(TURN, stream=True)).reply()
    assert caught.value is FAILURE
    assert caller.closed == 1


@pytest.mark.parametrize("stream", [True, False])
async def test_a_demanded_call_that_does_not_come_fails_the_run(agent, stream):
    turn = replace(TURN, stream=stream, tools=(ToolSpec("f"),), tool_choice=ToolChoice("required"))
    caller = FakeCaller([TextDelta("No.")], [Finish("stop")])
    with pytest.raises(ToolChoiceUnmet):
        await run(agent, caller, turn).reply()
    caller = FakeCaller([TextDelta("So:")], [ToolCallBegin(0, "c", "f"), Finish("tool_calls")])
    reply = await run(agent, caller, turn).reply()
    assert (reply.text, reply.tool_calls[0].name) == ("So:", "f")


async def test_the_agents_prompt_comes_before_the_callers_messages(agent):
    asked = replace(TURN, messages=(Message("developer", (Text("brief"),)), HELLO))
    prepared = await prepare(
        agent(prompt="By {{channel}}."), asked, RunOptions(channel="phone"), PROVIDERS, FakeCaller()
    )
    assert prepared.turn.messages == (Message("system", (Text("By phone."),)), *asked.messages)


async def test_without_prompt_and_params_the_turn_is_untouched(agent):
    prepared = await prepare(agent(), TURN, RunOptions(), PROVIDERS, FakeCaller())
    assert prepared.turn is TURN
    assert prepared.chain == (ModelRef("home", "big"),)
    assert prepared.trail.attempts == []


async def test_params_and_streaming_are_the_agents(agent):
    settings = agent(params={"temperature": 0.5}, always_stream=True)
    prepared = await prepare(settings, TURN, RunOptions(), PROVIDERS, FakeCaller())
    assert prepared.turn == replace(TURN, sampling=Sampling(temperature=0.5), stream=True)


@pytest.mark.parametrize(
    ("override", "ref"),
    [
        ("other/x", ModelRef("other", "x")),
        ("OTHER/X", ModelRef("other", "X")),
        ("bare", ModelRef("home", "bare")),
        ("fast", ModelRef("other", "tiny")),
        ("FAST", ModelRef("other", "tiny")),
        ("other/a/b", ModelRef("other", "a/b")),
    ],
)
def test_an_override_is_asked_alone(agent, override, ref):
    settings = agent(
        candidates=(ModelRef("home", "big"), ModelRef("home", "small")), aliases={"fast": ModelRef("other", "tiny")}
    )
    assert chain_for(settings, override, PROVIDERS) == (ref,)


def test_without_override_the_chain_is_the_agents(agent):
    chain = (ModelRef("home", "big"), ModelRef("other", "x"))
    assert chain_for(agent(candidates=chain), None, PROVIDERS) == chain


@pytest.mark.parametrize("override", ["///", "home/", "/x", "home//"])
def test_half_an_override_is_refused(agent, override):
    with pytest.raises(BadRequest, match=r"Invalid `x-openclaw-model`\.") as caught:
        chain_for(agent(), override, PROVIDERS)
    assert caught.value.param == "x-openclaw-model"


def test_an_override_with_an_unknown_provider_is_not_found(agent):
    with pytest.raises(NotFound, match="Unknown model: ghost/x"):
        chain_for(agent(), "ghost/x", PROVIDERS)


@pytest.mark.parametrize(
    ("allowed", "override", "let_in"),
    [
        (None, "other/x", True),
        ({"other/x"}, "other/x", True),
        ({"other/*"}, "other/x", True),
        ({"other/y"}, "other/x", False),
        ({"home/*"}, "other/x", False),
        (set(), "other/x", False),
        ({"other/tiny"}, "fast", True),
        ({"home/big"}, "big", True),
        # An unknown provider outside the list is not told from a known one.
        ({"home/big"}, "ghost/x", False),
    ],
)
def test_the_agents_policy_limits_overrides(agent, allowed, override, let_in):
    settings = agent(
        allowed=None if allowed is None else frozenset(allowed), aliases={"fast": ModelRef("other", "tiny")}
    )
    if let_in:
        assert len(chain_for(settings, override, PROVIDERS)) == 1
    else:
        with pytest.raises(BadRequest, match="is not allowed for agent 'main'"):
            chain_for(settings, override, PROVIDERS)
