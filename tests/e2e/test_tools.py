"""Tools that an agent runs itself: a real tool server over stdio and HTTP, called by models through a real gateway."""

import asyncio
import json
import os
import signal
import sys
from pathlib import Path

import openai
import pytest
import pytest_asyncio

from tests.e2e.answers import USAGE, in_turn, says
from tests.e2e.conftest import TOKEN
from tests.e2e.process import serving
from tests.process import alive, free_port, running

pytestmark = pytest.mark.asyncio(loop_scope="module")

SERVER = Path(__file__).parents[1] / "tool_server.py"
OWN = {"type": "function", "function": {"name": "ask_user", "parameters": {"type": "object", "properties": {}}}}
CALLING = {"finish": "tool_calls"}


async def until(condition, within=20.0):
    """Wait for a condition that another process fulfils."""
    async with asyncio.timeout(within):
        while not (seen := condition()):
            await asyncio.sleep(0.01)
    return seen


def http_server(notes, transport, port):
    return running([sys.executable, str(SERVER), str(notes), transport, str(port)])


@pytest.fixture(scope="module")
def notes(tmp_path_factory):
    return {name: tmp_path_factory.mktemp(name) for name in ("local", "far", "old")}


@pytest.fixture(scope="module")
def ports():
    return {"far": free_port(), "old": free_port()}


@pytest.fixture(scope="module")
def config(config, notes, ports):
    config["mcp"] = {
        "servers": {
            "local": {
                "command": sys.executable,
                "args": [str(SERVER), str(notes["local"])],
                "env": {"GIVEN": "by the configuration"},
                "requestTimeoutMs": 3000,
                "toolFilter": {"exclude": ["numbers"]},
            },
            "far": {"url": f"http://127.0.0.1:{ports['far']}/mcp", "requestTimeoutMs": 3000},
            "old": {"url": f"http://127.0.0.1:{ports['old']}/sse", "transport": "sse"},
        }
    }
    config["tools"] = {"maxRounds": 3, "maxResultChars": 1000, "deny": ["far__grow", "*__fail"]}
    config["agents"]["entries"]["other"] = {"tools": {"allow": ["local__weather"]}}
    config["agents"]["entries"]["without"] = {"tools": {"profile": "minimal"}}
    return config


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def gateway(config, notes, ports, tmp_path_factory):
    async with (
        http_server(notes["far"], "streamable-http", ports["far"]) as far,
        http_server(notes["old"], "sse", ports["old"]) as old,
    ):
        await far.wait_for_output("Uvicorn running")
        await old.wait_for_output("Uvicorn running")
        async with serving(tmp_path_factory.mktemp("state"), config) as ready:
            yield ready


@pytest.fixture
def ask(official, provider):
    """A request by either API, whole or streamed → the text of the answer, and the messages of each model request."""

    async def build(model, api="chat", *, stream=False, agent="openclaw", **more):
        client = official.with_options(default_headers=model.chosen)
        if api == "chat":
            messages = [{"role": "user", "content": "hi"}]
            if not stream:
                answer = await client.chat.completions.create(model=agent, messages=messages, **more)
                return answer.choices[0].message.content, answer.usage.total_tokens
            options = {"stream": True, "stream_options": {"include_usage": True}}
            chunks = await client.chat.completions.create(model=agent, messages=messages, **options, **more)
            got = [chunk async for chunk in chunks]
            text = "".join(chunk.choices[0].delta.content or "" for chunk in got if chunk.choices)
            assert not any(chunk.choices[0].delta.tool_calls for chunk in got if chunk.choices)
            assert [chunk.choices[0].finish_reason for chunk in got if chunk.choices][-1] == "stop"
            return text, got[-1].usage.total_tokens
        if not stream:
            response = await client.responses.create(model=agent, input="hi", **more)
        else:
            async with client.responses.stream(model=agent, input="hi", **more) as events:
                async for _ in events:
                    pass
                response = await events.get_final_response()
        assert [item.type for item in response.output] == ["message"]
        return response.output_text, response.usage.total_tokens

    return build


