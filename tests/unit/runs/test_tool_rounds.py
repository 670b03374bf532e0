import asyncio

import pytest
from msgspec.structs import replace

from gateway.agents.tool_limits import ToolLimits
from gateway.core.errors import BadRequest, GatewayError, ToolRoundsExhausted
from gateway.core.event import Finish, RefusalDelta, TextDelta, ToolCallBegin, ToolCallDelta, ToolWork, UsageReport
from gateway.core.message import Image, Message, Text, ToolCall
from gateway.core.names import ModelRef
from gateway.core.turn import ToolChoice, ToolSpec, Turn
from gateway.core.upstream_error import UpstreamError, UpstreamKind
from gateway.core.usage import Usage
from gateway.runs.answer_stream import whole_answer
from gateway.runs.run import Run, RunOptions, prepare
from gateway.tools.contract import Tool, ToolOutput
from gateway.tools.registry import Registry, Toolset
from gateway.upstream.provider import Provider
from gateway.wire.model import ModelSpec

TURN = Turn("openclaw", (Message("user", (Text("hi"),)),), stream=True)
CALLS, STOP = Finish("tool_calls"), Finish("stop")
OWN = ToolSpec("own")


class Server:
    """A tool server with one scripted tool."""

    name = "s"
    available = True
    tools = (Tool("run", "Runs.", {}),)

    def __init__(self, output="done"):
        self.output = output
        self.limits = []
        self.started = asyncio.Event()
        self.cancelled = False

    async def call(self, _tool, _arguments, limit):
        self.limits.append(limit)
        self.started.set()
        if self.output is None:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                self.cancelled = True
                raise
        return self.output if isinstance(self.output, ToolOutput) else ToolOutput((Text(self.output),))


def call(index, name="s__run", arguments="{}", call_id=None):
    return [ToolCallBegin(index, call_id or f"c{index}", name), ToolCallDelta(index, arguments)]


def usage(tokens):
    return UsageReport(Usage(tokens, tokens, 2 * tokens, 1, 1))


@pytest.fixture
def started(agent, run_context):
    async def build(provider_client, server, turn=TURN, options=None, limits=None, **settings):
        able = agent(toolset=Toolset(Registry([server]), []), tool_limits=limits or ToolLimits())
        return await prepare(able, turn, options or RunOptions(), run_context(provider_client, **settings))

    return build


async def events_of(run):
    """The text that the client gets."""
    events = [event async for batch in run.events() for event in batch]
    return [event for event in events if not isinstance(event, ToolWork)]


async def work_of(run):
    """The hidden messages of the agent's own calls, and the event after them."""
    events = [event async for batch in run.events() for event in batch]
    (index,) = (index for index, event in enumerate(events) if isinstance(event, ToolWork))
    return events[index].messages, events[index + 1]


async def test_the_client_gets_one_answer_of_all_rounds(started, scripted):
    first = [[TextDelta("Let me see.")], [*call(0), CALLS], [usage(10)]]
    second = [[TextDelta("Done")], [TextDelta(".")], [STOP, usage(5)]]
    provider_client = scripted(big=[first, second])
    run = await started(provider_client, Server())
    assert await events_of(run) == [
        TextDelta("Let me see."),
        UsageReport(Usage(10, 10, 20, 1, 1)),
        TextDelta("\n\n"),
        TextDelta("Done"),
        TextDelta("."),
        STOP,
        UsageReport(Usage(15, 15, 30, 2, 2)),
    ]
    assert [use.as_dict()["outcome"] for use in run.trace.tools] == ["answered"]
    assert (run.trace.outcome, len(run.trace.attempts)) == ("answered", 2)


@pytest.mark.parametrize("stream", [True, False])
async def test_an_answer_is_the_same_streamed_or_whole(started, scripted, stream):
    provider_client = scripted(big=[[[TextDelta("A"), *call(0), CALLS, usage(1)]], [[TextDelta("B"), STOP, usage(1)]]])
    reply = await whole_answer(await started(provider_client, Server(), replace(TURN, stream=stream)))
    assert (reply.text, reply.finish, reply.tool_calls, reply.usage.total) == ("A\n\nB", "stop", (), 4)


async def test_calls_of_the_callers_tools_are_counted_from_zero_and_end_the_turn(started, scripted):
    server = Server()
    answer = [[*call(0), *call(1, "own", '{"a":1}'), *call(2), CALLS]]
    run = await started(scripted(big=[answer]), server, replace(TURN, tools=(OWN,)))
    assert await events_of(run) == [ToolCallBegin(0, "c1", "own"), ToolCallDelta(0, '{"a":1}'), CALLS]
    assert server.limits == []
    assert [use.outcome for use in run.trace.tools] == ["left_out", "left_out"]


