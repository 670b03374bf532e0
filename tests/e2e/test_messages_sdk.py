"""Anthropic's own SDK against a running gateway, with a provider of OpenAI's format and one of Anthropic's."""

import asyncio
import json
from typing import Any

import anthropic
import pytest
import pytest_asyncio
from anthropic.types import ErrorResponse, RawMessageStreamEvent
from pydantic import BaseModel, TypeAdapter

from gateway.core.answer import Answer
from gateway.core.message import Thinking, ToolCall
from gateway.core.usage import Usage
from tests.e2e.answers import SEEN, chunk, cuts, in_turn, refuses, replies, says, streams
from tests.e2e.conftest import TOKEN
from tests.e2e.provider import KEY
from tests.unit.wire.anthropic_messages import provider as claude

pytestmark = pytest.mark.asyncio(loop_scope="module")

HI = [{"role": "user", "content": "hi"}]
ASK = {"model": "openclaw", "max_tokens": 99, "messages": HI}
WEATHER = {"name": "get_weather", "description": "The weather.", "input_schema": {"type": "object", "properties": {}}}
CLOCK = {"name": "get_time", "input_schema": {"type": "object"}}
CALLS = [("call_a", "get_weather", '{"city": "Oslo"}'), ("call_b", "get_time", "{}")]
EVENT: TypeAdapter[Any] = TypeAdapter(RawMessageStreamEvent)


@pytest.fixture(scope="module")
def config(config, provider):
    config["gateway"]["http"]["endpoints"] = {"messages": {"enabled": True}}
    config["gateway"]["limits"] = [{"name": "few", "per": ["model"], "models": ["fake/few*"], "requestsPerMinute": 1}]
    root = provider.url.removesuffix("/v1")
    config["models"]["providers"]["claude"] = {"baseUrl": root, "apiKey": KEY, "api": "anthropic-messages"}
    chain = {"primary": "fake/broken-1", "fallbacks": ["fake/broken-2"]}
    config["agents"]["entries"]["rescued"] = {"model": chain}
    config["gateway"]["stream"] = {"rescue": True}
    return config


def sdk(url: str, **more: Any) -> anthropic.AsyncAnthropic:
    known: dict[str, Any] = {"api_key": TOKEN, "base_url": url, "max_retries": 0} | more
    return anthropic.AsyncAnthropic(**known, http_client=anthropic.DefaultAsyncHttpxClient(trust_env=False))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def claudes(gateway):
    """Anthropic's own client, configured for the gateway."""
    async with sdk(gateway.url) as ready:
        yield ready


def on_claude(model):
    return {"x-openclaw-model": f"claude/{model.id}"}


def claude_says(answer: Answer):
    """The answer of a provider of Anthropic's format, streamed if it is asked so."""
    whole = replies(claude.whole(answer))
    streamed = streams(*claude.frames(answer))

    async def respond(request, model):
        return await (streamed if model.asked[-1].body.get("stream") else whole)(request, model)

    return respond


async def test_a_message_has_text_usage_and_the_id_of_its_request(claudes, provider):
    model = provider.model(says("Hello"))
    answer = await claudes.messages.create(**ASK, extra_headers=model.chosen)
    assert [block.text for block in answer.content] == ["Hello"]
    assert (answer.role, answer.model, answer.stop_reason) == ("assistant", "openclaw", "end_turn")
    assert (answer.usage.input_tokens, answer.usage.output_tokens) == (11, 7)
    assert answer._request_id.startswith("req_")
    assert model.body["messages"] == HI
    assert model.body["max_tokens"] == 99


async def test_the_blocking_client_gets_whole_answers_and_streams(gateway, provider):
    model = provider.model(says("Hel|lo"))

    def ask() -> tuple[str, str, str]:
        http = anthropic.DefaultHttpxClient(trust_env=False)
        with anthropic.Anthropic(auth_token=TOKEN, api_key=None, base_url=gateway.url, http_client=http) as blocking:
            whole = blocking.messages.create(**ASK, extra_headers=model.chosen)
            with blocking.messages.stream(**ASK, extra_headers=model.chosen) as stream:
                text = "".join(stream.text_stream)
                return whole.content[0].text, text, stream.get_final_message().stop_reason

    assert await asyncio.to_thread(ask) == ("Hello", "Hello", "end_turn")


