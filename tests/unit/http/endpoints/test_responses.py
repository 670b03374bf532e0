import asyncio
import base64
import json

import openai
import pytest
from pydantic import BaseModel

PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n and more").decode()
WEATHER = {"type": "function", "name": "get_weather", "parameters": {"type": "object", "properties": {}}}


def message(*parts):
    return [{"role": "user", "content": list(parts)}]


async def test_the_official_client_reads_a_whole_response(official, provider):
    provider.says("Hello")
    response = await official.responses.create(model="openclaw", input="hi", instructions="be brief")
    assert (response.output_text, response.status, response.model) == ("Hello", "completed", "openclaw")
    assert response.usage is not None
    assert response.usage.total_tokens == 18
    assert provider.asked[0]["messages"] == [
        {"role": "system", "content": "be brief"},
        {"role": "user", "content": "hi"},
    ]


async def test_the_answer_names_the_model_that_gave_it(client, provider):
    provider.says("Hello")
    response = await client.post("/v1/responses", json={"model": "", "input": "hi"})
    assert response.status == 200
    assert response.headers["x-openclaw-model"] == "fake/small"
    assert (await response.json())["model"] == ""


async def test_the_official_client_streams_text(official, provider):
    provider.says("Hel|lo")
    async with official.responses.stream(model="openclaw", input="hi") as stream:
        deltas = [event.delta async for event in stream if event.type == "response.output_text.delta"]
        final = await stream.get_final_response()
    assert "".join(deltas) == final.output_text == "Hello"
    assert (final.status, final.usage.total_tokens) == ("completed", 18)


async def test_the_stream_consists_of_server_sent_events_and_done(client, provider):
    provider.says("Hello")
    response = await client.post("/v1/responses", json={"model": "openclaw", "input": "hi", "stream": True})
    assert response.headers["Content-Type"] == "text/event-stream; charset=utf-8"
    assert response.headers["x-openclaw-model"] == "fake/small"
    text = await response.text()
    assert text.startswith("event: response.created\ndata: {")
    assert text.endswith("data: [DONE]\n\n")


async def test_a_tool_loop_reaches_the_provider_as_messages(official, provider):
    provider.says("Let me see.", ("call_1", "get_weather", '{"city":"Oslo"}'), finish="tool_calls")
    conversation = [{"role": "user", "content": "weather?"}]
    first = await official.responses.create(model="openclaw", input=conversation, tools=[WEATHER])
    assert [item.type for item in first.output] == ["message", "function_call"]
    conversation += first.output
    conversation.append({"type": "function_call_output", "call_id": first.output[1].call_id, "output": "5C"})
    provider.says("It is cold.")
    second = await official.responses.create(model="openclaw", input=conversation, tools=[WEATHER])
    assert second.output_text == "It is cold."
    call = {"id": "call_1", "type": "function", "function": {"name": "get_weather", "arguments": '{"city":"Oslo"}'}}
    assert provider.asked[1]["messages"] == [
        {"role": "user", "content": "weather?"},
        {"role": "assistant", "content": "Let me see.", "tool_calls": [call]},
        {"role": "tool", "content": "5C", "tool_call_id": "call_1"},
    ]


async def test_tools_of_earlier_calls_and_the_choice_of_none_are_sent_together(official, provider):
    history = [
        {"role": "user", "content": "weather?"},
        {"type": "function_call", "call_id": "call_1", "name": "get_weather", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "call_1", "output": "5C"},
    ]
    provider.says("It is cold.")
    await official.responses.create(model="openclaw", input=history, tools=[WEATHER], tool_choice="none")
    assert provider.asked[0]["tool_choice"] == "none"
    assert [tool["function"]["name"] for tool in provider.asked[0]["tools"]] == ["get_weather"]


async def test_calls_are_streamed(official, provider):
    provider.says(None, ("a", "get_weather", "{}"), ("b", "get_weather", '{"x":1}'), finish="tool_calls")
    async with official.responses.stream(model="openclaw", input="weather?", tools=[WEATHER]) as stream:
        final = await stream.get_final_response()
    assert [(item.call_id, item.arguments) for item in final.output] == [("a", "{}"), ("b", '{"x":1}')]


