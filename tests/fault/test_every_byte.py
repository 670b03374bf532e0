"""A stream that breaks, or is split, at every byte: the client always gets one complete answer or an error."""

import asyncio
import logging
import math
from contextlib import aclosing

import pytest
import pytest_asyncio
import structlog

from gateway.agents.agent import Agent
from gateway.agents.prompt import Caps, Prompt
from gateway.core.errors import GatewayError
from gateway.core.message import Message, Text
from gateway.core.names import ModelRef
from gateway.core.turn import Turn
from gateway.runs.context import RunContext
from gateway.runs.cooldowns import CooldownPolicy, Cooldowns
from gateway.runs.retry_policy import RetryPolicy
from gateway.runs.run import Run
from gateway.upstream.client import ProviderClient
from gateway.upstream.http import Limits, create_client
from gateway.upstream.provider import Provider
from gateway.wire.openai_chat.render import Renderer
from tests.fault.acts import CHUNKED, LAST, closes, framed, head, says
from tests.fault.automaton import listen
from tests.fault.canonical import ARGUMENTS, SHORT, TOKENS, USAGE, ending, short, token_frames
from tests.fault.provider import Call

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(120)]

REF = ModelRef("fake", "m")
ASKED = Turn("openclaw", (Message("user", (Text("hi"),)),), stream=True, include_usage=True)
STREAM = short()
CALLS = [("look_up", ARGUMENTS), ("note", "{}")]
SETTLED = 4  # turns of the loop in which what was written has been read, decoded and passed on


async def at_once(_seconds: float) -> None:
    """Skip all pauses."""


@pytest.fixture(scope="module", autouse=True)
def quiet():
    """Silence the log, which would have a line for each of thousands of runs, without cached loggers."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    yield
    structlog.reset_defaults()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def session():
    async with create_client(Limits()) as ready:
        yield ready


@pytest.fixture
def hear(provider, session):
    """The answer of one run; `acts` are those of its model, one per attempt."""

    async def run(*acts, hold_back=0.0):
        provider.model("m", *acts)
        clock = asyncio.get_running_loop().time
        policy = RetryPolicy(clock=clock, sleep=at_once, random=lambda: 0.0)
        provider_client = ProviderClient(session, Limits())
        fake = {"fake": Provider("fake", provider.url, headers={"Content-Type": "application/json"})}
        context = RunContext(
            fake, provider_client, policy, Cooldowns(CooldownPolicy(), clock=clock), hold_back=hold_back
        )
        agent = Agent("main", (REF,), Prompt(None, None, Caps(1, 1), clock))
        renderer = Renderer(id="c", created=1, model="m", include_usage=True)
        frames = b""
        async with aclosing(Run(agent, ASKED, (REF,), context, context.new_trace("main")).events()) as batches:
            try:
                async for batch in batches:
                    frames += renderer.feed(batch)
            except GatewayError as error:
                frames += renderer.fail(error)
            else:
                frames += renderer.close()
        return listen(frames)

    return run


def cut_at(body: bytes, at: int):
    """The stream ends in the middle, as if the server had died; a clean close loses no sent byte."""

    async def act(call: Call) -> None:
        await call.send(head(headers=CHUNKED) + framed(body[:at]))
        await closes(call)

    return act


def split_at(body: bytes, at: int):
    """The stream arrives in two reads."""

    async def act(call: Call) -> None:
        await call.send(head(headers=CHUNKED) + framed(body[:at]))
        for _ in range(SETTLED):
            await asyncio.sleep(0)
        await call.send(framed(body[at:]) + LAST)

    return act


async def test_a_stream_cut_at_any_byte_is_completed_without_lost_or_repeated_characters(provider, hear):
    complete = STREAM.index(b"\n\n", STREAM.index(b'"finish_reason": "tool_calls"')) + 2
    for at in range(len(STREAM)):
        heard = await hear(cut_at(STREAM, at), says(short("other_")))
        assert (heard.error, heard.text, heard.calls_made, heard.finish) == (None, SHORT, CALLS, "tool_calls"), at
        assert len(provider.models["m"].calls) == (2 if at < complete else 1), at
        if at < complete:
            assert heard.usage["total_tokens"] == USAGE["total_tokens"], at


async def test_a_stream_split_at_any_byte_is_the_same_answer(provider, hear):
    for at in range(1, len(STREAM)):
        heard = await hear(split_at(STREAM, at))
        assert (heard.error, heard.text, heard.calls_made, heard.finish) == (None, SHORT, CALLS, "tool_calls"), at
        assert heard.usage["total_tokens"] == USAGE["total_tokens"], at
        assert len(provider.models["m"].calls) == 1


async def test_a_stream_cut_at_any_byte_with_a_different_second_answer_ends_in_one_error_or_was_not_seen(hear):
    other = b"".join([*token_frames((TOKENS[3], "Quite another answer.")), *ending()])
    for at in range(0, len(STREAM), 7):
        heard = await hear(cut_at(STREAM, at), says(other))
        if heard.error is None:
            assert heard.text in (SHORT, TOKENS[3] + "Quite another answer."), at
        else:
            assert heard.error["code"] == "answer_diverged"
            assert SHORT.startswith(heard.text), at


@pytest.mark.parametrize("hold_back", [30.0, math.inf])
async def test_a_held_back_stream_cut_at_any_byte_may_get_a_different_answer(hear, hold_back):
    other = b"".join([*token_frames(("Quite another answer, of more than thirty characters.",)), *ending()])
    for at in range(0, len(STREAM), 7):
        heard = await hear(cut_at(STREAM, at), says(other), hold_back=hold_back)
        if hold_back == math.inf:
            assert heard.error is None, at
        if heard.error is None:
            assert heard.text.startswith("Quite another") or heard.text == SHORT, at