async def test_the_blocking_client_counts_lists_calls_tools_and_raises_the_same_classes(gateway, provider):
    model = provider.model(in_turn(says("Let me see.", CALLS[0], finish="tool_calls"), says("Cold.")))
    broken = provider.model(refuses(503, "later"))

    def ask() -> None:
        http = anthropic.DefaultHttpxClient(trust_env=False)
        with anthropic.Anthropic(api_key=TOKEN, base_url=gateway.url, max_retries=0, http_client=http) as blocking:
            with blocking.messages.stream(**ASK, tools=[WEATHER], extra_headers=model.chosen) as stream:
                kinds = {event.type for event in stream}
                first = stream.get_final_message()
            assert {"text", "input_json", "content_block_stop", "message_stop"} <= kinds
            assert (first.content[1].name, first.content[1].input) == ("get_weather", {"city": "Oslo"})
            result = {"type": "tool_result", "tool_use_id": first.content[1].id, "content": "5"}
            loop = [*HI, {"role": "assistant", "content": first.content}, {"role": "user", "content": [result]}]
            answer = blocking.messages.create(**{**ASK, "messages": loop}, tools=[WEATHER], extra_headers=model.chosen)
            assert answer.content[0].text == "Cold."
            assert blocking.messages.count_tokens(model="openclaw", messages=HI).input_tokens > 0
            assert len([model.id for model in blocking.models.list(limit=2)]) > 4
            with pytest.raises(anthropic.InternalServerError) as failure:
                blocking.messages.create(**ASK, extra_headers=broken.chosen)
            assert failure.value.status_code == 529
            with pytest.raises(anthropic.NotFoundError):
                blocking.messages.create(**{**ASK, "model": "claude-openclaw-nobody"})

    await asyncio.to_thread(ask)


async def test_the_tool_runner_of_the_sdk_completes_a_loop(claudes, provider):
    called = []

    @anthropic.beta_async_tool
    async def get_weather(city: str) -> str:
        """The weather of a city."""
        called.append(city)
        return f"{city}: 5C"

    model = provider.model(in_turn(says("Let me see.", CALLS[0], finish="tool_calls"), says("Cold.")))
    runner = claudes.beta.messages.tool_runner(**ASK, tools=[get_weather], extra_headers=model.chosen)
    final = await runner.until_done()
    assert final.content[0].text == "Cold."
    assert called == ["Oslo"]
    assert model.asked[1].body["messages"][-1] == {"role": "tool", "tool_call_id": "call_a", "content": "Oslo: 5C"}


async def test_the_wanted_form_is_parsed_by_the_sdk_and_the_beta_client_streams(claudes, provider):
    class City(BaseModel):
        name: str

    model = provider.model(says('{"name": "Oslo"}'))
    answer = await claudes.messages.parse(**ASK, output_format=City, extra_headers=model.chosen)
    assert answer.parsed_output == City(name="Oslo")
    assert model.body["response_format"]["type"] == "json_schema"
    async with claudes.beta.messages.stream(**ASK, betas=["unheard-of-2026-01-01"], extra_headers=model.chosen) as beta:
        assert (await beta.get_final_message()).content[0].text == '{"name": "Oslo"}'
    assert (await claudes.beta.messages.count_tokens(model="openclaw", messages=HI)).input_tokens > 0


