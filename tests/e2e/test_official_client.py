import asyncio
import struct

import openai
import pytest
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from pydantic import BaseModel

from tests.e2e.answers import SEEN, chunk, cuts, embeds, in_turn, refuses, says, streams
from tests.e2e.conftest import TOKEN

pytestmark = pytest.mark.asyncio(loop_scope="module")

HI = [{"role": "user", "content": "hi"}]
WEATHER = {"type": "function", "function": {"name": "get_weather", "parameters": {"type": "object", "properties": {}}}}
CLOCK = {"type": "function", "function": {"name": "get_time"}}


async def test_models_are_listed(official):
    model_ids = [model.id async for model in official.models.list()]
    assert model_ids == ["openclaw", "openclaw/default", "openclaw/main", "openclaw/other"]


@pytest.mark.parametrize("name", ["openclaw", "openclaw/default", "openclaw/other"])
async def test_a_model_is_retrieved_by_its_name(official, name):
    model = await official.models.retrieve(name)
    assert (model.id, model.object, model.owned_by) == (name, "model", "openclaw")


async def test_chat_answers_with_text_and_usage(official, provider):
    model = provider.model(says("Hello"))
    answer = await official.chat.completions.create(model="openclaw", messages=HI, extra_headers=model.chosen)
    (choice,) = answer.choices
    assert (choice.message.role, choice.message.content, choice.finish_reason) == ("assistant", "Hello", "stop")
    assert answer.usage is not None
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens, answer.usage.total_tokens) == (11, 7, 18)
    assert (answer.object, answer.model) == ("chat.completion", "openclaw")
    assert model.body["messages"] == HI


async def test_a_stream_brings_each_piece_the_finish_and_the_usage(official, provider):
    model = provider.model(says("Hel|lo"))
    stream = await official.chat.completions.create(
        model="openclaw/other",
        messages=HI,
        stream=True,
        stream_options={"include_usage": True},
        extra_headers=model.chosen,
    )
    chunks = [chunk async for chunk in stream]
    *parts, last = chunks
    assert [part.choices[0].delta.content for part in parts if part.choices[0].delta.content] == ["Hel", "lo"]
    assert [part.choices[0].finish_reason for part in parts if part.choices[0].finish_reason] == ["stop"]
    assert (last.choices, last.usage.total_tokens) == ([], 18)
    assert len({chunk.id for chunk in chunks}) == 1
    assert {chunk.model for chunk in chunks} == {"openclaw/other"}


async def test_a_stream_has_no_usage_unless_it_was_asked_for(official, provider):
    model = provider.model(says("Hello"))
    stream = await official.chat.completions.create(
        model="openclaw", messages=HI, stream=True, extra_headers=model.chosen
    )
    assert [chunk.usage async for chunk in stream if chunk.usage or not chunk.choices] == []


async def test_the_blocking_client_gets_whole_answers_and_streams(gateway, provider):
    model = provider.model(says("Hel|lo"))

    def ask() -> tuple[str | None, str]:
        http = openai.DefaultHttpxClient(trust_env=False)
        with openai.OpenAI(api_key=TOKEN, base_url=f"{gateway.url}/v1", max_retries=0, http_client=http) as blocking:
            chat = blocking.chat.completions
            whole = chat.create(model="openclaw", messages=HI, extra_headers=model.chosen)
            with chat.create(model="openclaw", messages=HI, stream=True, extra_headers=model.chosen) as stream:
                return whole.choices[0].message.content, "".join(c.choices[0].delta.content or "" for c in stream)

    assert await asyncio.to_thread(ask) == ("Hello", "Hello")


async def test_parallel_calls_arrive_with_the_providers_ids_and_argument_text(official, provider):
    calls = [("call_a", "get_weather", '{"city": "Oslo"}'), ("call_b", "get_time", "{}")]
    model = provider.model(says("Let me see.", *calls, finish="tool_calls"))
    answer = await official.chat.completions.create(
        model="openclaw", messages=HI, tools=[WEATHER, CLOCK], parallel_tool_calls=True, extra_headers=model.chosen
    )
    (choice,) = answer.choices
    assert (choice.message.content, choice.finish_reason) == ("Let me see.", "tool_calls")
    assert [(c.id, c.function.name, c.function.arguments) for c in choice.message.tool_calls] == calls
    assert model.body["tools"] == [WEATHER, CLOCK]
    assert model.body["parallel_tool_calls"] is True
    assert "tool_choice" not in model.body


