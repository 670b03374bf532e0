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


CALL = {"id": "c1", "type": "function", "function": {"name": "look"}}
PICTURE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}


async def test_an_image_in_a_system_message_reaches_the_model_as_the_users(client, provider):
    for role in ("system", "developer"):
        provider.says("ok")
        messages = [
            {"role": role, "content": [{"type": "text", "text": "look"}, PICTURE]},
            {"role": "user", "content": "hi"},
        ]
        assert (await client.post(CHAT, json=ask(messages=messages))).status == 200
        system, picture, asked = provider.asked[-1]["messages"]
        assert (system["role"], "look" in str(system["content"])) == ("system", True)
        assert (picture["role"], picture["content"]) == ("user", [PICTURE])
        assert asked == {"role": "user", "content": "hi"}


async def test_an_image_in_a_system_message_alone_is_no_message(client, provider):
    response = await client.post(CHAT, json=ask(messages=[{"role": "system", "content": [PICTURE]}]))
    assert ((await response.json())["error"]["param"], provider.asked) == ("messages", [])


async def test_a_model_is_informed_of_an_image_in_the_assistants_history(client, provider):
    provider.says("ok")
    messages = [{"role": "user", "content": "draw"}, {"role": "assistant", "content": [PICTURE]}]
    assert (await client.post(CHAT, json=ask(messages=[*messages, messages[0]]))).status == 200
    (part,) = provider.asked[0]["messages"][1]["content"]
    assert "image" in part["text"]


AUDIO = {"id": "a", "data": "AA==", "transcript": "hey"}


def returned(**fields):
    message = {"role": "assistant", "content": None, **fields}
    return [{"role": "user", "content": "q"}, message, {"role": "user", "content": "go"}]


async def test_an_answer_of_sound_or_images_that_comes_back_is_sent_as_its_format_wants_it(client, provider):
    provider.says("ok")
    for fields, sent in (({"audio": AUDIO}, {"audio": {"id": "a"}}), ({"images": [PICTURE]}, {"images": [PICTURE]})):
        assert (await client.post(CHAT, json=ask(messages=returned(**fields)))).status == 200
        assert provider.asked[-1]["messages"][1] == {"role": "assistant", "content": None, **sent}


@pytest.mark.parametrize("arguments", ["", " \n", None, {}])
async def test_a_history_has_arguments_that_strict_servers_accept(client, provider, arguments):
    provider.says("ok")
    call = {**CALL, "function": {"name": "look", "arguments": arguments}}
    result = {"role": "tool", "tool_call_id": "c1", "content": "x"}
    history = [{"role": "user", "content": "q"}, {"role": "assistant", "content": None, "tool_calls": [call]}, result]
    assert (await client.post(CHAT, json=ask(messages=history))).status == 200
    older = {"role": "assistant", "content": None, "function_call": call["function"]}
    legacy = [history[0], older, {"role": "function", "name": "look", "content": "x"}]
    assert (await client.post(CHAT, json=ask(messages=legacy))).status == 200
    use = {"type": "tool_use", "id": "c1", "name": "look", "input": arguments}
    results = [{"type": "tool_result", "tool_use_id": "c1", "content": "x"}]
    blocks = [history[0], {"role": "assistant", "content": [use]}, {"role": "user", "content": results}]
    body = {"model": "openclaw", "max_tokens": 9, "messages": blocks}
    assert (await client.post("/v1/messages", json=body)).status == 200
    sent = [asked["messages"][1]["tool_calls"][0]["function"]["arguments"] for asked in provider.asked]
    assert sent == ["{}"] * 3


async def test_null_inside_a_field_that_is_an_object_equals_an_absent_one(client, provider):
    provider.says("ok")
    fields = {"metadata": {"a": "b", "c": None}, "web_search_options": {"user_location": None, "filters": {"a": None}}}
    assert (await client.post(CHAT, json=ask(**fields, guided_json={"const": None}))).status == 200
    asked = provider.asked[0]
    assert (asked["metadata"], asked["web_search_options"]) == ({"a": "b"}, {"filters": {}})
    assert asked["guided_json"] == {"const": None}  # a value of its schema


@pytest.mark.parametrize("stream", [False, True])
async def test_an_image_among_the_parts_of_an_answer_is_seen(client, provider, stream):
    answering(provider, {"content": [{"type": "text", "text": "a"}, IMAGES[0]]})
    response = await client.post(CHAT, json=ask(stream=stream))
    if stream:
        assert {"images": IMAGES} in [event["choices"][0]["delta"] for event in await events(response)]
    else:
        message = (await response.json())["choices"][0]["message"]
        assert (message["content"], message["images"]) == ("a", IMAGES)
    response = await client.post(RESPONSES, json={"model": "openclaw", "input": "hi", "stream": stream})
    done = (await events(response))[-1]["response"] if stream else await response.json()
    assert done["output"][0]["content"][0]["text"] == "a![](data:image/png;base64,AA==)"