async def test_every_event_of_thinking_and_of_a_failure_is_of_the_makers_type(client, provider):
    answer = Answer("Hello", "stop", Usage(11, 7, 18), thinking=(Thinking("First …", "c2ln+/8="),))
    model = provider.model(claude_says(answer), "claude-sonnet-4-5")
    body = ASK | {"stream": True, "max_tokens": 3000, "thinking": {"type": "enabled", "budget_tokens": 1024}}
    async with client.post("/v1/messages", json=body, headers=on_claude(model)) as response:
        events = [json.loads(line[6:]) async for line in response.content if line.startswith(b"data: ")]
    for one in events:
        if one["type"] != "ping":
            EVENT.validate_python(one)
    kinds = [one["delta"]["type"] for one in events if one["type"] == "content_block_delta"]
    assert list(dict.fromkeys(kinds)) == ["thinking_delta", "signature_delta", "text_delta"]
    broken = provider.model(streams(chunk({"content": "Hel"}), SEEN, then=cuts))
    broken.seen.set()
    async with client.post("/v1/messages", json=ASK | {"stream": True}, headers=broken.chosen) as response:
        lines = [json.loads(line[6:]) async for line in response.content if line.startswith(b"data: ")]
    assert ErrorResponse.model_validate(lines[-1]).error.type == "api_error"


async def test_a_stream_has_every_event_in_order_and_each_is_of_the_makers_type(gateway, client, provider):
    model = provider.model(says("Hel|lo", *CALLS, finish="tool_calls"))
    body = ASK | {"stream": True, "tools": [WEATHER, CLOCK]}
    async with client.post("/v1/messages?beta=true", json=body, headers=model.chosen) as response:
        assert response.headers["Content-Type"].startswith("text/event-stream")
        assert response.headers["request-id"] == response.headers["X-Request-ID"]
        frames = (await response.text()).split("\n\n")
    assert frames.pop() == ""
    names = []
    for frame in frames:
        name, data = frame.removeprefix("event: ").split("\ndata: ")
        names.append(name)
        if name != "ping":
            EVENT.validate_python(json.loads(data))
    block = ["content_block_start", "content_block_delta", "content_block_stop"]
    text = ["content_block_start", "content_block_delta", "content_block_delta", "content_block_stop"]
    assert names == ["message_start", "ping", *text, *block, *block, "message_delta", "message_stop"]


async def test_the_stream_helper_accumulates_text_calls_and_usage(claudes, provider):
    model = provider.model(says("Let me see.", *CALLS, finish="tool_calls"))
    async with claudes.messages.stream(**ASK, tools=[WEATHER, CLOCK], extra_headers=model.chosen) as stream:
        final = await stream.get_final_message()
    text, *calls = final.content
    assert text.text == "Let me see."
    assert [(call.id, call.name, call.input) for call in calls] == [
        ("call_a", "get_weather", {"city": "Oslo"}),
        ("call_b", "get_time", {}),
    ]
    assert (final.stop_reason, final.usage.input_tokens, final.usage.output_tokens) == ("tool_use", 11, 7)


async def test_a_tool_loop_reaches_the_provider_as_messages(claudes, provider):
    first = says("Let me see.", *CALLS, finish="tool_calls")
    model = provider.model(in_turn(first, says("Cold.")))
    ask = ASK | {"tools": [WEATHER, CLOCK], "system": "be brief", "extra_headers": model.chosen}
    answer = await claudes.messages.create(**ask, tool_choice={"type": "auto", "disable_parallel_tool_use": True})
    results = [
        {"type": "tool_result", "tool_use_id": "call_a", "content": [{"type": "text", "text": "5 °C"}]},
        {"type": "tool_result", "tool_use_id": "call_b", "content": "broken", "is_error": True},
        {"type": "text", "text": "And?"},
    ]
    loop = [*HI, {"role": "assistant", "content": answer.content}, {"role": "user", "content": results}]
    answer = await claudes.messages.create(**{**ask, "messages": loop})
    assert answer.content[0].text == "Cold."
    assert model.asked[0].body["parallel_tool_calls"] is False
    system, user, assistant, *others = model.asked[1].body["messages"]
    assert (system, user) == ({"role": "system", "content": "be brief"}, HI[0])
    assert assistant["content"] == "Let me see."
    assert [(call["id"], json.loads(call["function"]["arguments"])) for call in assistant["tool_calls"]] == [
        ("call_a", {"city": "Oslo"}),
        ("call_b", {}),
    ]
    assert others == [
        {"role": "tool", "tool_call_id": "call_a", "content": "5 °C"},
        {"role": "tool", "tool_call_id": "call_b", "content": "Error:\nbroken"},
        {"role": "user", "content": "And?"},
    ]