def results(model, request=1):
    """The tool results that the model got."""
    return [message["content"] for message in model.asked[request].body["messages"] if message["role"] == "tool"]


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("api", ["chat", "responses"])
@pytest.mark.parametrize("server", ["local", "far", "old"])
async def test_a_model_reads_what_its_tool_gave_and_the_caller_sees_one_answer(ask, provider, server, api, stream):
    call = ("c1", f"{server}__weather", '{"city": "Oslo"}')
    model = provider.model(in_turn(says("Let me| see.", call, **CALLING), says("Cold, |5C.")))
    text, tokens = await ask(model, api, stream=stream)
    assert text == "Let me see.\n\nCold, 5C."
    assert tokens == 2 * USAGE["total_tokens"]
    first, second = (asked.body for asked in model.asked)
    assert f"{server}__weather" in [tool["function"]["name"] for tool in first["tools"]]
    function = {"name": f"{server}__weather", "arguments": '{"city": "Oslo"}'}
    assert second["messages"][-2:] == [
        {
            "role": "assistant",
            "content": "Let me see.",
            "tool_calls": [{"id": "c1", "type": "function", "function": function}],
        },
        {"role": "tool", "tool_call_id": "c1", "content": "Oslo: 5C"},
    ]


@pytest.mark.parametrize("api", ["chat", "responses"])
async def test_text_before_a_call_that_comes_with_it_is_streamed_before_the_answer(ask, provider, api):
    call = ("c1", "local__weather", '{"city": "Oslo"}')
    model = provider.model(in_turn(says("Let me see.", call, **CALLING), says("Cold, |5C.")))
    assert (await ask(model, api, stream=True))[0] == "Let me see.\n\nCold, 5C."


async def test_calls_of_one_answer_run_at_the_same_time(ask, provider):
    calls = [(f"c{name}", "local__meet", json.dumps({"name": name, "others": 3})) for name in "abc"]
    model = provider.model(in_turn(says(None, *calls, **CALLING), says("Done.")))
    assert (await ask(model))[0] == "Done."
    assert results(model) == ["met a", "met b", "met c"]


async def test_a_call_of_the_callers_own_tool_ends_the_turn(official, gateway, client, provider):
    calls = [("c1", "local__weather", '{"city": "Oslo"}'), ("c2", "ask_user", '{"what": 1}')]
    model = provider.model(says("Which?", *calls, **CALLING))
    client_of = official.with_options(default_headers=model.chosen)
    for stream in (False, True):
        raw = await client_of.chat.completions.with_raw_response.create(
            model="openclaw", messages=[{"role": "user", "content": "hi"}], tools=[OWN], stream=stream
        )
        if stream:
            deltas = [chunk.choices[0].delta async for chunk in raw.parse() if chunk.choices]
            shown = [call for delta in deltas for call in delta.tool_calls or () if call.id]
            assert shown[0].index == 0
        else:
            shown = raw.parse().choices[0].message.tool_calls
            assert raw.parse().choices[0].finish_reason == "tool_calls"
        assert [(call.id, call.function.name) for call in shown] == [("c2", "ask_user")]
    assert len(model.asked) == 2
    async with client.get(f"/api/v1/runs/{raw.headers['x-request-id']}") as response:
        uses = (await response.json())["tools"]
    assert [(use["tool"], use["outcome"]) for use in uses] == [("local__weather", "left_out")]


async def test_a_demanded_call_is_one_of_the_callers_tools(official, provider):
    mixed = says("Wait.", ("c1", "local__weather", '{"city": "Oslo"}'), **CALLING)
    model = provider.model(in_turn(mixed, says(None, ("c2", "ask_user", "{}"), **CALLING)))
    client = official.with_options(default_headers=model.chosen)
    asked = {"model": "openclaw", "messages": [{"role": "user", "content": "hi"}], "tools": [OWN]}
    answer = await client.chat.completions.create(**asked, tool_choice="required")
    assert answer.choices[0].message.tool_calls[0].function.name == "ask_user"
    assert results(model) == ["Oslo: 5C"]
    unwilling = provider.model(in_turn(mixed, says("I will not.")))
    with pytest.raises(openai.InternalServerError, match="tool_choice=required was not satisfied"):
        await official.with_options(default_headers=unwilling.chosen).chat.completions.create(
            **asked, tool_choice="required"
        )


async def test_a_tool_of_the_callers_with_the_name_of_an_agents_is_refused(official, provider):
    model = provider.model(says("never asked"))
    tool = {"type": "function", "function": {"name": "local__weather"}}
    with pytest.raises(
        openai.BadRequestError, match="'local__weather' is a tool that the agent runs itself"
    ) as refused:
        await official.with_options(default_headers=model.chosen).chat.completions.create(
            model="openclaw", messages=[{"role": "user", "content": "hi"}], tools=[OWN, tool]
        )
    assert refused.value.param == "tools[1]"
    assert not model.asked


