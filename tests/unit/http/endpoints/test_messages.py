"""What real clients of Anthropic's API send and get, with a provider of OpenAI's format: nothing is lost silently."""

import gzip
import json

import pytest
from aiohttp import web

PATH = "/v1/messages"
LOOKUP = {"name": "look", "input_schema": {"type": "object", "properties": {"at": {"type": "integer"}}}}
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR4nGNgYGBgAAAABQABh6FO1AAAAABJRU5ErkJggg=="
PNG = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PIXEL}}
USE = {"type": "tool_use", "id": "toolu_1", "name": "look", "input": {"at": 1}}
both_ways = pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])


def ask(*content, **fields):
    return {"model": "openclaw", "max_tokens": 99, "messages": [{"role": "user", "content": [*content]}], **fields}


TEXT = {"type": "text", "text": "hi"}
HI = ask(TEXT)


def after_call(*results, **fields):
    messages = [
        {"role": "user", "content": "look"},
        {"role": "assistant", "content": [USE]},
        {"role": "user", "content": [*results]},
    ]
    return {"model": "openclaw", "max_tokens": 99, "messages": messages, "tools": [LOOKUP], **fields}


def result(*content):
    return {"type": "tool_result", "tool_use_id": "toolu_1", "content": [*content]}


def answering(provider, *deltas, finish="stop", **fields):
    """Let the provider answer with these deltas, or with the only one as its message."""

    async def answer(request):
        if not provider.asked[-1].get("stream"):
            (message,) = deltas
            choice = {"index": 0, "message": {"role": "assistant", "content": None, **message}, "finish_reason": finish}
            return web.json_response({"choices": [choice], **fields})
        response = await provider.begins(request, *deltas)
        await provider.send(response, {"choices": [{"index": 0, "delta": {}, "finish_reason": finish}], **fields})
        await response.write(b"data: [DONE]\n\n")
        return response

    provider.answer = answer


async def asked(client, body, status=200):
    async with client.post(PATH, json=body) as response:
        assert response.status == status, await response.text()
        return await response.json()


async def content_of(client, body, *, stream):
    """The blocks of the answer, put together from the events of a stream, and its stop reason."""
    if not stream:
        answer = await asked(client, body)
        return answer["content"], answer["stop_reason"]
    blocks, stop = [], None
    async with client.post(PATH, json={**body, "stream": True}) as response:
        assert response.status == 200, await response.text()
        for line in (await response.text()).splitlines():
            event = json.loads(line.removeprefix("data: ")) if line.startswith("data: ") else {"type": ""}
            if event["type"] == "content_block_start":
                blocks.append(dict(event["content_block"]))
                pieces = ""
            elif event["type"] == "content_block_delta":
                delta = event["delta"]
                if delta["type"] == "input_json_delta":
                    pieces += delta["partial_json"]
                elif delta["type"] in ("text_delta", "thinking_delta", "signature_delta"):
                    name = delta["type"].removesuffix("_delta")
                    blocks[-1][name] = blocks[-1].get(name, "") + delta[name]
            elif event["type"] == "content_block_stop" and blocks[-1]["type"] == "tool_use":
                blocks[-1]["input"] = json.loads(pieces or "{}")
            elif event["type"] == "message_delta":
                stop = event["delta"]["stop_reason"]
            elif event["type"] == "error":
                return event, None
    return blocks, stop


def nulls_in(value):
    if isinstance(value, dict):
        return sum(inner is None for name, inner in value.items() if name != "content") + sum(
            map(nulls_in, value.values())
        )
    return sum(map(nulls_in, value)) if isinstance(value, list) else 0


async def test_null_means_absent_at_every_depth_and_none_reaches_the_provider(client, provider):
    provider.says("ok")
    text = {**TEXT, "cache_control": None, "citations": None}
    tool = {**LOOKUP, "type": None, "description": None, "cache_control": None, "strict": None, "input_examples": None}
    names = "system tool_choice metadata thinking stop_sequences temperature top_p top_k stream service_tier"
    nothing = dict.fromkeys(f"{names} output_config context_management container mcp_servers speed".split())
    body = after_call({**result(text), "is_error": None, "cache_control": None}, **nothing, tools=[tool])
    body["messages"][1]["content"] = [{**text, "text": "so"}, {**USE, "caller": None, "cache_control": None}]
    await asked(client, body)
    assert nulls_in(provider.asked[0]) == 0
    assert nulls_in(provider.asked[0]["messages"]) == 0