async def test_streamed_calls_are_put_together_by_the_client(official, provider):
    calls = [("call_a", "get_weather", '{"city": "Oslo"}'), ("call_b", "get_time", "{}")]
    model = provider.model(says(None, *calls, finish="tool_calls"))
    async with official.chat.completions.stream(
        model="openclaw", messages=HI, tools=[WEATHER, CLOCK], extra_headers=model.chosen
    ) as stream:
        final = await stream.get_final_completion()
    (choice,) = final.choices
    assert [(c.id, c.function.name, c.function.arguments) for c in choice.message.tool_calls] == calls
    assert choice.finish_reason == "tool_calls"


@pytest.mark.parametrize("choice", ["auto", "required", {"type": "function", "function": {"name": "get_weather"}}])
async def test_tool_choice_reaches_the_provider(official, provider, choice):
    model = provider.model(says(None, ("call_a", "get_weather", "{}"), finish="tool_calls"))
    answer = await official.chat.completions.create(
        model="openclaw", messages=HI, tools=[WEATHER], tool_choice=choice, extra_headers=model.chosen
    )
    assert answer.choices[0].finish_reason == "tool_calls"
    assert model.body["tool_choice"] == choice


@pytest.mark.parametrize("choice", ["required", {"type": "function", "function": {"name": "get_weather"}}])
async def test_a_demanded_call_that_was_not_made_is_an_error(official, provider, choice):
    model = provider.model(says("I would rather not."))
    with pytest.raises(openai.InternalServerError) as refused:
        await official.chat.completions.create(
            model="openclaw", messages=HI, tools=[WEATHER], tool_choice=choice, extra_headers=model.chosen
        )
    assert (refused.value.status_code, refused.value.type) == (502, "api_error")


async def test_tool_choice_none_is_sent_with_the_tools(official, provider):
    model = provider.model(says("Hello"))
    await official.chat.completions.create(
        model="openclaw", messages=HI, tools=[WEATHER], tool_choice="none", extra_headers=model.chosen
    )
    assert (model.body["tools"], model.body["tool_choice"]) == ([WEATHER], "none")


async def test_a_tool_loop_reaches_the_provider_unchanged(official, provider):
    first = provider.model(says("Let me see.", ("call_a", "get_weather", '{"city": "Oslo"}'), finish="tool_calls"))
    answer = await official.chat.completions.create(
        model="openclaw", messages=HI, tools=[WEATHER], extra_headers=first.chosen
    )
    conversation = [
        {"role": "system", "content": "be brief"},
        *HI,
        answer.choices[0].message,
        {"role": "tool", "tool_call_id": "call_a", "content": "5 °C"},
    ]
    second = provider.model(says("It is cold."))
    answer = await official.chat.completions.create(
        model="openclaw", messages=conversation, tools=[WEATHER], extra_headers=second.chosen
    )
    assert answer.choices[0].message.content == "It is cold."
    system, user, assistant, result = second.body["messages"]
    assert (system, user) == ({"role": "system", "content": "be brief"}, HI[0])
    assert (assistant["role"], assistant["content"]) == ("assistant", "Let me see.")
    assert assistant["tool_calls"] == [
        {"id": "call_a", "type": "function", "function": {"name": "get_weather", "arguments": '{"city": "Oslo"}'}}
    ]
    assert result == {"role": "tool", "tool_call_id": "call_a", "content": "5 °C"}


async def test_the_wanted_form_of_the_answer_reaches_the_provider(official, provider):
    model = provider.model(says('{"city": "Oslo"}'))
    wanted = {"type": "json_schema", "json_schema": {"name": "city", "schema": {"type": "object"}, "strict": True}}
    answer = await official.chat.completions.create(
        model="openclaw", messages=HI, response_format=wanted, extra_headers=model.chosen
    )
    assert answer.choices[0].message.content == '{"city": "Oslo"}'
    assert model.body["response_format"] == wanted