@pytest.mark.parametrize("stream", [False, True])
async def test_a_source_in_the_form_of_the_responses_api_is_a_source(client, provider, stream):
    annotation = {"type": "url_citation", "url": "https://x.example", "title": "X", "start_index": 0, "end_index": 1}
    answering(provider, {"content": "a", "annotations": [annotation]})
    response = await client.post(RESPONSES, json={"model": "openclaw", "input": "hi", "stream": stream})
    done = (await events(response))[-1]["response"] if stream else await response.json()
    assert done["output"][0]["content"][0]["annotations"] == [annotation]


async def test_the_usage_that_a_server_puts_into_the_last_choice_of_a_stream_counts(client, provider):
    async def answer(request):
        response = await provider.begins(request, {"content": "a"})
        usage = {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}
        choice = {"index": 0, "delta": {}, "finish_reason": "stop", "usage": usage}
        await provider.send(response, {"choices": [choice]})
        await response.write(b"data: [DONE]\n\n")
        return response

    provider.answer = answer
    body = ask(stream=True, stream_options={"include_usage": True})
    assert (await events(await client.post(CHAT, json=body)))[-1]["usage"]["total_tokens"] == 7


class TestOpenAIsResponses:
    @pytest.fixture
    def config(self, config):
        config["models"]["providers"]["fake"]["api"] = "openai-responses"
        return config

    async def test_a_tool_that_only_anthropic_runs_is_left_out_and_refused_if_demanded(self, client, provider):
        tools = [{"type": "web_search_20250305", "name": "web_search"}, {"name": "look", "input_schema": {}}]
        provider.refuses(400, "no")
        body = {"model": "openclaw", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}], "tools": tools}
        await client.post("/v1/messages", json=body)
        assert [tool["name"] for tool in provider.asked[0]["tools"]] == ["look"]
        response = await client.post(
            "/v1/messages", json={**body, "tool_choice": {"type": "tool", "name": "web_search"}}
        )
        assert (response.status, len(provider.asked)) == (400, 1)
        assert "web_search" in (await response.json())["error"]["message"]

    async def test_a_text_stands_for_an_answer_of_sound_or_images(self, client, provider):
        provider.refuses(400, "no")
        for fields, text in (
            ({"audio": AUDIO}, "hey"),
            ({"audio": {"id": "a"}}, "spoken"),
            ({"images": [PICTURE]}, "image"),
        ):
            await client.post(CHAT, json=ask(messages=returned(**fields)))
            assert text in json.dumps(provider.asked[-1]["input"][1]["content"])

    async def test_a_function_result_that_belongs_to_no_call_is_sent(self, client, provider):
        provider.refuses(400, "no")
        messages = [{"role": "user", "content": "q"}, {"role": "function", "name": "look", "content": "RESULT"}]
        await client.post(CHAT, json=ask(messages=messages))
        assert [item["content"] for item in provider.asked[0]["input"]] == ["q", "RESULT"]


class TestStrict:
    @pytest.fixture
    def config(self, config):
        config["models"]["providers"]["fake"]["models"][0]["compat"] = {"supportsUnknownFields": False}
        return config

    async def test_a_strict_provider_gets_no_foreign_field_of_a_call_or_a_format(self, client, provider):
        provider.says("ok")
        call = {**CALL, "zz": 1, "function": {"name": "look", "arguments": "{}", "zz": 1}}
        history = [{"role": "user", "content": "q"}, {"role": "assistant", "content": None, "tool_calls": [call]}]
        result = {"role": "tool", "tool_call_id": "c1", "content": "x"}
        form = {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "object"}, "zz": 1}, "zz": 1}
        body = ask(messages=[*history, result], response_format=form)
        assert (await client.post(CHAT, json=body)).status == 200
        assert "zz" not in json.dumps(provider.asked[0])


EMPTY = {CHAT: ask(), RESPONSES: {"model": "openclaw", "input": "hi", "store": False}}


@pytest.mark.parametrize("path", EMPTY)
@pytest.mark.parametrize("stream", [False, True])
async def test_an_empty_answer_that_counts_no_output_is_no_success(client, provider, path, stream):
    answering(provider, {"content": ""})
    async with client.post(path, json={**EMPTY[path], "stream": stream}) as response:
        assert response.status == 502
        assert "it is empty" in await response.text()