@pytest.mark.parametrize(
    ("choice", "sent"),
    [
        ({"type": "any"}, "required"),
        ({"type": "tool", "name": "get_time"}, {"type": "function", "function": {"name": "get_time"}}),
    ],
)
async def test_a_demanded_tool_reaches_the_provider(claudes, provider, choice, sent):
    model = provider.model(says(None, CALLS[1], finish="tool_calls"))
    answer = await claudes.messages.create(
        **ASK, tools=[WEATHER, CLOCK], tool_choice=choice, extra_headers=model.chosen
    )
    assert answer.stop_reason == "tool_use"
    assert model.body["tool_choice"] == sent


async def test_tokens_are_counted_without_a_provider(claudes):
    short = await claudes.messages.count_tokens(model="openclaw", messages=HI)
    long = await claudes.messages.count_tokens(model="openclaw", system="x" * 400, messages=HI, tools=[WEATHER])
    assert 0 < short.input_tokens < 10
    assert long.input_tokens > short.input_tokens + 100


async def test_models_are_listed_with_names_that_clients_of_claude_accept_and_each_works(claudes, provider):
    names = [model.id async for model in claudes.models.list()]
    assert {"openclaw", "openclaw/main", "claude-openclaw", "claude-openclaw-main", "claude-openclaw-other"} <= {*names}
    assert (await claudes.models.retrieve("claude-openclaw-other")).display_name == "claude-openclaw-other"
    model = provider.model(says("Hello"))
    for name in names:
        answer = await claudes.messages.create(**{**ASK, "model": name}, extra_headers=model.chosen)
        assert answer.model == name


async def test_the_models_come_in_pages_in_both_directions(claudes):
    everything = [model async for model in claudes.models.list()]
    names = [model.id for model in everything]
    assert len(names) > 6
    for limit in (1, 2, 3, len(names), 1000):
        page = await claudes.models.list(limit=limit)
        assert ([model.id for model in page.data], page.has_more) == (names[:limit], limit < len(names))
        assert (page.first_id, page.last_id) == (names[0], names[:limit][-1])
        assert [model.id async for model in page] == names
    middle = names[3]
    assert [model.id async for model in claudes.models.list(after_id=middle, limit=2)] == names[4:]
    page = await claudes.models.list(before_id=middle, limit=2)
    assert ([model.id for model in page.data], page.has_more) == (names[1:3], True)
    assert (page.first_id, page.last_id) == (names[1], names[2])
    assert [model.id async for model in page] == [*names[1:3], names[0]]
    for ends in ({"after_id": names[-1]}, {"before_id": names[0]}):
        page = await claudes.models.list(**ends)
        assert (page.data, page.has_more, page.first_id, page.last_id) == ([], False, None, None)
    assert [model.id async for model in claudes.models.list(lifecycle=["active", "retired"])] == names
    assert [model async for model in claudes.models.list(lifecycle=["deprecated"])] == []


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ({"limit": 0}, "limit"),
        ({"limit": 1001}, "limit"),
        ({"limit": "9" * 5000}, "limit"),
        ({"limit": "\u0663"}, "limit"),
        ({"after_id": "openclaw/nobody"}, "after_id"),
        ({"before_id": ""}, "before_id"),
        ({"after_id": "openclaw", "before_id": "openclaw"}, "before_id"),
        ({"lifecycle": ["sometimes"]}, "lifecycle"),
    ],
)
async def test_a_page_that_does_not_exist_is_refused_in_anthropics_form(claudes, query, named):
    with pytest.raises(anthropic.BadRequestError, match=f"`{named}`") as failure:
        await claudes.models.list(extra_query=query)
    assert failure.value.body["error"]["details"]["param"] == named