class TestStrictProvider:
    @pytest.fixture
    def config(self, config):
        compat = {"strictMessageKeys": True, "supportsUnknownFields": False}
        config["models"]["providers"]["fake"]["models"][0]["compat"] = compat
        return config

    async def test_gets_only_fields_that_it_knows(self, client, provider):
        provider.says("ok")
        cached = {"cache_control": {"type": "ephemeral"}}
        body = after_call(
            {**result({**TEXT, **cached}), **cached}, {**TEXT, **cached}, context_management={"edits": []}
        )
        body |= {
            "tools": [{**LOOKUP, **cached, "defer_loading": True}],
            "system": [{**TEXT, **cached}],
            "unheard_of": 1,
        }
        await asked(client, body)
        assert "cache_control" not in json.dumps(provider.asked[0])
        assert "defer_loading" not in json.dumps(provider.asked[0])
        assert not {"context_management", "unheard_of", "metadata", "thinking"} & provider.asked[0].keys()


@pytest.mark.parametrize(
    ("content", "path"),
    [
        ([{"type": "video", "source": {}}], "messages[0].content[0]"),
        ([TEXT, {"text": "no type"}], "messages[0].content[1]"),
        (["a string"], "messages[0].content"),
        ([{"type": "image", "source": {"type": "sometimes"}}], "messages[0].content[0]"),
        ([{"type": "tool_result", "content": "x"}], "messages[0].content[0]"),
        (7, "messages[0].content"),
    ],
)
async def test_content_that_can_not_be_read_is_a_400_with_its_path(client, provider, content, path):
    answer = await asked(client, {**HI, "messages": [{"role": "user", "content": content}]}, 400)
    assert path in answer["error"]["message"] or "only Anthropic takes" in answer["error"]["message"]
    assert provider.asked == []


async def test_a_role_that_does_not_exist_is_a_400_with_its_path(client, provider):
    answer = await asked(client, {**HI, "messages": [{"role": "tool", "content": "x"}]}, 400)
    assert "messages[0].role" in answer["error"]["message"]
    assert provider.asked == []


@both_ways
async def test_an_answer_of_images_alone_is_text(client, provider, stream):
    answering(provider, {"images": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}]})
    (block,), stop = await content_of(client, HI, stream=stream)
    assert (block["text"], stop) == ("![](data:image/png;base64,AA==)", "end_turn")


@both_ways
async def test_a_refusal_is_text_and_no_empty_success(client, provider, stream):
    answering(provider, {"refusal": "I can't."})
    (block,), stop = await content_of(client, HI, stream=stream)
    assert (block["text"], stop) == ("I can't.", "refusal")


