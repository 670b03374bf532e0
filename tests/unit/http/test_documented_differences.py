"""Sentences of `docs/compatibility.md` about requests of every client's format, through the whole application."""

import asyncio
import json

import aiohttp
import pytest
from openai.types.responses import Response as SdkResponse
from yarl import URL

from tests.unit.wire.clients import CLIENTS, Question

CHAT, RESPONSES, MESSAGES = "/v1/chat/completions", "/v1/responses", "/v1/messages"
HI = [{"role": "user", "content": "hi"}]
BODIES = {
    CHAT: {"model": "openclaw", "messages": HI},
    RESPONSES: {"model": "openclaw", "input": "hi", "store": False},
    MESSAGES: {"model": "openclaw", "max_tokens": 9, "messages": HI},
}
# Optional fields of each format.
OPTIONAL = {
    CHAT: (
        "model",
        "tools",
        "tool_choice",
        "user",
        "metadata",
        "logprobs",
        "reasoning_effort",
        "store",
        "service_tier",
    ),
    RESPONSES: ("tools", "tool_choice", "user", "metadata", "instructions", "reasoning", "text", "include"),
    MESSAGES: ("tools", "tool_choice", "system", "metadata", "thinking", "output_config", "stop_sequences", "top_k"),
}
each_path = pytest.mark.parametrize("path", BODIES)


async def answer_to(client, path, body):
    async with client.post(path, data=body, headers={"Content-Type": "application/json"}) as response:
        return response.status, await response.json()


def code_of(answer):
    """The code of an error in either form."""
    error = answer["error"]
    return error.get("code") or error.get("details", {}).get("error_code")


@each_path
async def test_a_number_that_no_value_stands_for_is_refused_as_invalid_json(client, provider, path):
    for added in ('"temperature":1e999', '"temperature":-1e999', '"zz":1e999', '"metadata":{"a":[-1e999]}'):
        status, answer = await answer_to(client, path, f"{json.dumps(BODIES[path])[:-1]},{added}}}")
        assert (status, code_of(answer), provider.asked) == (400, "invalid_json", [])


@each_path
async def test_json_may_be_some_hundred_levels_deep_but_not_thousands(client, provider, path):
    def nested(levels):
        parameters = '{"properties":{"a":' * levels + "{}" + "}}" * levels
        name = "input_schema" if path == MESSAGES else "parameters"
        tool = f'"name":"look","{name}":{{"type":"object","properties":{{"a":{parameters}}}}}'
        tool = f'"type":"function","function":{{{tool}}}' if path == CHAT else tool
        tool = f'"type":"function",{tool}' if path == RESPONSES else tool
        return json.dumps(BODIES[path])[:-1] + f',"tools":[{{{tool}}}]}}'

    provider.says("ok")
    assert (await answer_to(client, path, nested(100)))[0] == 200
    status, _ = await answer_to(client, path, nested(1000))
    assert (status, len(provider.asked)) == (400, 1)


async def test_another_number_of_answers_than_one_is_refused(client, provider):
    for number in (2, 1.5):
        status, answer = await answer_to(client, CHAT, json.dumps({**BODIES[CHAT], "n": number}))
        assert (status, answer["error"]["param"], provider.asked) == (400, "n", [])


@each_path
async def test_null_at_the_top_equals_an_absent_field(client, provider, path):
    provider.says("ok")
    plain = {name: value for name, value in BODIES[path].items() if name not in OPTIONAL[path]}
    for body in (plain, {**plain, **dict.fromkeys(OPTIONAL[path])}):
        status, answer = await answer_to(client, path, json.dumps(body))
        assert status == 200, answer
    first, second = provider.asked
    assert first == second


async def test_null_inside_a_tool_equals_an_absent_field(client, provider):
    provider.says("ok")
    function = {"name": "look", "parameters": {"type": "object"}}
    for tool in ({"function": function}, {"type": None, "function": {**function, "description": None, "strict": None}}):
        status, answer = await answer_to(client, CHAT, json.dumps({**BODIES[CHAT], "tools": [tool]}))
        assert status == 200, answer
    first, second = provider.asked
    assert first == second


