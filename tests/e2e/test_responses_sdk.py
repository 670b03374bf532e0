"""OpenAI's own client and its agents SDK against a real gateway process."""

from base64 import b64encode

import agents
import openai
import pytest
from openai.types.responses import ResponseStreamEvent
from pydantic import BaseModel, TypeAdapter

from tests.e2e.answers import in_turn, refuses, says
from tests.pdf import make_pdf

pytestmark = pytest.mark.asyncio(loop_scope="module")

EVENT = TypeAdapter(ResponseStreamEvent)
WEATHER = {"type": "function", "name": "get_weather", "parameters": {"type": "object", "properties": {}}}


def as_model(official, model):
    return official.with_options(default_headers=model.chosen)


async def test_the_accumulator_of_the_official_client_agrees_with_the_stream(official, provider):
    model = provider.model(says("Hel|lo", ("call_1", "get_weather", '{"city":"Oslo"}'), finish="tool_calls"))
    client = as_model(official, model)
    async with client.responses.stream(model="openclaw", input="hi", tools=[WEATHER]) as stream:
        events = [event async for event in stream]
        final = await stream.get_final_response()
    assert final.output_text == "Hello"
    assert final.output[1].arguments == '{"city":"Oslo"}'
    stored = await client.responses.retrieve(final.id)
    assert (stored.output_text, stored.usage, stored.tools) == (final.output_text, final.usage, final.tools)
    assert [item.id for item in stored.output] == [item.id for item in final.output]
    assert events[-1].type == "response.completed"


async def test_every_event_is_one_of_the_official_types(official, provider):
    model = provider.model(says("Hel|lo", ("call_1", "get_weather", "{}"), finish="tool_calls"))
    stream = await as_model(official, model).responses.create(
        model="openclaw", input="hi", tools=[WEATHER], stream=True, include=["message.output_text.logprobs"]
    )
    events = [event async for event in stream]
    for number, event in enumerate(events):
        EVENT.validate_python(event.model_dump())
        assert event.sequence_number == number


async def test_parse_retrieve_input_items_and_delete(official, provider):
    class City(BaseModel):
        name: str

    client = as_model(official, provider.model(says('{"name":"Oslo"}')))
    parsed = await client.responses.parse(model="openclaw", input="which?", text_format=City)
    assert parsed.output_parsed == City(name="Oslo")
    assert (await client.responses.retrieve(parsed.id)).output_text == parsed.output_text
    items = [item async for item in client.responses.input_items.list(parsed.id)]
    assert items[0].content[0].text == "which?"
    await client.responses.delete(parsed.id)
    with pytest.raises(openai.NotFoundError):
        await client.responses.retrieve(parsed.id)


async def test_a_pdf_is_read_and_a_scanned_one_is_shown(official, provider):
    model = provider.model(says("Read."), "sees")
    text, scan = make_pdf("Hello from page one. " * 20), make_pdf("")
    files = [
        {"type": "input_file", "filename": name, "file_data": f"data:application/pdf;base64,{b64encode(data).decode()}"}
        for name, data in (("text.pdf", text), ("scan.pdf", scan))
    ]
    messages = [{"role": "user", "content": [{"type": "input_text", "text": "read"}, *files]}]
    await as_model(official, model).responses.create(model="openclaw", input=messages)
    system, user = model.body["messages"]
    assert "Hello from page one." in system["content"]
    assert "1 rendered" in system["content"]
    assert [part["type"] for part in user["content"]] == ["text", "image_url"]
    assert user["content"][1]["image_url"]["url"].startswith("data:image/png;base64,")


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("goes_on", [False, True], ids=["resending", "by previous_response_id"])
async def test_a_tool_loop_of_the_agents_sdk_completes(official, provider, streamed, goes_on):
    called = []

    @agents.function_tool
    def get_weather(city: str) -> str:
        """The weather of a city."""
        called.append(city)
        return f"{city}: 5C"

    calls = [("c1", "get_weather", '{"city":"Oslo"}'), ("c2", "get_weather", '{"city":"Rome"}')]
    model = provider.model(
        in_turn(says("Let me see.", *calls, finish="tool_calls"), says("Cold in Oslo, and in Rome."))
    )
    agent = agents.Agent(
        "reporter",
        instructions="Report.",
        tools=[get_weather],
        model=agents.OpenAIResponsesModel("openclaw", as_model(official, model)),
    )
    settings = {"run_config": agents.RunConfig(tracing_disabled=True), "auto_previous_response_id": goes_on}
    if streamed:
        result = agents.Runner.run_streamed(agent, "weather?", **settings)
        async for _ in result.stream_events():
            pass
    else:
        result = await agents.Runner.run(agent, "weather?", **settings)
    assert result.final_output == "Cold in Oslo, and in Rome."
    assert sorted(called) == ["Oslo", "Rome"]
    sent = model.asked[1].body["messages"]
    assert [message["role"] for message in sent] == ["system", "user", "assistant", "tool", "tool"]
    assert [call["id"] for call in sent[2]["tool_calls"]] == ["c1", "c2"]
    assert [message["content"] for message in sent[3:]] == ["Oslo: 5C", "Rome: 5C"]


async def test_tokens_are_counted_and_a_conversation_is_compacted(official, provider):
    client = as_model(official, provider.model(says("We talked.")))
    few = await client.responses.input_tokens.count(model="openclaw", input="hi")
    many = await client.responses.input_tokens.count(model="openclaw", input="x" * 400, tools=[WEATHER])
    assert 0 < few.input_tokens < 10
    assert many.input_tokens > few.input_tokens + 100
    compacted = await client.responses.compact(model="openclaw", input="hi")
    assert compacted.object == "response.compaction"
    items = compacted.to_dict(warnings=False)["output"]  # the users' messages among them have no type of the SDK's
    again = await client.responses.create(model="openclaw", input=[*items, {"role": "user", "content": "?"}])
    assert again.output_text == "We talked."


@pytest.mark.parametrize("background", [False, True])
async def test_a_failure_is_a_failed_response_or_the_sdks_class(official, provider, background):
    client = as_model(official, provider.model(refuses(500, "broken")))
    if background:
        response = await client.responses.create(model="openclaw", input="hi", background=True)
        async for event in await client.responses.retrieve(response.id, stream=True):
            EVENT.validate_python(event.model_dump())
        assert (event.type, event.response.status) == ("response.failed", "failed")
        return
    with pytest.raises(openai.InternalServerError) as failure:
        await client.responses.create(model="openclaw", input="hi")
    assert failure.value.status_code == 502
    with pytest.raises(openai.NotFoundError):
        await client.responses.retrieve("resp_nobody")
