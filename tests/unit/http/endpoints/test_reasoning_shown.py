"""What clients see of a model's reasoning, whichever field its provider sends it in."""

import json

import pytest

from tests.unit.http.thinking import CALL, RESPONSES_TOOL, SHAPES, SIGNATURE, THOUGHT, answers, message

ASK = [{"role": "user", "content": "hi"}]
EVENTS_OF_REASONING = [
    "response.output_item.added",
    "response.content_part.added",
    "response.reasoning_text.delta",
    "response.reasoning_text.done",
    "response.content_part.done",
    "response.output_item.done",
]


@pytest.fixture(params=SHAPES)
def shape(request):
    return SHAPES[request.param]


async def test_a_whole_chat_answer_has_the_reasoning_beside_its_content(official, provider, shape):
    answers(provider, message("Hello", **shape))
    answer = await official.chat.completions.create(model="openclaw", messages=ASK)
    reply = answer.choices[0].message
    assert (reply.reasoning_content, reply.content) == (THOUGHT, "Hello")
    assert answer.usage.completion_tokens_details.reasoning_tokens == 5
    # What the provider sends in OpenAI's own format is passed on, so that a client can return it.
    assert getattr(reply, "reasoning_details", None) == shape.get("reasoning_details")


async def test_a_chat_stream_has_the_reasoning_as_deltas_before_its_content(official, provider, shape):
    answers(provider, message("Hello", **shape))
    stream = await official.chat.completions.create(
        model="openclaw", messages=ASK, stream=True, stream_options={"include_usage": True}
    )
    chunks = [chunk async for chunk in stream]
    deltas = [chunk.choices[0].delta for chunk in chunks if chunk.choices]
    thoughts = [getattr(delta, "reasoning_content", None) for delta in deltas]
    assert "".join(filter(None, thoughts)) == THOUGHT
    assert len([thought for thought in thoughts if thought]) == 2, "each piece is passed on as it comes"
    texts = [index for index, delta in enumerate(deltas) if delta.content]
    assert max(index for index, thought in enumerate(thoughts) if thought) < texts[0]
    assert "".join(delta.content or "" for delta in deltas) == "Hello"
    assert chunks[-1].usage.completion_tokens_details.reasoning_tokens == 5
    details = [part for delta in deltas for part in getattr(delta, "reasoning_details", None) or ()]
    assert (SIGNATURE in json.dumps(details)) == (SIGNATURE in json.dumps(shape.get("reasoning_details")))


async def test_a_whole_response_begins_with_a_reasoning_item(official, provider, shape):
    answers(provider, message("Hello", **shape))
    response = await official.responses.create(model="openclaw", input="hi")
    reasoning, reply = response.output
    assert (reasoning.type, reasoning.status, reasoning.summary) == ("reasoning", "completed", [])
    assert [(part.type, part.text) for part in reasoning.content] == [("reasoning_text", THOUGHT)]
    assert reasoning.encrypted_content is None
    assert (reply.type, response.output_text) == ("message", "Hello")
    assert response.usage.output_tokens_details.reasoning_tokens == 5
    assert SIGNATURE not in response.model_dump_json()


async def test_a_streamed_response_tells_the_reasoning_as_an_item_of_its_own(official, provider, shape):
    answers(provider, message("Hello", **shape))
    async with official.responses.stream(model="openclaw", input="hi") as stream:
        events = [event async for event in stream]
        final = await stream.get_final_response()
    reasoning, reply = final.output
    of_item = [event for event in events if getattr(event, "output_index", None) == 0]
    assert list(dict.fromkeys(event.type for event in of_item)) == EVENTS_OF_REASONING
    assert "".join(event.delta for event in of_item if event.type.endswith(".delta")) == THOUGHT
    assert {event.item_id for event in of_item if hasattr(event, "item_id")} == {reasoning.id}
    assert of_item[-1].item.model_dump() == reasoning.model_dump()
    assert [(part.type, part.text) for part in reasoning.content] == [("reasoning_text", THOUGHT)]
    assert (reply.type, final.output_text) == ("message", "Hello")
    assert final.usage.output_tokens_details.reasoning_tokens == 5
    assert [event.sequence_number for event in events] == list(range(len(events)))


@pytest.mark.parametrize("stream", [False, True])
async def test_encrypted_content_is_there_only_for_a_client_that_asks_for_it(client, provider, shape, stream):
    answers(provider, *[message("Hello", **shape)] * 2)
    for include, sealed in ((None, False), (["reasoning.encrypted_content"], True)):
        body = {"model": "openclaw", "input": "hi", "include": include, "stream": stream}
        text = await (await client.post("/v1/responses", json=body)).text()
        if stream:
            (last,) = [line for line in text.splitlines() if '"response.completed"' in line and line[:5] == "data:"]
            response = json.loads(last.removeprefix("data: "))["response"]
        else:
            response = json.loads(text)
        encrypted = response["output"][0]["encrypted_content"]
        assert (encrypted or "").startswith("ocg2.") is sealed


@pytest.mark.parametrize("stream", [False, True])
async def test_reasoning_that_has_no_text_is_an_item_of_its_own(client, official, provider, stream):
    hidden = [{"type": "reasoning.encrypted", "data": "gAAA", "id": "rs_1", "format": "openai-v1", "index": 0}]
    answers(provider, message("Hello", reasoning_details=hidden))
    if stream:
        async with official.responses.stream(model="openclaw", input="hi") as events:
            response = await events.get_final_response()
    else:
        response = await official.responses.create(model="openclaw", input="hi")
    assert [item.type for item in response.output] == ["reasoning", "message"]
    assert response.output[0].content == []


@pytest.mark.parametrize("stream", [False, True])
async def test_reasoning_comes_before_the_calls_that_it_led_to(official, provider, shape, stream):
    answers(provider, message(None, CALL, **shape))
    if stream:
        async with official.responses.stream(model="openclaw", input="hi", tools=[RESPONSES_TOOL]) as events:
            response = await events.get_final_response()
    else:
        response = await official.responses.create(model="openclaw", input="hi", tools=[RESPONSES_TOOL])
    assert [item.type for item in response.output] == ["reasoning", "function_call"]