async def test_tool_calls_and_results_are_reported_for_the_stored_conversation(started, scripted):
    output = ToolOutput((Text("x" * 5000), Image("data:image/png;base64,AA")))
    provider_client = scripted(big=[[[TextDelta("A"), *call(0), CALLS]], [[*call(1), CALLS]], [[TextDelta("B"), STOP]]])
    messages, after = await work_of(await started(provider_client, Server(output)))
    assert after == STOP
    assert [(message.role, message.hidden) for message in messages] == [("assistant", True), ("tool", True)] * 2
    assert messages[0].parts == (ToolCall("c0", "s__run", "{}"),)
    stored = messages[1].parts[0].content[0].text
    assert len(stored) < 4100
    assert stored.endswith("[the rest was not stored]")


async def test_omitted_calls_are_not_stored(started, scripted):
    answer = [[*call(0), *call(1, "own"), CALLS]]
    run = await started(scripted(big=[[[*call(2), CALLS]], answer]), Server(), replace(TURN, tools=(OWN,)))
    messages, _ = await work_of(run)
    assert [part.id for message in messages for part in message.parts if isinstance(part, ToolCall)] == ["c2"]


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("ending", ["failure", "no answer", "no call"])
async def test_a_run_that_fails_in_a_later_round_reports_the_usage_of_all_rounds(started, scripted, ending, stream):
    ends = {
        "failure": [UpstreamError(UpstreamKind.INVALID_REQUEST, "too long")],
        "no answer": [[*call(0), CALLS, usage(3)]],
        "no call": [[TextDelta("no"), STOP, usage(3)]],
    }
    turn = replace(TURN, stream=stream, tools=(OWN,))
    if ending == "no call":
        turn = replace(turn, tool_choice=ToolChoice("required"))
    provider_client = scripted(big=[[[*call(0), CALLS, usage(10)]], ends[ending]])
    run = await started(provider_client, Server(), turn, limits=ToolLimits(rounds=1))
    with pytest.raises(GatewayError) as failed:
        await whole_answer(run)
    assert failed.value.usage.total == (20 if ending == "failure" else 26)


@pytest.mark.parametrize("reason", ["length", "content_filter"])
async def test_calls_of_a_truncated_answer_are_not_run(started, scripted, reason):
    server = Server()
    run = await started(scripted(big=[[[*call(0, arguments='{"a'), Finish(reason)]]]), server)
    assert await events_of(run) == [Finish(reason)]
    assert server.limits == []


async def test_a_finish_reason_stop_after_calls_still_runs_them(started, scripted):
    run = await started(scripted(big=[[[*call(0), STOP]], [[RefusalDelta("no"), STOP]]]), Server())
    assert await events_of(run) == [RefusalDelta("no"), STOP]


async def test_a_broken_round_continues_where_it_broke(started, scripted):
    failure = UpstreamError(UpstreamKind.TRANSPORT, "gone")
    answers = [[[*call(0), CALLS]], [[TextDelta("Do")], failure], [[TextDelta("Done"), STOP]]]
    run = await started(scripted(big=answers), Server())
    assert await events_of(run) == [TextDelta("Do"), TextDelta("ne"), STOP]
    assert [attempt.outcome for attempt in run.trace.attempts] == ["answered", "transport", "answered"]


async def test_a_failure_in_a_later_round_ends_the_run(started, scripted):
    failure = UpstreamError(UpstreamKind.INVALID_REQUEST, "too many tools", upstream_status=400)
    run = await started(scripted(big=[[[TextDelta("A"), *call(0), CALLS]], [failure]]), Server())
    with pytest.raises(UpstreamError, match="too many tools"):
        await events_of(run)
    assert run.trace.outcome == "invalid_request"


async def test_the_last_round_has_no_tools_of_the_agent(started, scripted):
    provider_client = scripted(big=[[[*call(0), CALLS]]])
    run = await started(provider_client, Server(), replace(TURN, tools=(OWN,)), limits=ToolLimits(rounds=2))
    with pytest.raises(ToolRoundsExhausted):
        await events_of(run)
    assert [[tool.name for tool in turn.tools] for turn in provider_client.turns] == [["own", "s__run"]] * 2 + [["own"]]
    assert run.trace.outcome == "api_error"