async def test_another_spelling_of_a_path_is_not_found(client):
    for path in ("/v1/x/../models", "/v1/./models", "/v1//models", "/v1/%6dodels"):
        url = URL(f"{client.make_url('/')}"[:-1] + path, encoded=True)
        async with client.session.get(url) as response:
            assert (response.status, url.raw_path) == (404, path)


@each_path
async def test_every_endpoint_accepts_the_names_that_clients_of_claude_accept(client, provider, path):
    provider.says("ok")
    for model in ("claude-openclaw", "claude-openclaw-main"):
        status, answer = await answer_to(client, path, json.dumps({**BODIES[path], "model": model}))
        assert status == 200, answer
    assert [asked["model"] for asked in provider.asked] == ["small", "small"]


@each_path
async def test_a_message_of_an_unknown_role_is_a_400_with_its_path(client, provider, path):
    field = "input" if path == RESPONSES else "messages"
    body = {**BODIES[path], field: [*HI, {"role": "narrator", "content": "Meanwhile …"}]}
    status, answer = await answer_to(client, path, json.dumps(body))
    assert (status, provider.asked) == (400, [])
    assert f"{field}[1]" in answer["error"]["message"]


@each_path
async def test_a_part_that_cannot_be_read_is_a_400_with_its_path(client, provider, path):
    field = "input" if path == RESPONSES else "messages"
    for part in (7, {}, {"type": 7}, {"type": ["text"]}):
        body = {**BODIES[path], field: [{"role": "user", "content": [part]}]}
        status, answer = await answer_to(client, path, json.dumps(body))
        assert (status, provider.asked) == (400, [])
        assert f"{field}[0].content" in answer["error"]["message"]


each_client = pytest.mark.parametrize("asking", CLIENTS, ids=lambda one: one.path)
TOOLS = [["look", "Look at it.", {"type": "object", "properties": {"at": {"type": "string"}}, "required": ["at"]}]]


@each_client
@pytest.mark.parametrize("stream", [False, True])
async def test_an_empty_answer_and_no_reply_are_passed_on_after_one_request(client, provider, asking, stream):
    body = asking.body(Question([["user", ["text", "hi"]]]), stream=stream)
    for number, text in enumerate(("", "NO_REPLY"), 1):
        provider.says(text)
        async with client.post(asking.path, json=body) as response:
            answer = await response.read()
        seen = asking.stream(answer) if stream else asking.whole(answer)
        assert (seen.text, seen.finish, seen.error, len(provider.asked)) == (text, "stop", None, number)


@each_client
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    "call",
    [("touch", '{"at":"a"}'), ("look", '{"on":7}'), ("look", '{"at": ')],
    ids=["not on offer", "against the schema", "no JSON"],
)
async def test_a_call_is_passed_on_whatever_it_calls_and_with_which_arguments(client, provider, asking, stream, call):
    name, arguments = call
    provider.says(None, ("call_1", name, arguments), finish="tool_calls")
    body = asking.body(Question([["user", ["text", "hi"]]], TOOLS), stream=stream)
    async with client.post(asking.path, json=body) as response:
        answer = await response.read()
    assert (response.status, len(provider.asked)) == (200, 1)
    if asking.path == MESSAGES and stream:  # the test's own reader wants JSON
        events = [json.loads(line[6:]) for line in answer.decode().splitlines() if line.startswith("data: ")]
        pieces = [one["delta"]["partial_json"] for one in events if one.get("delta", {}).get("partial_json")]
        assert ("".join(pieces), events[-1]["type"]) == (arguments, "message_stop")
        return
    seen = asking.stream(answer) if stream else asking.whole(answer)
    wrapped = json.dumps({"input": arguments}, separators=(",", ":"))  # the input of a whole message is an object
    is_wrapped = asking.path == MESSAGES and arguments.endswith(" ")
    assert seen.calls == (("call_1", name, wrapped if is_wrapped else arguments),)
    assert seen.finish == "tool_calls"