async def test_a_model_that_does_not_exist_and_a_wrong_key_are_errors_of_anthropics_form(gateway, claudes):
    with pytest.raises(anthropic.NotFoundError) as failure:
        await claudes.models.retrieve("claude-openclaw-nobody")
    assert failure.value.body["error"]["type"] == "not_found_error"
    assert failure.value.body["request_id"] == failure.value.request_id
    async with sdk(gateway.url, api_key="wrong") as wrong:
        with pytest.raises(anthropic.AuthenticationError) as failure:
            await wrong.models.list()
    assert failure.value.body["error"]["type"] == "authentication_error"


async def test_openais_clients_still_see_the_list_as_openai_has_it(client):
    async with client.get("/v1/models") as response:
        models = await response.json()
    assert models["object"] == "list"
    assert not any(one["id"].startswith("claude") for one in models["data"])
    async with client.get("/v1/models?limit=1&after_id=nobody") as response:  # of Anthropic's form only
        assert await response.json() == models
    async with client.get("/v1/models/openclaw/nobody") as response:
        assert set((await response.json())["error"]) == {"message", "type", "param", "code"}


async def test_thinking_and_its_signature_pass_unchanged_between_the_client_and_anthropic(claudes, provider):
    thought = Thinking("First …", "c2ln+/8=")
    call = ToolCall("toolu_1", "get_weather", '{"city":"Oslo"}')
    usage = Usage(110, 70, 180, 30, 20, 10, 4)
    answers = (Answer(None, "tool_calls", usage, (call,), (thought,)), Answer("Cold.", "stop", usage))
    model = provider.model(in_turn(*map(claude_says, answers)), "claude-sonnet-4-6")
    settings = {"thinking": {"type": "adaptive"}, "output_config": {"effort": "medium"}, "max_tokens": 3000}
    cached = [{"type": "text", "text": "be brief", "cache_control": {"type": "ephemeral", "ttl": "1h"}}]
    ask = ASK | settings | {"tools": [WEATHER], "system": cached, "extra_headers": on_claude(model)}
    ask |= {"metadata": {"user_id": '{"session_id": "s"}'}, "extra_body": {"unheard_of": {"a": 1}}}
    async with claudes.messages.stream(**ask) as stream:
        first = await stream.get_final_message()
    block, called = first.content
    assert (block.thinking, block.signature, called.input) == ("First …", "c2ln+/8=", {"city": "Oslo"})
    assert (first.usage.input_tokens, first.usage.cache_read_input_tokens) == (70, 30)
    assert first.usage.cache_creation_input_tokens == 10
    result = {"type": "tool_result", "tool_use_id": "toolu_1", "content": "5", "cache_control": {"type": "ephemeral"}}
    loop = [*HI, {"role": "assistant", "content": first.content}, {"role": "user", "content": [result]}]
    beta = {"extra_headers": {**on_claude(model), "anthropic-beta": "one-2026-01-01,two"}}
    answer = await claudes.messages.create(**{**ask, **beta, "messages": loop})
    assert answer.content[0].text == "Cold."
    sent = model.asked[1]
    assert sent.body["messages"][1]["content"] == [
        {"type": "thinking", "thinking": "First …", "signature": "c2ln+/8="},
        {"type": "tool_use", "id": "toolu_1", "name": "get_weather", "input": {"city": "Oslo"}},
    ]
    assert sent.body["messages"][2]["content"] == [result]
    assert (sent.body["system"], sent.body["thinking"]) == (cached, {"type": "adaptive"})
    assert (sent.body["output_config"], sent.body["unheard_of"]) == ({"effort": "medium"}, {"a": 1})
    assert sent.body["metadata"] == {"user_id": '{"session_id": "s"}'}
    assert sent.headers["anthropic-beta"] == "one-2026-01-01,two"