ODD = {
    "a whole message in a chunk": [
        {"choices": [{"index": 0, "message": {"content": "Hello"}, "finish_reason": "stop"}]}
    ],
    "a call that is announced and does not come": [
        {"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]}
    ],
    "nothing at all": [],
}


@pytest.mark.parametrize("name", ODD)
async def test_an_odd_stream_is_read_or_an_error_and_never_an_empty_success(client, provider, name):
    async def answer(request):
        response = await provider.begins(request)
        for chunk in ODD[name]:
            await provider.send(response, chunk)
        await response.write(b"data: [DONE]\n\n")
        return response

    provider.answer = answer
    async with client.post(PATH, json={**HI, "stream": True}) as response:
        text = await response.text()
        if response.status == 200:
            assert "Hello" in text or "event: error" in text
        else:
            assert (response.status, json.loads(text)["type"]) == (502, "error")


@both_ways
@pytest.mark.parametrize(
    ("arguments", "given"), [("", {}), (None, {}), ({"at": 1}, {"at": 1}), ('{"at": 1}', {"at": 1})]
)
async def test_arguments_of_any_form_are_an_object(client, provider, stream, arguments, given):
    function = {"name": "look"} | ({} if arguments is None else {"arguments": arguments})
    call = {"index": 0, "id": "call_1", "type": "function", "function": function}
    answering(provider, {"tool_calls": [call]}, finish="tool_calls")
    (block,), stop = await content_of(client, {**HI, "tools": [LOOKUP]}, stream=stream)
    assert (block["type"], block["name"], block["input"], stop) == ("tool_use", "look", given, "tool_use")


@both_ways
async def test_ids_of_calls_are_unique_over_a_conversation(client, provider, stream):
    calls = [
        {"index": index, **number, "type": "function", "function": {"name": "look", "arguments": "{}"}}
        for index, number in enumerate([{}, {"id": "same"}, {"id": "same"}])
    ]
    answering(provider, {"tool_calls": calls}, finish="tool_calls")
    ids = []
    for _ in range(2):
        blocks, _ = await content_of(client, {**HI, "tools": [LOOKUP]}, stream=stream)
        ids += [block["id"] for block in blocks]
    assert len(ids) == 6
    assert all(ids)
    assert len({*ids}) == 5  # the provider's own id is the same in both answers


REASONS = {
    "Mistral": ({"message": {"detail": [{"msg": "the true reason"}]}}, 422),
    "Google's list": ([{"error": {"code": 400, "message": "the true reason"}}], 400),
    "FastAPI": ({"detail": [{"msg": "the true reason"}]}, 422),
    "Cloudflare": ({"errors": [{"message": "the true reason"}]}, 400),
    "OpenRouter": ({"error": {"message": "Provider returned error", "metadata": {"raw": "the true reason"}}}, 400),
}


@pytest.mark.parametrize("name", REASONS)
async def test_the_providers_reason_reaches_the_client(client, provider, name):
    body, status = REASONS[name]

    async def answer(_request):
        return web.json_response(body, status=status)

    provider.answer = answer
    async with client.post(PATH, json=HI) as response:
        error = (await response.json())["error"]
    assert (response.status, error["type"]) == (status, "invalid_request_error")
    assert "the true reason" in error["message"]


async def test_tools_and_the_choice_of_none_are_sent_together(client, provider):
    provider.says("done")
    await asked(client, after_call(result(TEXT), tool_choice={"type": "none"}))
    assert provider.asked[0]["tool_choice"] == "none"
    assert [tool["function"]["name"] for tool in provider.asked[0]["tools"]] == ["look"]


@pytest.mark.parametrize(
    "pictures",
    [
        [PNG] * 9,
        [{"type": "image", "source": {"type": "base64", "media_type": "image/svg+xml", "data": "PHN2Zy8+"}}],
        [{"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "bm90IGEgcGljdHVyZQ=="}}],
        [{"type": "image", "source": {"type": "url", "url": "https://x.example/a.png"}}],
        [{"type": "image", "source": {"type": "url", "url": ""}}],
        [{"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": ""}}],
        [{"type": "image", "source": {"type": "base64", "media_type": "", "data": "bm90IGEgcGljdHVyZQ=="}}],
    ],
    ids=["many", "svg", "no picture", "url", "no url", "no data", "no type"],
)
async def test_pictures_of_a_tool_never_end_the_request(client, provider, pictures):
    provider.says("seen")
    await asked(client, after_call(result(*pictures)))
    messages = provider.asked[0]["messages"]
    kinds = [
        part["type"] for message in messages if isinstance(message["content"], list) for part in message["content"]
    ]
    sent = json.dumps(messages)
    assert kinds.count("image_url") == len(pictures) or "image" in sent.lower()


async def test_documents_and_search_results_of_a_tool_reach_a_model_of_another_format_as_text(client, provider):
    provider.says("ok")
    document = {"type": "document", "title": "A", "source": {"type": "text", "media_type": "text/plain", "data": "one"}}
    search = {
        "type": "search_result",
        "title": "B",
        "source": "b.example",
        "content": [{"type": "text", "text": "two"}],
    }
    await asked(client, after_call(result(TEXT, document, search, PNG)))
    (answer,) = [message for message in provider.asked[0]["messages"] if message["role"] == "tool"]
    assert answer["content"].startswith('hi\n<file name="A">')
    assert answer["content"].endswith("</file>\nB\nb.example\ntwo\n[1 image(s): see below]")
    assert "\none\n" in answer["content"]


async def test_blocks_of_text_that_only_anthropic_has_reach_other_models_as_text(client, provider):
    provider.says("ok")
    document = {"type": "document", "title": "A", "source": {"type": "content", "content": [TEXT, TEXT]}}
    search = {"type": "search_result", "title": "B", "source": "b.example", "content": [TEXT]}
    await asked(client, ask(document, search))
    content = provider.asked[0]["messages"][-1]["content"]
    assert content == [{"type": "text", "text": "A\nhi\nhi"}, {"type": "text", "text": "B\nb.example\nhi"}]


async def test_a_block_of_a_result_that_no_model_reads_is_named_to_the_model(client, provider):
    provider.says("ok")
    image = {"type": "image", "source": {"type": "file", "file_id": "f"}}
    reference = {"type": "tool_reference", "tool_name": "look"}
    await asked(client, after_call(result(TEXT, image, reference)))
    (answer,) = [message for message in provider.asked[0]["messages"] if message["role"] == "tool"]
    assert answer["content"] == (
        "hi\n[A part of the type 'image' is left out: the model can't read it]\nThe tool 'look' is available."
    )


async def test_changes_of_the_tools_in_a_conversation_never_end_it(client, provider):
    provider.says("ok")
    body = ask(TEXT)
    changes = [{"type": kind, "tool_name": "look"} for kind in ("tool_addition", "tool_removal")]
    body["messages"] += [{"role": "assistant", "content": "a"}, {"role": "system", "content": [TEXT, *changes]}]
    body["messages"] += [{"role": "system", "content": changes}, {"role": "user", "content": "b"}]
    await asked(client, body | {"tools": [LOOKUP]})
    assert [message["content"] for message in provider.asked[0]["messages"]] == ["hi", "a", [TEXT], "b"]


async def test_a_compressed_message_is_read(client, provider):
    provider.says("ok")
    headers = {"Content-Encoding": "gzip", "Content-Type": "application/json"}
    async with client.post(PATH, data=gzip.compress(json.dumps(HI).encode()), headers=headers) as response:
        assert response.status == 200
    async with client.post(PATH, data=b"x", headers={"Content-Encoding": "lzma"}) as response:
        assert (response.status, (await response.json())["type"]) == (415, "error")


class TestFromUser:
    @pytest.fixture
    def config(self, config):
        config["session"] = {"fromUser": False}
        return config

    async def test_a_users_id_names_no_conversation(self, client, provider):
        provider.says("ok")
        for _ in range(2):
            await asked(client, {**HI, "metadata": {"user_id": "ann"}})
        assert [len(body["messages"]) for body in provider.asked] == [1, 1]


async def test_integers_of_any_length_are_numbers_or_a_400(client, provider):
    provider.says("ok")
    for field in ("max_tokens", "top_k", "temperature"):
        body = json.dumps(HI | {field: 0}).replace(f'"{field}": 0', f'"{field}": 1{"0" * 5000}')
        async with client.post(PATH, data=body, headers={"Content-Type": "application/json"}) as response:
            assert (response.status, (await response.json())["error"]["type"]) == (400, "invalid_request_error")


async def test_the_summary_of_a_compacted_conversation_reaches_models_of_other_formats(client, provider):
    provider.says("ok")
    body = ask(TEXT)
    body["messages"] += [{"role": "assistant", "content": [{"type": "compaction", "content": "All of it."}]}]
    body["messages"] += [{"role": "user", "content": "b"}]
    await asked(client, body)
    assert [message["content"] for message in provider.asked[0]["messages"]] == ["hi", "All of it.", "b"]


@pytest.mark.parametrize("content", [[], [TEXT], [TEXT, TEXT]])
async def test_a_model_of_another_format_reads_that_a_tool_failed(client, provider, content):
    provider.says("ok")
    await asked(client, after_call(result(*content) | {"is_error": True}))
    (answer,) = [message for message in provider.asked[0]["messages"] if message["role"] == "tool"]
    assert answer["content"] == "\n".join(["Error:", *(part["text"] for part in content)])
