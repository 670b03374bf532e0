import openai
import pytest

from gateway.conversations.summary import SUMMARY_REQUEST

CONVERSATION = [
    {"role": "user", "content": "My number is 4711."},
    {"type": "function_call", "call_id": "c1", "name": "note", "arguments": '{"number":4711}'},
    {"type": "function_call_output", "call_id": "c1", "output": "noted"},
    {"role": "assistant", "content": "I noted it."},
]


async def test_a_compacted_conversation_goes_on(official, provider):
    provider.says("The user's number is 4711.")
    compacted = await official.responses.compact(model="openclaw", input=CONVERSATION, instructions="be brief")
    assert (compacted.object, compacted.usage.total_tokens) == ("response.compaction", 18)
    *users, item = compacted.output
    assert [user.content[0].text for user in users] == ["My number is 4711."]
    assert item.type == "compaction"
    asked = provider.asked[0]
    assert [message["role"] for message in asked["messages"]] == [
        "system",
        "user",
        "assistant",
        "tool",
        "assistant",
        "user",
    ]
    assert asked["messages"][-1]["content"] == SUMMARY_REQUEST
    assert not {"tools", "stream", "parallel_tool_calls"} & asked.keys()

    provider.says("4711.")
    going_on = [
        *(one.model_dump(exclude_none=True, warnings=False) for one in compacted.output),
        {"role": "user", "content": "Well?"},
    ]
    answer = await official.responses.create(model="openclaw", input=going_on)
    assert answer.output_text == "4711."
    user, summary, question = provider.asked[1]["messages"]
    assert (user["content"], question["content"]) == ("My number is 4711.", "Well?")
    assert summary["content"].endswith("The user's number is 4711.")


async def test_a_summary_without_text_is_no_success(official, provider):
    provider.says("")
    with pytest.raises(openai.InternalServerError, match="no summary"):
        await official.with_options(max_retries=0).responses.compact(model="openclaw", input=CONVERSATION)


@pytest.mark.parametrize(
    ("body", "param"), [({"input": "hi"}, "model"), ({"model": "openclaw"}, "input"), ({"model": "gpt-4"}, "model")]
)
@pytest.mark.parametrize("path", ["/v1/responses/compact", "/v1/responses/input_tokens"])
async def test_a_bad_request_names_its_field(client, provider, path, body, param):
    async with client.post(path, json={"input": "hi", **body} if param == "model" else body) as response:
        assert response.status in (400, 404)
        assert (await response.json())["error"]["param"] == param
    assert provider.asked == []


async def test_the_tokens_of_an_input_are_counted_without_asking_a_provider(official, provider):
    short = await official.responses.input_tokens.count(model="openclaw", input="hi")
    tool = {"type": "function", "name": "look", "parameters": {"type": "object"}, "description": "x" * 400}
    long = await official.responses.input_tokens.count(model="openclaw", input="word " * 1000, tools=[tool])
    assert short.object == "response.input_tokens"
    assert 1 <= short.input_tokens < 100
    assert 1250 <= long.input_tokens - short.input_tokens <= 1500
    assert provider.asked == []


@pytest.mark.parametrize("path", ["/v1/responses/compact", "/v1/responses/input_tokens"])
async def test_the_paths_are_no_ids_of_responses(client, path):
    async with client.get(path) as response:
        assert response.status == 405