async def test_embeddings_packed_by_default_are_the_providers_numbers_as_float32(official, provider):
    numbers = [0.1, -1.0 / 3, 1e-7, 3.0]
    model = provider.model(embeds(numbers, [1.0, 0.0, 0.0, 0.0]))
    answer = await official.embeddings.create(model="openclaw", input=["a", "b"], extra_headers=model.chosen)
    assert [item.index for item in answer.data] == [0, 1]
    assert list(answer.data[0].embedding) == list(struct.unpack("<4f", struct.pack("<4f", *numbers)))
    assert (answer.usage.prompt_tokens, answer.usage.total_tokens) == (3, 3)
    assert model.body["input"] == ["a", "b"]


async def test_embeddings_as_floats_are_the_providers_numbers(official, provider):
    numbers = [0.1, -1.0 / 3, 1e-7, 3.0]
    model = provider.model(embeds(numbers))
    answer = await official.embeddings.create(
        model="openclaw", input="a", encoding_format="float", dimensions=4, extra_headers=model.chosen
    )
    assert answer.data[0].embedding == numbers
    assert model.body["dimensions"] == 4


@pytest.mark.parametrize(
    ("answer", "raised", "kind"),
    [
        (refuses(400, "bad", code="odd_value", param="top_p"), openai.BadRequestError, "invalid_request_error"),
        (refuses(401, "bad key"), openai.InternalServerError, "upstream_auth_error"),
        (refuses(404, "no such model"), openai.NotFoundError, "invalid_request_error"),
        (refuses(422, "odd"), openai.UnprocessableEntityError, "invalid_request_error"),
        (refuses(429, "slow down"), openai.RateLimitError, "upstream_rate_limited"),
        (refuses(500, "broken"), openai.InternalServerError, "upstream_error"),
    ],
)
async def test_a_providers_failure_raises_the_matching_exception(official, provider, answer, raised, kind):
    model = provider.model(answer)
    with pytest.raises(raised) as failure:
        await official.chat.completions.create(model="openclaw", messages=HI, extra_headers=model.chosen)
    assert failure.value.type == kind


async def test_a_providers_rate_limit_says_when_to_come_back(official, provider):
    model = provider.model(refuses(429, "slow down", headers={"Retry-After": "120"}))
    with pytest.raises(openai.RateLimitError) as failure:
        await official.chat.completions.create(model="openclaw", messages=HI, extra_headers=model.chosen)
    assert failure.value.response.headers["retry-after"] == "120"


async def test_a_wrong_key_is_an_authentication_error(official):
    with pytest.raises(openai.AuthenticationError) as failure:
        await official.with_options(api_key="wrong").models.list()
    assert failure.value.type == "unauthorized"


async def test_an_unknown_model_is_not_found(official):
    with pytest.raises(openai.NotFoundError):
        await official.models.retrieve("openclaw/nobody")


async def test_an_invalid_request_names_the_field(official):
    with pytest.raises(openai.BadRequestError) as failure:
        await official.chat.completions.create(model="openclaw", messages=HI, temperature=9)
    assert failure.value.param == "temperature"


async def test_a_failing_stream_raises_in_the_client(official, provider):
    model = provider.model(refuses(500, "broken"))
    with pytest.raises(openai.InternalServerError):
        await official.chat.completions.create(model="openclaw", messages=HI, stream=True, extra_headers=model.chosen)


async def test_every_chunk_and_whole_answer_is_of_the_official_types(client, provider):
    model = provider.model(says("Hel|lo", ("call_a", "get_weather", "{}"), finish="tool_calls"))
    body = {"model": "openclaw", "messages": HI, "tools": [WEATHER]}
    async with client.post("/v1/chat/completions", json=body, headers=model.chosen) as response:
        ChatCompletion.model_validate_json(await response.read())
    body |= {"stream": True, "stream_options": {"include_usage": True}}
    async with client.post("/v1/chat/completions", json=body, headers=model.chosen) as response:
        *frames, done, end = (await response.text()).split("\n\n")
    assert (done, end) == ("data: [DONE]", "")
    chunks = [ChatCompletionChunk.model_validate_json(frame.removeprefix("data: ")) for frame in frames]
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-1] == "tool_calls"
    assert chunks[-1].usage.total_tokens == 18


