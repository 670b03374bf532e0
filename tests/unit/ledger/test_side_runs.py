"""Runs with several rounds, and runs that the gateway makes beside a request: each attempt is booked once."""

import pytest

from gateway.agents.tool_limits import ToolLimits
from gateway.conversations.summary import ask_agent
from gateway.core.event import Finish, TextDelta, ToolCallBegin, ToolCallDelta, UsageReport
from gateway.core.message import Message, Text
from gateway.core.names import ModelRef
from gateway.core.turn import Turn
from gateway.core.usage import Usage
from gateway.ledger.booking import rows_of
from gateway.runs.embed import embed
from gateway.runs.run import RunOptions, prepare
from gateway.runs.trace import Origin
from gateway.tools.contract import Tool, ToolOutput
from gateway.tools.registry import Registry, Toolset
from gateway.wire.contract import EmbeddingReply, EmbeddingRequest

TURN = Turn("openclaw", (Message("user", (Text("hi"),)),), stream=True)


class Server:
    name = "s"
    available = True
    tools = (Tool("run", "Runs.", {}),)

    async def call(self, _tool, _arguments, _limit):
        return ToolOutput((Text("done"),))


def report(prompt, completion):
    return UsageReport(Usage(prompt, completion, prompt + completion))


@pytest.fixture
def metered(run_context):
    """A metered context and the runs that have ended in it."""
    ends = []

    def build(provider_client=None):
        return run_context(provider_client, observers=(ends.append,), metered=True)

    return build, ends


def booked(ends, context):
    return [row for finished in ends for row in rows_of(finished, 0.0, context.providers)]


async def test_each_tool_round_is_a_row_with_its_own_tokens(metered, agent, scripted):
    build, ends = metered
    calls = [[ToolCallBegin(0, "c0", "s__run"), ToolCallDelta(0, "{}")], [Finish("tool_calls"), report(10, 1)]]
    context = build(scripted(big=[calls, [[TextDelta("Done")], [Finish("stop"), report(20, 2)]]]))
    able = agent(toolset=Toolset(Registry([Server()]), []), tool_limits=ToolLimits())
    run = await prepare(able, TURN, RunOptions(), context, client="owner", origin=Origin("r", "/v1/responses"))
    assert [batch async for batch in run.events()]
    rows = booked(ends, context)
    assert [(row.attempt, row.prompt, row.completion, row.absorbed) for row in rows] == [
        (1, 10, 1, True),  # the client does not see the agent's own calls
        (2, 20, 2, False),
    ]
    assert {row.request for row in rows} == {"r"}


async def test_a_summary_is_booked_for_the_request_that_needed_it(metered, agent, scripted):
    build, ends = metered
    context = build(scripted(big=[[[TextDelta("Short"), Finish("stop"), report(50, 5)]]]))
    ask = ask_agent(agent(), context, client="user:ann", origin=Origin("r", "summary"))
    assert await ask(TURN.messages) == "Short"
    (row,) = booked(ends, context)
    assert (row.request, row.endpoint, row.caller, row.prompt) == ("r", "summary", "user:ann", 50)


class Embedder:
    def __init__(self, tokens):
        self.tokens = tokens

    async def embed(self, _provider, _model, request, _end, *, fresh=False):
        assert not fresh
        return EmbeddingReply([b"[]"] * len(request.inputs), self.tokens, self.tokens)


@pytest.mark.parametrize(("tokens", "expected"), [(7, (7, "provider")), (0, (2, "estimated"))])
async def test_embeddings_are_booked(metered, agent, tokens, expected):
    build, ends = metered
    context = build()
    able = agent(embedding=ModelRef("home", "vectors"))
    trace = context.new_trace("main", "owner", Origin("r", "/v1/embeddings"))
    await embed(
        able, EmbeddingRequest("openclaw", ("eight by",)), None, {"home": Embedder(tokens)}, context, trace=trace
    )
    (row,) = booked(ends, context)
    assert (row.prompt, row.usage_source) == expected
    assert (row.completion, row.endpoint, row.absorbed) == (0, "/v1/embeddings", False)