async def test_a_tool_that_anthropic_runs_works_with_anthropic_and_is_left_out_elsewhere(claudes, provider):
    use = {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "x"}}
    result = {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": []}
    message = claude._message(Answer(None, "stop", Usage(1, 1, 2)), [use, result, {"type": "text", "text": "Yes."}])
    model = provider.model(replies(json.dumps(message).encode()), "claude-opus-4-6")
    search = {"type": "web_search_20250305", "name": "web_search", "max_uses": 8}
    answer = await claudes.messages.create(**ASK, tools=[search, CLOCK], extra_headers=on_claude(model))
    assert [block.type for block in answer.content] == ["server_tool_use", "web_search_tool_result", "text"]
    loop = [*HI, {"role": "assistant", "content": answer.content}, {"role": "user", "content": "And?"}]
    await claudes.messages.create(**{**ASK, "messages": loop}, tools=[search], extra_headers=on_claude(model))
    assert model.asked[0].body["tools"][0] == search
    kinds = [block["type"] for block in model.asked[1].body["messages"][1]["content"]]
    assert kinds == ["server_tool_use", "web_search_tool_result", "text"]
    other = provider.model(says("Hello"))
    await claudes.messages.create(**{**ASK, "messages": loop}, tools=[search, CLOCK], extra_headers=other.chosen)
    assert [tool["function"]["name"] for tool in other.body["tools"]] == ["get_time"]
    pinned = {"type": "tool", "name": "web_search"}
    with pytest.raises(anthropic.BadRequestError, match="web_search"):
        await claudes.messages.create(**ASK, tools=[search], tool_choice=pinned, extra_headers=other.chosen)


async def test_a_tool_of_anthropics_form_that_the_client_runs_works_with_every_model(claudes, provider):
    model = provider.model(says(None, ("call_a", "bash", '{"command": "ls"}'), finish="tool_calls"))
    bash = {"type": "bash_20250124", "name": "bash"}
    answer = await claudes.messages.create(**ASK, tools=[bash], extra_headers=model.chosen)
    assert (answer.content[0].name, answer.content[0].input) == ("bash", {"command": "ls"})
    assert model.body["tools"][0]["function"]["parameters"]["properties"].keys() == {"command", "restart"}


ERRORS = {
    400: (refuses(400, "odd"), anthropic.BadRequestError, "invalid_request_error"),
    404: (refuses(404, "no such model"), anthropic.NotFoundError, "not_found_error"),
    413: (refuses(413, "big"), anthropic.APIStatusError, "request_too_large"),
    429: (refuses(429, "slow down", headers={"Retry-After": "90"}), anthropic.RateLimitError, "rate_limit_error"),
    502: (refuses(500, "oh"), anthropic.InternalServerError, "api_error"),
    529: (refuses(503, "later"), anthropic.InternalServerError, "overloaded_error"),
    504: (refuses(504, "late"), anthropic.InternalServerError, "timeout_error"),
}


@pytest.mark.parametrize("status", ERRORS)
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
async def test_a_failure_of_the_provider_has_the_sdks_class_and_anthropics_form(claudes, provider, status, stream):
    answer, kind, name = ERRORS[status]
    model = provider.model(answer)
    with pytest.raises(kind) as failure:
        await claudes.messages.create(**ASK, stream=stream, extra_headers=model.chosen)
    assert failure.value.status_code == status
    body = failure.value.body
    assert (body["type"], body["error"]["type"]) == ("error", name)
    assert body["request_id"] == failure.value.request_id
    assert failure.value.request_id.startswith("req_")


async def test_a_conversation_that_is_too_long_is_named_as_anthropic_names_it(claudes, provider):
    model = provider.model(refuses(400, "maximum context length is 10", code="context_length_exceeded"))
    with pytest.raises(anthropic.BadRequestError, match=r"prompt is too long: .*maximum context length is 10"):
        await claudes.messages.create(**ASK, extra_headers=model.chosen)


async def test_refusals_of_the_gateway_have_anthropics_form(gateway, claudes, provider):
    async with sdk(gateway.url, api_key="wrong") as wrong:
        with pytest.raises(anthropic.AuthenticationError) as failure:
            await wrong.messages.create(**ASK)
    assert failure.value.body["error"]["type"] == "authentication_error"
    assert failure.value.response.headers["x-should-retry"] == "false"
    with pytest.raises(anthropic.NotFoundError) as failure:
        await claudes.messages.create(**{**ASK, "model": "claude-openclaw-nobody"})
    assert failure.value.body["error"]["type"] == "not_found_error"
    with pytest.raises(anthropic.APIStatusError) as failure:
        await claudes.messages.create(**{**ASK, "messages": [{"role": "user", "content": "x" * 21 * 2**20}]})
    assert (failure.value.status_code, failure.value.body["error"]["type"]) == (413, "request_too_large")
    with pytest.raises(anthropic.BadRequestError, match=r"messages\[0\]\.content\[0\]\.source"):
        await claudes.messages.create(**{**ASK, "messages": [{"role": "user", "content": [{"type": "image"}]}]})
    few = provider.model(says("Hello"), "few-1")
    await claudes.messages.create(**ASK, extra_headers=few.chosen)
    with pytest.raises(anthropic.RateLimitError) as failure:
        await claudes.messages.create(**ASK, extra_headers=few.chosen)
    assert failure.value.body["error"]["type"] == "rate_limit_error"
    assert int(failure.value.response.headers["retry-after"]) > 0
    assert failure.value.response.headers["x-should-retry"] == "true"
    assert failure.value.response.headers["request-id"] == failure.value.body["request_id"]


async def test_the_sdk_retries_after_the_time_in_the_header(gateway, provider):
    wait = {"Retry-After": "1"}
    model = provider.model(in_turn(refuses(429, "slow down", headers=wait), says("Hello"), says("Hello")))
    async with sdk(gateway.url, max_retries=2) as retrying:
        answer = await retrying.messages.create(**ASK, extra_headers=model.chosen)
    assert answer.content[0].text == "Hello"


async def test_an_answer_that_breaks_off_is_finished_by_the_fallback(claudes, provider):
    provider.model(streams(chunk({"content": "Hel"}), SEEN, then=cuts), "broken-1").seen.set()
    provider.model(says("Hel|lo"), "broken-2")
    async with claudes.messages.stream(**{**ASK, "model": "openclaw/rescued"}) as stream:
        text = [piece async for piece in stream.text_stream]
        final = await stream.get_final_message()
    assert ("".join(text), final.stop_reason) == ("Hello", "end_turn")


async def test_an_answer_that_breaks_off_for_good_ends_with_an_error_event(claudes, provider):
    model = provider.model(streams(chunk({"content": "Hel"}), SEEN, then=cuts))
    model.seen.set()
    async with claudes.messages.stream(**ASK, extra_headers=model.chosen) as stream:
        with pytest.raises(anthropic.APIStatusError, match="broke off its answer") as failure:
            await stream.get_final_message()
    assert failure.value.body["type"] == "error"


async def test_a_client_that_leaves_ends_the_request_at_the_provider(claudes, provider):
    model = provider.model(streams(chunk({"content": "Hel"}), SEEN))
    async with claudes.messages.stream(**ASK, extra_headers=model.chosen) as stream:
        async for event in stream:
            if event.type == "text":
                break
    async with asyncio.timeout(30):
        await model.abandoned.wait()


async def test_metadata_user_id_names_a_conversation_unless_the_client_keeps_its_own(claudes, provider):
    model = provider.model(says("Hello"))
    for user in ("ann", "ann", '{"device_id": "d", "session_id": "s"}'):
        await claudes.messages.create(**ASK, metadata={"user_id": user}, extra_headers=model.chosen)
    assert [len(asked.body["messages"]) for asked in model.asked] == [1, 3, 1]