async def test_tools_run_within_their_time_limit_only(started, scripted, time):
    server = Server()
    provider_client = scripted(big=[[[*call(0), CALLS]], [[TextDelta("x"), STOP]]])
    run = await started(provider_client, server, limits=ToolLimits(seconds=30))
    async for _ in run.events():
        time.now += 40
    assert server.limits == [30]
    late = scripted(big=[[[TextDelta("a")], [*call(0), CALLS]], [[TextDelta("x"), STOP]]])
    run = await started(late, server, limits=ToolLimits(seconds=30))
    async for _ in run.events():
        time.now += 40
    assert server.limits == [30]
    assert [len(turn.tools) for turn in late.turns] == [1, 0]
    assert "time" in late.turns[1].messages[-1].parts[0].content[0].text
    assert [use.outcome for use in run.trace.tools] == ["timeout"]


async def test_cancelling_a_run_cancels_its_calls_and_sends_no_further_request(started, scripted):
    server = Server(None)
    provider_client = scripted(big=[[[*call(0), *call(1), CALLS]]])
    run = await started(provider_client, server)
    task = asyncio.create_task(events_of(run))
    await server.started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert server.cancelled
    assert len(provider_client.asked) == 1
    assert {use.outcome for use in run.trace.tools} == {"cancelled"}
    assert run.trace.outcome == "cancelled"


async def test_pictures_follow_the_results_unless_the_model_reads_none(started, scripted):
    output = ToolOutput((Text("look"), Image("data:image/png;base64,AA")))
    for reads in (True, False):
        home = Provider("home", "http://home/v1", models={"big": ModelSpec("big", images=reads)})
        provider_client = scripted(big=[[[*call(0), CALLS]], [[STOP]]])
        await events_of(await started(provider_client, Server(output), providers={"home": home}))
        messages = provider_client.turns[1].messages[2:]
        assert [message.role for message in messages] == (["tool", "user"] if reads else ["tool"])
        assert provider_client.turns[1].has_images() is reads
        assert ("left out" in messages[0].parts[0].content[0].text) is not reads


@pytest.mark.parametrize(("characters", "shown"), [(10, [4, 8]), (10_000_000, [2, 2])])
async def test_the_images_of_a_run_are_limited(started, scripted, characters, shown):
    output = ToolOutput((Image("data:image/png;base64," + "A" * characters),) * 4)
    calling = [[[*call(0), CALLS]]]
    provider_client = scripted(big=[*calling, *calling, *calling, [[STOP]]])
    await events_of(await started(provider_client, Server(output)))
    pictures = [
        sum(isinstance(part, Image) for message in turn.messages for part in message.parts)
        for turn in provider_client.turns
    ]
    assert pictures == [0, *shown, shown[-1]]
    assert "enough for one run" in provider_client.turns[-1].messages[-1].parts[0].content[0].text


async def test_calls_above_the_limit_of_one_answer_are_not_run(started, scripted):
    server = Server()
    calls = [event for number in range(130) for event in call(number)]
    run = await started(scripted(big=[[[*calls, CALLS]], [[TextDelta("x"), STOP]]]), server)
    assert await events_of(run) == [TextDelta("x"), STOP]
    assert len(server.limits) == 128
    assert [use.outcome for use in run.trace.tools].count("left_out") == 2


@pytest.mark.parametrize(
    "turn",
    [
        replace(TURN, tool_choice=ToolChoice("none")),
        replace(TURN, tools=(OWN,), tool_choice=ToolChoice("pinned", "own")),
    ],
)
async def test_a_caller_who_chose_the_call_gets_no_tools_of_the_agent(started, scripted, turn):
    assert (await started(scripted(big=[[[STOP]]]), Server(), turn)).offer is None


async def test_a_model_without_tools_is_asked_without_them(started, scripted):
    home = Provider("home", "http://home/v1", models={"big": ModelSpec("big", tools=False)})
    run = await started(scripted(big=[[[TextDelta("x"), STOP]]]), Server(), providers={"home": home})
    assert await events_of(run) == [TextDelta("x"), STOP]


async def test_a_summary_is_made_without_tools(started, scripted):
    assert (await started(scripted(), Server(), options=RunOptions(tools=False))).offer is None


async def test_a_callers_tool_may_not_have_the_name_of_an_agents(started, scripted):
    with pytest.raises(BadRequest, match="s__run") as refused:
        await started(scripted(), Server(), replace(TURN, tools=(OWN, ToolSpec("s__run"))))
    assert refused.value.param == "tools[1]"


async def test_an_agent_without_tools_is_one_round(agent, run_context, scripted):
    shared = run_context(scripted(big=[[[TextDelta("x"), STOP]]]))
    run = await prepare(agent(), TURN, RunOptions(), shared)
    assert run == Run(run.agent, TURN, (ModelRef("home", "big"),), shared, run.trace)
    assert await events_of(run) == [TextDelta("x"), STOP]