async def test_the_stream_helper_reports_text_calls_and_the_parsed_answer(official, provider):
    class City(BaseModel):
        name: str

    model = provider.model(says('{"name":|"Oslo"}'))
    stream = official.chat.completions.stream(
        model="openclaw", messages=HI, response_format=City, extra_headers=model.chosen
    )
    async with stream as events:
        kinds = [event.type async for event in events]
        final = await events.get_final_completion()
    assert {"chunk", "content.delta", "content.done"} <= {*kinds}
    assert final.choices[0].message.parsed == City(name="Oslo")
    parsed = await official.chat.completions.parse(
        model="openclaw", messages=HI, response_format=City, extra_headers=model.chosen
    )
    assert parsed.choices[0].message.parsed == City(name="Oslo")


async def test_the_blocking_client_has_tools_helpers_embeddings_and_errors(gateway, provider):
    call = ("call_a", "get_weather", '{"city": "Oslo"}')
    model = provider.model(says("Let me see.", call, finish="tool_calls"))
    vectors = provider.model(embeds([0.5, 0.25]))

    def ask() -> None:
        http = openai.DefaultHttpxClient(trust_env=False)
        with openai.OpenAI(api_key=TOKEN, base_url=f"{gateway.url}/v1", max_retries=0, http_client=http) as blocking:
            with blocking.chat.completions.stream(
                model="openclaw", messages=HI, tools=[WEATHER], extra_headers=model.chosen
            ) as stream:
                (choice,) = stream.get_final_completion().choices
            assert choice.message.content == "Let me see."
            assert choice.message.tool_calls[0].function.arguments == call[2]
            with blocking.responses.stream(model="openclaw", input="hi", extra_headers=model.chosen) as stream:
                assert stream.get_final_response().output_text == "Let me see."
            embedded = blocking.embeddings.create(model="openclaw", input="a", extra_headers=vectors.chosen)
            assert embedded.data[0].embedding == [0.5, 0.25]
            assert next(iter(blocking.models.list())).id == "openclaw"
            assert blocking.responses.input_tokens.count(model="openclaw", input="x" * 400).input_tokens > 90
            with pytest.raises(openai.BadRequestError, match="temperature"):
                blocking.chat.completions.create(model="openclaw", messages=HI, temperature=9)

    await asyncio.to_thread(ask)


async def test_the_client_retries_after_the_time_in_the_header(official, provider):
    wait = {"Retry-After": "1"}
    model = provider.model(in_turn(*[refuses(429, "slow down", headers=wait)] * 2, says("Hello")))
    again = official.with_options(max_retries=3)
    answer = await again.chat.completions.create(model="openclaw", messages=HI, extra_headers=model.chosen)
    assert answer.choices[0].message.content == "Hello"
    assert len(model.asked) == 3


async def test_the_client_does_not_retry_what_can_not_succeed(official, provider):
    model = provider.model(refuses(400, "odd"))
    with pytest.raises(openai.BadRequestError):
        await official.with_options(max_retries=3).chat.completions.create(
            model="openclaw", messages=HI, extra_headers=model.chosen
        )
    assert len(model.asked) == 1


async def test_a_body_that_is_too_large_and_a_silent_provider_have_their_classes(official, provider):
    with pytest.raises(openai.APIStatusError) as failure:
        await official.chat.completions.create(
            model="openclaw", messages=[{"role": "user", "content": "x" * 21 * 2**20}]
        )
    assert (failure.value.status_code, failure.value.body["code"]) == (413, None)
    model = provider.model(streams(SEEN))
    with pytest.raises(openai.APITimeoutError):
        await official.with_options(timeout=0.5).chat.completions.create(
            model="openclaw", messages=HI, extra_headers=model.chosen
        )
    async with asyncio.timeout(30):
        await model.abandoned.wait()


async def test_a_stream_that_breaks_off_raises_in_the_client(official, provider):
    model = provider.model(streams(chunk({"content": "Hel"}), SEEN, then=cuts))
    model.seen.set()
    stream = await official.chat.completions.create(
        model="openclaw", messages=HI, stream=True, extra_headers=model.chosen
    )
    assert (await anext(stream)).choices[0].delta.role == "assistant"
    assert (await anext(stream)).choices[0].delta.content == "Hel"
    with pytest.raises(openai.APIError, match="broke off its answer"):
        await anext(stream)
