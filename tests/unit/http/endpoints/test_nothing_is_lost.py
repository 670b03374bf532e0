"""What a request or an answer holds reaches the other side, or the client reads why not. Through the whole gateway."""

import json

import pytest
from aiohttp import web

CHAT, RESPONSES = "/v1/chat/completions", "/v1/responses"
VIDEO = {"type": "video_url", "video_url": {"url": "https://x.example/a.mp4"}}
IMAGES = [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}]
FIND = {"name": "look", "parameters": {"type": "object"}}


def ask(**fields):
    return {"model": "openclaw", "messages": [{"role": "user", "content": "hi"}], **fields}


def answering(provider, message, finish="stop", **fields):
    """Let the provider answer with this message, in a stream as one delta."""

    async def answer(request):
        if not provider.asked[-1].get("stream"):
            choice = {"index": 0, "message": {"role": "assistant", "content": None, **message}, "finish_reason": finish}
            return web.json_response({"choices": [choice], **fields})
        response = await provider.begins(request, message)
        await provider.send(response, {"choices": [{"index": 0, "delta": {}, "finish_reason": finish}], **fields})
        await response.write(b"data: [DONE]\n\n")
        return response

    provider.answer = answer


async def events(response):
    frames = (await response.text()).split("\n\n")
    data = [line.removeprefix("data: ") for frame in frames for line in frame.splitlines() if line.startswith("data: ")]
    return [json.loads(one) for one in data if one != "[DONE]"]


async def test_a_part_of_an_unknown_type_reaches_a_provider_of_the_same_format(client, provider):
    provider.says("ok")
    body = ask(messages=[{"role": "user", "content": [{"type": "text", "text": "see"}, VIDEO]}])
    assert (await client.post(CHAT, json=body)).status == 200
    assert provider.asked[0]["messages"][-1]["content"] == [{"type": "text", "text": "see"}, VIDEO]


class TestAnotherFormat:
    @pytest.fixture
    def config(self, config):
        config["models"]["providers"]["fake"]["api"] = "anthropic-messages"
        return config

    async def test_the_same_part_is_a_400_that_names_it(self, client, provider):
        response = await client.post(CHAT, json=ask(messages=[{"role": "user", "content": [VIDEO]}]))
        assert response.status == 400
        assert "video_url" in (await response.json())["error"]["message"]
        assert provider.asked == []


@pytest.mark.parametrize("stream", [False, True])
async def test_legacy_functions_are_offered_called_and_answered_in_their_own_form(client, provider, stream):
    call = {"index": 0, "id": "c", "type": "function", "function": {"name": "look", "arguments": '{"at":1}'}}
    answering(provider, {"tool_calls": [call]}, "tool_calls")
    response = await client.post(CHAT, json=ask(functions=[FIND], function_call={"name": "look"}, stream=stream))
    assert provider.asked[0]["tools"] == [{"type": "function", "function": FIND}]
    assert provider.asked[0]["tool_choice"]["function"] == {"name": "look"}
    if stream:
        choices = [event["choices"][0] for event in await events(response)]
        pieces = [choice["delta"]["function_call"] for choice in choices if "function_call" in choice["delta"]]
        assert pieces == [{"name": "look", "arguments": ""}, {"arguments": '{"at":1}'}]
        finish = choices[-1]["finish_reason"]
    else:
        (choice,) = (await response.json())["choices"]
        assert choice["message"]["function_call"] == {"name": "look", "arguments": '{"at":1}'}
        assert "tool_calls" not in choice["message"]
        finish = choice["finish_reason"]
    assert finish == "function_call"


@pytest.mark.parametrize("stream", [False, True])
async def test_a_second_call_that_the_legacy_form_cannot_hold_is_an_error(client, provider, stream):
    provider.says(None, ("c1", "look", "{}"), ("c2", "look", "{}"), finish="tool_calls")
    response = await client.post(CHAT, json=ask(functions=[FIND], stream=stream))
    assert "several calls" in await response.text()
    assert '"finish_reason":"function_call"' not in await response.text()