async def test_a_response_schema_reaches_the_provider(official, provider):
    class City(BaseModel):
        name: str

    provider.says('{"name":"Oslo"}')
    response = await official.responses.parse(model="openclaw", input="which?", text_format=City)
    assert response.output_parsed == City(name="Oslo")
    wanted = provider.asked[0]["response_format"]
    assert (wanted["type"], wanted["json_schema"]["strict"]) == ("json_schema", True)


async def test_settings_reach_the_provider(official, provider):
    provider.says("x")
    await official.responses.create(
        model="openclaw",
        input="hi",
        max_output_tokens=9,
        temperature=0.5,
        reasoning={"effort": "low"},
        metadata={"a": "b"},
    )
    asked = provider.asked[0]
    assert (asked["max_tokens"], asked["temperature"], asked["reasoning_effort"]) == (9, 0.5, "low")
    assert "metadata" not in asked


async def test_an_answer_at_the_token_cap_is_incomplete(official, provider):
    provider.says("Hel", finish="length")
    response = await official.responses.create(model="openclaw", input="hi", max_output_tokens=1)
    assert (response.status, response.incomplete_details.reason) == ("incomplete", "max_output_tokens")


@pytest.mark.parametrize("stream", [False, True])
async def test_a_refusal_by_the_provider_keeps_its_status(official, provider, stream):
    provider.refuses(400, "too strange")
    with pytest.raises(openai.BadRequestError) as caught:
        await official.responses.create(model="openclaw", input="hi", stream=stream)
    assert caught.value.type == "invalid_request_error"
    assert "too strange" in caught.value.message


@pytest.mark.parametrize("stream", [False, True])
async def test_a_missing_required_call_is_a_502(official, provider, stream):
    provider.says("No.")
    with pytest.raises(openai.InternalServerError) as caught:
        await official.responses.create(
            model="openclaw", input="hi", tools=[WEATHER], tool_choice="required", stream=stream
        )
    assert (caught.value.status_code, caught.value.type) == (502, "api_error")


async def test_a_broken_stream_ends_as_failed(official, provider):
    async def breaks(request):
        return await provider.begins(request, {"content": "Hel"})

    provider.answer = breaks
    events = [event async for event in await official.responses.create(model="openclaw", input="hi", stream=True)]
    assert [event.sequence_number for event in events] == list(range(len(events)))
    final = events[-1]
    assert (final.type, final.response.status) == ("response.failed", "failed")
    assert final.response.error is not None
    assert final.response.error.code == "server_error"


class TestSlowModel:
    @pytest.fixture
    def config(self, config):
        config["gateway"]["stream"]["openingHeartbeatMs"] = 1
        return config

    async def test_a_failure_after_a_heartbeat_is_reported_in_the_stream(self, client, provider):
        is_open = asyncio.Event()
        provider.refuses(400, "too strange")
        refusal = provider.answer

        async def late(request):
            await is_open.wait()
            return await refusal(request)

        provider.answer = late
        response = await client.post("/v1/responses", json={"model": "openclaw", "input": "hi", "stream": True})
        assert (await response.content.readline()).startswith(b": ")
        is_open.set()
        events = [line for line in (await response.text()).split("\n") if line.startswith("event: ")]
        assert events == ["event: response.created", "event: response.in_progress", "event: response.failed"]

    async def test_headers_that_a_heartbeat_could_not_send_arrive_as_a_comment_at_the_end(self, client, provider):
        is_open = asyncio.Event()
        provider.says("Hello")
        answer = provider.answer

        async def late(request):
            await is_open.wait()
            return await answer(request)

        provider.answer = late
        response = await client.post("/v1/responses", json={"model": "openclaw", "input": "hi", "stream": True})
        assert "x-openclaw-model" not in response.headers
        assert (await response.content.readline()).startswith(b": ")
        is_open.set()
        *_, comment, end, done, _ = (await response.text()).split("\n\n")
        assert comment == ": x-openclaw-model: fake/small\n: x-openclaw-attempts: 1"
        assert end.startswith("event: response.completed\n")
        assert done == "data: [DONE]"


@pytest.mark.parametrize("stream", [False, True])
async def test_a_client_disconnect_aborts_the_request_at_the_provider(client, provider, stream):
    asked, left = provider.hangs()
    body = {"model": "openclaw", "input": "hi", "stream": stream}
    call = asyncio.create_task(client.post("/v1/responses", json=body))
    await asked.wait()
    call.cancel()
    async with asyncio.timeout(30):
        await left.wait()