async def test_agents_are_offered_what_the_configuration_allows(ask, provider):
    def offered(model):
        return [tool["function"]["name"] for tool in model.body.get("tools", ())]

    everything, one, nothing, unwanted = (provider.model(says("ok")) for _ in range(4))
    await ask(everything)
    assert {"local__grow", "far__numbers", "old__grow"} < set(offered(everything))
    assert not {"local__numbers", "far__grow", "local__fail", "far__fail"} & set(offered(everything))
    await ask(one, agent="openclaw/other")
    assert offered(one) == ["local__weather"]
    await ask(nothing, agent="openclaw/without")
    assert "tools" not in nothing.body
    await ask(unwanted, tools=[OWN], tool_choice="none")
    assert unwanted.body["tool_choice"] == "none"


@pytest.mark.parametrize(
    ("name", "arguments", "expected"),
    [
        (
            "local__long",
            '{"characters": 1200}',
            "[cut here: the result has 1200 characters, the limit is 1000]",
        ),
        ("local__weather", "{}", "Tool error:"),
        ("local__weather", '["Oslo"]', "Tool error: the arguments are not a JSON object."),
        ("local__weather", '{"city": ', "Tool error: the arguments are not a JSON object."),
        ("local__fail", '{"secret": "x"}', "Tool error: there is no tool called 'local__fail'."),
        ("far__numbers", "{}", '"one": 1'),
        ("local__environment", '{"name": "GIVEN"}', "by the configuration"),
        ("local__environment", '{"name": "OPENCLAW_STATE_DIR"}', "(not set)"),
    ],
)
async def test_the_model_gets_the_result_of_its_call(ask, provider, name, arguments, expected):
    model = provider.model(in_turn(says(None, ("c1", name, arguments), **CALLING), says("ok")))
    await ask(model)
    assert expected in results(model)[0]


async def test_pictures_are_shown_to_the_model(ask, provider):
    model = provider.model(in_turn(says(None, ("c1", "local__picture", "{}"), **CALLING), says("A pixel.")))
    await ask(model)
    result, shown = model.asked[1].body["messages"][-2:]
    assert result["content"] == "one pixel\n[1 image(s): see below]"
    assert shown["role"] == "user"
    assert shown["content"][1]["image_url"]["url"].startswith("data:image/png;base64,")


async def test_a_model_that_keeps_calling_tools_must_answer_in_the_last_round(ask, official, provider):
    call = says("Again.", ("c1", "local__weather", '{"city": "Oslo"}'), **CALLING)
    model = provider.model(in_turn(call, call, call, says("Enough.")))
    text, tokens = await ask(model)
    assert text == "Again.\n\nAgain.\n\nAgain.\n\nEnough."
    assert tokens == 4 * USAGE["total_tokens"]
    assert ["tools" in asked.body for asked in model.asked] == [True, True, True, False]
    stubborn = provider.model(call)
    with pytest.raises(openai.InternalServerError, match="went on calling tools") as failure:
        await ask(stubborn)
    assert failure.value.code == "tool_rounds_exhausted"
    assert len(stubborn.asked) == 4


async def hangs_at(notes):
    """The process in which a call hangs."""
    return int(await until(lambda: (notes / "hanging").exists() and (notes / "hanging").read_text()))


@pytest.mark.parametrize("server", ["local", "far", "old"])
async def test_a_disconnect_cancels_the_tool_call(ask, provider, notes, server):
    for name in ("hanging", "cancelled"):
        (notes[server] / name).unlink(missing_ok=True)
    model = provider.model(says(None, ("c1", f"{server}__hang", "{}"), **CALLING))
    asking = asyncio.create_task(ask(model, stream=True))
    await hangs_at(notes[server])
    asking.cancel()
    await until((notes[server] / "cancelled").exists, within=2.5)  # less than the limit of the call
    assert len(model.asked) == 1


@pytest.mark.parametrize("server", ["local", "far"])
async def test_a_hanging_tool_call_ends_at_its_time_limit(ask, provider, server):
    began = asyncio.get_running_loop().time()
    model = provider.model(in_turn(says(None, ("c1", f"{server}__hang", "{}"), **CALLING), says("No luck.")))
    assert (await ask(model, stream=True))[0] == "No luck."
    assert results(model) == ["Tool error: no answer within 3 seconds."]
    assert 3 <= asyncio.get_running_loop().time() - began < 6


