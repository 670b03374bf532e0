"""A model that thinks, whose answer breaks off and is asked for again: what the client sees, and what comes back."""

import pytest

from tests.unit.http.thinking import CALL, CHAT_TOOL, RESPONSES_TOOL, answers, message, returned

ASK = [{"role": "user", "content": "hi"}]
FIRST, SECOND = "I think so.", "I think otherwise."


@pytest.fixture
def config(config):
    config["gateway"]["stream"]["rescue"] = True
    config["gateway"]["retry"] = {"maxRetries": 1, "backoffMs": 1}
    return config


@pytest.fixture
def breaks(provider):
    """The first answer breaks off after these deltas; the next ones are these messages."""

    def build(deltas, *messages):
        answers(provider, message("not asked"), *messages)
        others = provider.answer

        async def answer(request):
            if len(provider.asked) > 1:
                return await others(request)
            response = await provider.begins(request, *deltas)
            request.transport.abort()
            return response

        provider.answer = answer

    return build


async def respond(official, given, **more):
    async with official.responses.stream(model="openclaw", input=given, tools=[RESPONSES_TOOL], **more) as events:
        seen = [event async for event in events]
        return seen, await events.get_final_response()


async def test_a_client_that_has_seen_the_reasoning_gets_none_of_the_repetition(official, provider, breaks):
    breaks(
        [{"reasoning_content": FIRST}, {"content": "Hel"}],
        message("Hello", reasoning_content=SECOND),
        message("Yes."),
    )
    seen, response = await respond(official, ASK)
    assert [item.type for item in response.output] == ["reasoning", "message"]
    assert response.output[0].content[0].text == FIRST
    assert response.output_text == "Hello"
    assert [event.sequence_number for event in seen] == list(range(len(seen)))
    await respond(official, "sure?", previous_response_id=response.id)
    assert returned(provider) == [{"reasoning_content": FIRST}]


async def test_calls_of_the_repetition_come_back_with_one_reasoning(official, provider, breaks):
    breaks(
        [{"reasoning_content": FIRST}, {"content": "Hel"}],
        message("Hello", CALL, reasoning_content=SECOND),
        message("Yes."),
    )
    async with official.chat.completions.stream(model="openclaw", messages=ASK, tools=[CHAT_TOOL]) as events:
        reply = (await events.get_final_completion()).choices[0].message
    assert (reply.reasoning_content, reply.content) == (FIRST, "Hello")
    call = {"id": CALL[0], "type": "function", "function": {"name": CALL[1], "arguments": CALL[2]}}
    messages = [*ASK, {"role": "assistant", "content": "Hello", "tool_calls": [call]}]
    messages.append({"role": "tool", "tool_call_id": CALL[0], "content": "open"})
    await official.chat.completions.create(model="openclaw", messages=messages, tools=[CHAT_TOOL])
    assert returned(provider) == [{"reasoning_content": FIRST}]


@pytest.mark.parametrize("pieces", [1, 2])
async def test_reasoning_that_breaks_off_is_thought_anew(official, provider, breaks, pieces):
    breaks([{"reasoning_content": FIRST}] * pieces, message("Hello", reasoning_content=SECOND), message("Yes."))
    seen, response = await respond(official, ASK)
    assert [item.type for item in response.output] == ["reasoning", "message"]
    assert response.output[0].content[0].text == SECOND
    assert response.output_text == "Hello"
    assert [event.sequence_number for event in seen] == list(range(len(seen)))
    await respond(official, "sure?", previous_response_id=response.id)
    assert returned(provider) == [{"reasoning_content": SECOND}]


class TestAnotherModel:
    @pytest.fixture
    def config(self, config):
        config["gateway"]["retry"]["maxRetries"] = 0
        config["agents"]["defaults"]["model"]["fallbacks"] = ["fake/blind"]
        return config

    @pytest.fixture
    def other(self, official):
        return official.with_options(default_headers={"x-openclaw-model": "fake/blind"})

    async def test_its_reasoning_does_not_cut_the_message(self, official, other, provider, breaks):
        breaks(
            [{"reasoning_content": FIRST}, {"content": "Hel"}],
            message("Hello", reasoning=SECOND),
            *[message("Yes.")] * 2,
        )
        _, response = await respond(official, ASK)
        assert [item.type for item in response.output] == ["reasoning", "message"]
        assert response.output_text == "Hello"
        await respond(official, "sure?", previous_response_id=response.id)
        assert returned(provider) == [{"reasoning_content": FIRST}]
        await respond(other, "sure?", previous_response_id=response.id)
        assert returned(provider) == [{}]

    async def test_each_gets_its_own_back_with_calls(self, official, other, provider, breaks):
        breaks(
            [{"reasoning_content": FIRST}, {"content": "Hel"}],
            message("Hello", CALL, reasoning=SECOND),
            *[message("Yes.")] * 2,
        )
        seen, response = await respond(official, ASK)
        assert [item.type for item in response.output] == ["reasoning", "message", "reasoning", "function_call"]
        assert response.output_text == "Hello"
        assert [event.sequence_number for event in seen] == list(range(len(seen)))
        output = [{"type": "function_call_output", "call_id": CALL[0], "output": "open"}]
        await respond(official, output, previous_response_id=response.id)
        assert returned(provider) == [{"reasoning_content": FIRST}]
        await respond(other, output, previous_response_id=response.id)
        assert returned(provider) == [{"reasoning": SECOND}]

    async def test_a_call_that_broke_off_comes_back_with_the_reasoning_of_the_model_that_completed_it(
        self, official, other, provider, breaks
    ):
        started = {
            "index": 0,
            "id": "call_0",
            "type": "function",
            "function": {"name": CALL[1], "arguments": CALL[2][:5]},
        }
        breaks(
            [{"reasoning_content": FIRST}, {"tool_calls": [started]}],
            message(None, CALL, reasoning=SECOND),
            message("Yes."),
        )
        _, response = await respond(official, ASK)
        (call,) = [item for item in response.output if item.type == "function_call"]
        assert (call.call_id, call.arguments) == ("call_0", CALL[2])
        output = [{"type": "function_call_output", "call_id": "call_0", "output": "open"}]
        await respond(other, output, previous_response_id=response.id)
        assert returned(provider) == [{"reasoning": SECOND}]