@pytest.mark.parametrize("stream", [False, True])
async def test_an_answer_of_images_is_seen_by_every_client(client, provider, stream):
    answering(provider, {"images": IMAGES})
    response = await client.post(CHAT, json=ask(stream=stream))
    if stream:
        deltas = [event["choices"][0]["delta"] for event in await events(response)]
        assert {"images": IMAGES} in deltas
    else:
        assert (await response.json())["choices"][0]["message"]["images"] == IMAGES
    response = await client.post(RESPONSES, json={"model": "openclaw", "input": "hi", "stream": stream})
    done = (await events(response))[-1]["response"] if stream else await response.json()
    (item,) = done["output"]
    assert item["content"][0]["text"] == "![](data:image/png;base64,AA==)"


@pytest.mark.parametrize("stream", [False, True])
async def test_sources_of_the_whole_answer_are_annotations_for_every_client(client, provider, stream):
    answering(provider, {"content": "a"}, citations=["https://x.example"])
    response = await client.post(CHAT, json=ask(stream=stream))
    if stream:
        assert [event["citations"] for event in await events(response) if "citations" in event] == [
            ["https://x.example"]
        ]
    else:
        assert (await response.json())["citations"] == ["https://x.example"]
    response = await client.post(RESPONSES, json={"model": "openclaw", "input": "hi", "stream": stream})
    done = (await events(response))[-1]["response"] if stream else await response.json()
    (part,) = done["output"][0]["content"]
    assert [source["url"] for source in part["annotations"]] == ["https://x.example"]


@pytest.mark.parametrize("stream", [False, True])
async def test_a_cost_comes_through(client, provider, stream):
    usage = {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7, "cost": 0.25}
    answering(provider, {"content": "a"}, usage=usage)
    response = await client.post(CHAT, json=ask(stream=stream, stream_options={"include_usage": True}))
    assert ((await events(response))[-1] if stream else await response.json())["usage"] == usage


async def test_a_conversation_goes_on_after_an_answer_of_images(client, provider):
    answering(provider, {"images": IMAGES})
    await client.post(CHAT, json=ask(user="ann"))
    provider.says("ok")
    await client.post(CHAT, json=ask(user="ann"))
    assert provider.asked[1]["messages"][1] == {"role": "assistant", "content": None, "images": IMAGES}


class TestMessages:
    @pytest.fixture
    def config(self, config):
        config["gateway"]["http"]["endpoints"]["messages"] = {"enabled": True}
        return config

    @pytest.mark.parametrize("stream", [False, True])
    async def test_a_client_of_messages_sees_images_as_text(self, client, provider, stream):
        answering(provider, {"content": "See: ", "images": IMAGES})
        body = ask(max_tokens=100, stream=stream)
        text = await (await client.post("/v1/messages", json=body)).text()
        assert "![](data:image/png;base64,AA==)" in text
        if stream:
            assert '"type":"message_stop"' in text


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("arguments", "given"),
    [
        ({"at": 1, "to": {"x": [1.50, None]}}, '{"at":1,"to":{"x": [1.5, null]}}'),
        ({}, "{}"),
        ("", "{}"),
        (None, "{}"),
        ("{", "{"),
    ],
)
async def test_arguments_of_any_form_are_text_for_every_client(client, provider, stream, arguments, given):
    function = {"name": "look"} | ({} if arguments is None else {"arguments": arguments})
    answering(
        provider, {"tool_calls": [{"index": 0, "id": "c", "type": "function", "function": function}]}, "tool_calls"
    )
    tools = [{"type": "function", "function": FIND}]
    response = await client.post(CHAT, json=ask(stream=stream, tools=tools))
    assert response.status == 200, await response.text()
    if stream:
        calls = [
            call for event in await events(response) for call in event["choices"][0]["delta"].get("tool_calls", ())
        ]
        assert "".join(call["function"]["arguments"] for call in calls) == given
    else:
        (call,) = (await response.json())["choices"][0]["message"]["tool_calls"]
        assert call["function"]["arguments"] == given
    body = {"model": "openclaw", "input": "hi", "stream": stream, "tools": [{"type": "function", **FIND}]}
    response = await client.post(RESPONSES, json=body)
    (item,) = ((await events(response))[-1]["response"] if stream else await response.json())["output"]
    assert (item["name"], item["arguments"]) == ("look", given)