async def test_images_and_files_reach_the_model(official, provider):
    provider.says("x")
    await official.responses.create(
        model="openclaw",
        input=message(
            {"type": "input_text", "text": "look"},
            {"type": "input_image", "image_url": f"data:image/jpeg;base64,{PNG}", "detail": "low"},
            {"type": "input_file", "filename": "a.txt", "file_data": "data:text/plain;base64,SGVsbG8="},
        ),
    )
    system, user = provider.asked[0]["messages"]
    assert system["role"] == "system"
    assert "Hello" in system["content"]
    assert user["content"] == [
        {"type": "text", "text": "look"},
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}", "detail": "low"}},
    ]


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"input": "hi"}, "model"),
        ({"model": "gpt-4", "input": "hi"}, "model"),
        ({"model": "openclaw/nope", "input": "hi"}, "model"),
        ({"model": "openclaw", "input": "hi", "background": True, "store": False}, "background"),
        ({"model": "openclaw", "input": "hi", "tools": [{"type": "websearch"}]}, "tools[0].type"),
        ({"model": "openclaw", "input": [{"type": "banana"}]}, "input[0]"),
        ({"model": "openclaw", "input": message({"type": "input_image", "image_url": "data:x"})}, "input"),
        ({"model": "openclaw", "input": message({"type": "input_file", "file_url": "https://x.test/a"})}, "input"),
        (
            {"model": "openclaw", "input": message(*[{"type": "input_image", "image_url": "https://x.test/"}] * 9)},
            "input",
        ),
    ],
)
async def test_a_bad_request_names_its_field_and_reaches_no_provider(client, provider, body, param):
    response = await client.post("/v1/responses", json=body)
    error = (await response.json())["error"]
    assert (response.status, error["type"], error["param"]) == (400, "invalid_request_error", param)
    assert provider.asked == []


async def test_invalid_json_is_a_400(client):
    response = await client.post("/v1/responses", data=b"{")
    assert (response.status, (await response.json())["error"]["code"]) == (400, "invalid_json")


async def test_only_post_is_served(client):
    response = await client.get("/v1/responses")
    assert (response.status, response.headers["Allow"]) == (405, "POST")


class TestSwitchedOff:
    @pytest.fixture
    def config(self, config):
        config["gateway"]["http"]["endpoints"]["responses"]["enabled"] = False
        return config

    async def test_a_disabled_endpoint_is_not_found(self, client):
        assert (await client.post("/v1/responses", json={"model": "openclaw", "input": "hi"})).status == 404


class TestNoUrls:
    @pytest.fixture
    def config(self, config):
        config["gateway"]["http"]["endpoints"]["responses"]["images"] = {"allowUrl": False}
        return config

    async def test_image_urls_are_refused_when_disabled(self, client):
        picture = {"type": "input_image", "image_url": "https://x.test/a.png"}
        response = await client.post("/v1/responses", json={"model": "openclaw", "input": message(picture)})
        assert "`input`: image URLs are not allowed here" in (await response.json())["error"]["message"]


@pytest.mark.parametrize(
    ("file", "reason"),
    [
        ({"filename": "a.bin", "file_data": "data:application/octet-stream;base64,AAAA"}, "is not accepted"),
        ({"file_url": "https://x.test/a.pdf"}, "could not be fetched"),
        ({"filename": "a.txt", "file_data": "data:text/plain;base64,@"}, "base64 is broken"),
    ],
)
async def test_a_file_of_a_tool_that_is_no_good_is_described_to_the_model(client, provider, file, reason):
    provider.says("ok")
    call = {"type": "function_call", "call_id": "c1", "name": "look", "arguments": "{}"}
    output = {"type": "function_call_output", "call_id": "c1", "output": [{"type": "input_file", **file}]}
    body = {"model": "openclaw", "input": [{"role": "user", "content": "q"}, call, output]}
    async with client.post("/v1/responses", json=body) as response:
        assert response.status == 200, await response.text()
    assert reason in json.dumps(provider.asked[0]["messages"])
    body["input"] = [{"role": "user", "content": output["output"]}]
    async with client.post("/v1/responses", json=body) as response:
        assert (response.status, len(provider.asked)) == (400, 1)