@each_client
@pytest.mark.parametrize("stream", [False, True])
async def test_an_image_for_a_model_that_reads_none_is_a_400(client, provider, asking, stream):
    image = ["image", "data:image/png;base64,iVBORw0KGgo="]
    body = asking.body(Question([["user", ["text", "what?"], image], ["user", ["text", "and?"]]]), stream=stream)
    async with client.post(asking.path, json=body, headers={"x-openclaw-model": "fake/blind"}) as response:
        assert (response.status, code_of(await response.json())) == (400, "images_unsupported")
    assert provider.asked == []


class Clock:
    """The time of the event loop, which a test can move on."""

    def __init__(self, loop):
        self._time, self._moved = loop.time, 0.0
        loop.time = lambda: self._time() + self._moved

    async def advance(self, seconds):
        """Move on, and let everything run that is due."""
        self._moved += seconds
        for _ in range(20):
            await asyncio.sleep(0)


@pytest.fixture
async def clock():
    loop = asyncio.get_running_loop()
    yield Clock(loop)
    del loop.time


PATIENT = aiohttp.ClientTimeout(total=None)


@each_path
async def test_a_silent_stream_opens_after_10_s_and_has_a_heartbeat_every_15_s(client, provider, clock, path):
    asked, _ = provider.hangs()
    answer = asyncio.create_task(client.post(path, json={**BODIES[path], "stream": True}, timeout=PATIENT))
    await asked.wait()
    await clock.advance(9.5)
    assert not answer.done()
    await clock.advance(0.6)
    response = await answer
    opening, ping = (b"event: ping", b"event: ping") if path == MESSAGES else (b": waiting for the model", b": ping")
    assert (response.status, (await response.content.readuntil(b"\n\n")).splitlines()[0]) == (200, opening)
    for _ in range(2):
        heartbeat = asyncio.create_task(response.content.readuntil(b"\n\n"))
        await clock.advance(14.5)
        assert not heartbeat.done()
        await clock.advance(0.6)
        assert (await heartbeat).splitlines()[0] == ping
    response.close()


EFFORT = {CHAT: {"reasoning_effort": "low"}, RESPONSES: {"reasoning": {"effort": "low"}}}


@pytest.mark.parametrize("path", EFFORT)
@pytest.mark.parametrize("case", [(0, 0, 300), (0, 1, 600), (1, 0, 120), (1, 1, 600)])
async def test_the_last_model_may_be_silent_for_as_long_as_the_page_says(client, provider, clock, path, case):
    stream, thinks, seconds = case
    asked, _ = provider.hangs()
    body = {**BODIES[path], **(EFFORT[path] if thinks else {}), "stream": bool(stream)}
    answer = asyncio.create_task(client.post(path, json=body, timeout=PATIENT))
    await asked.wait()
    if stream:
        await clock.advance(10.1)
        whole = asyncio.create_task((await answer).read())
    else:
        whole = asyncio.create_task(read_whole(answer))
    await clock.advance(seconds - (11 if stream else 1))
    assert not whole.done()
    await clock.advance(2)
    text = (await whole).decode()
    assert ("upstream_timeout" in text, f"{seconds} s" in text or "time limit of the whole run" in text) == (True, True)


async def read_whole(answer):
    response = await answer
    assert response.status == 504
    return await response.read()


async def test_a_response_has_every_field_that_openais_sdk_requires(client, provider):
    required = {name for name, field in SdkResponse.model_fields.items() if field.is_required()}
    answers = []
    for finish in ("stop", "length"):
        provider.says("ok", finish=finish)
        answers.append((await answer_to(client, RESPONSES, json.dumps(BODIES[RESPONSES])))[1])
    provider.refuses(500, "oh")
    answers.append((await answer_to(client, RESPONSES, json.dumps(BODIES[RESPONSES])))[1])
    assert [answer["status"] for answer in answers] == ["completed", "incomplete", "failed"]
    for answer in answers:
        SdkResponse.model_validate(answer)
        assert required - answer.keys() == set()
        assert answer.keys() - SdkResponse.model_fields.keys() <= {
            "presence_penalty",
            "frequency_penalty",
            "store",
        }  # of OpenResponses