async def test_a_server_killed_in_a_call_is_an_error_at_once_and_is_started_again(ask, client, provider, notes):
    async def degraded():
        async with client.get("/readyz") as response:
            return response.status, (await response.json())["degraded"]

    async def becomes(state):
        async with asyncio.timeout(20):
            while await degraded() != (200, state):
                await asyncio.sleep(0.01)

    await becomes([])
    (notes["local"] / "hanging").unlink(missing_ok=True)
    calls = [("c1", "local__hang", "{}"), ("c2", "far__weather", '{"city": "Oslo"}')]
    model = provider.model(in_turn(says(None, *calls, **CALLING), says("It broke.")))
    asking = asyncio.create_task(ask(model, stream=True))
    process = await hangs_at(notes["local"])
    began = asyncio.get_running_loop().time()
    os.kill(process, signal.SIGKILL)
    assert (await asking)[0] == "It broke."
    assert asyncio.get_running_loop().time() - began < 2.5
    assert results(model) == [
        "Tool error: the connection to the tool server 'local' broke during the call.",
        "Oslo: 5C",
    ]
    assert await degraded() == (200, ["mcp"])
    gone = provider.model(
        in_turn(says(None, ("c1", "local__weather", '{"city": "Oslo"}'), **CALLING), says("Not there."))
    )
    await ask(gone)
    assert results(gone) == ["Tool error: the tool server 'local' is not available at the moment."]
    await becomes([])
    back = provider.model(in_turn(says(None, ("c1", "local__weather", '{"city": "Rome"}'), **CALLING), says("Back.")))
    await ask(back)
    assert results(back) == ["Rome: 5C"]


@pytest.mark.parametrize("environment", [{}, {"LINGERS": "yes"}], ids=["ends with its input", "lingers"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL], ids=["stopped", "killed"])
async def test_servers_that_were_started_end_with_the_gateway(config, tmp_path, number, environment):
    server = {"command": sys.executable, "args": [str(SERVER), str(tmp_path)], "env": environment}
    async with serving(tmp_path, config | {"mcp": {"servers": {"mine": server}}}) as gateway:
        (started,) = tmp_path.glob("started-*")
        process = int(started.name.removeprefix("started-"))
        assert alive(process)
        gateway.process.signal(number)
        assert await gateway.process.ended() == (0 if number == signal.SIGTERM else -number)
        await until(lambda: not alive(process), within=5)


async def test_a_far_server_killed_in_a_call_is_an_error_at_once_and_is_called_again(config, provider, tmp_path):
    port = free_port()
    far = {"url": f"http://127.0.0.1:{port}/mcp"}
    weather = says(None, ("c1", "far__weather", '{"city": "Rome"}'), **CALLING)
    broken, back = (
        provider.model(in_turn(says(None, ("c1", "far__hang", "{}"), **CALLING), says("It broke."))),
        provider.model(in_turn(weather, says("Back."))),
    )
    async with http_server(tmp_path, "streamable-http", port) as server:
        await server.wait_for_output("Uvicorn running")
        http = openai.DefaultAsyncHttpxClient(trust_env=False)
        async with (
            serving(tmp_path, config | {"mcp": {"servers": {"far": far}}}) as gateway,
            openai.AsyncOpenAI(base_url=f"{gateway.url}/v1", api_key=TOKEN, max_retries=0, http_client=http) as client,
        ):

            async def ask(model):
                answer = await client.with_options(default_headers=model.chosen).chat.completions.create(
                    model="openclaw", messages=[{"role": "user", "content": "hi"}]
                )
                return answer.choices[0].message.content

            asking = asyncio.create_task(ask(broken))
            await hangs_at(tmp_path)
            began = asyncio.get_running_loop().time()
            server.signal(signal.SIGKILL)
            assert await asking == "It broke."
            assert asyncio.get_running_loop().time() - began < 2.5
            assert results(broken) == ["Tool error: the connection to the tool server 'far' broke during the call."]
            await server.ended()
            async with http_server(tmp_path, "streamable-http", port) as again:
                await again.wait_for_output("Uvicorn running")
                await gateway.process.wait_for_output("Connection to tool server lost")
                async with asyncio.timeout(20):
                    while gateway.process.errors.count("Tool server connected") < 2:
                        await asyncio.sleep(0.01)
                assert await ask(back) == "Back."
                assert results(back) == ["Rome: 5C"]
