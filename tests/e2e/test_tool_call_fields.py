"""A provider that attaches fields to a tool call and refuses a history without them, like Google."""

import sys
from pathlib import Path

import pytest
from aiohttp import web

from tests.e2e.answers import DONE, USAGE, chunk, event, refuses, says, streams

pytestmark = pytest.mark.asyncio(loop_scope="module")

SERVER = Path(__file__).parents[1] / "tool_server.py"
OWN = {"type": "function", "function": {"name": "ask_user", "parameters": {"type": "object", "properties": {}}}}
FLAT = {"type": "function", "name": "ask_user", "parameters": {"type": "object", "properties": {}}}
SIGNED = {"extra_content": {"google": {"thought_signature": "EjQKMgEMOdbHJChLX75Q=="}}}
ASKED = {"role": "user", "content": "hi"}


@pytest.fixture(scope="module")
def config(config, tmp_path_factory):
    notes = str(tmp_path_factory.mktemp("notes"))
    config["mcp"] = {"servers": {"local": {"command": sys.executable, "args": [str(SERVER), notes]}}}
    return config


def calls(name, arguments):
    """A tool call in a single delta without an index, as Google's endpoint sends it."""
    call = {"id": "c1", "type": "function", "function": {"name": name, "arguments": arguments}, **SIGNED}
    message = {"role": "assistant", "content": None, "tool_calls": [call]}
    usage = event({"choices": [], "usage": USAGE})
    streamed = streams(chunk({"tool_calls": [call]}), chunk({}, "stop"), usage, DONE)

    async def answer(request, model):
        if model.asked[-1].body.get("stream"):
            return await streamed(request, model)
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        return web.json_response({"object": "chat.completion", "choices": [choice], "usage": USAGE})

    return answer


def demanding(name="ask_user", arguments="{}"):
    """Calls the tool, and answers the result if the call came back unchanged."""

    async def answer(request, model):
        made = [call for message in model.asked[-1].body["messages"] for call in message.get("tool_calls", ())]
        if not made:
            return await calls(name, arguments)(request, model)
        signed = [{name: call[name] for name in SIGNED if name in call} for call in made]
        if signed != [SIGNED] or "index" in made[0]:
            return await refuses(400, "Function call is missing a thought_signature")(request, model)
        return await says("Well done.")(request, model)

    return answer


@pytest.fixture
def asking(official, provider):
    return lambda *call: official.with_options(default_headers=provider.model(demanding(*call)).chosen)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
async def test_a_provider_gets_its_call_fields_back_between_the_rounds_of_a_run(asking, stream):
    client = asking("local__weather", '{"city": "Oslo"}')
    if stream:
        async with client.chat.completions.stream(model="openclaw", messages=[ASKED]) as events:
            answer = await events.get_final_completion()
    else:
        answer = await client.chat.completions.create(model="openclaw", messages=[ASKED])
    assert answer.choices[0].message.content == "Well done."


@pytest.mark.parametrize("user", [None, "somebody"], ids=["resent", "stored"])
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
async def test_a_provider_gets_its_call_fields_back_from_a_chat_client(asking, stream, user):
    """A client that sends the answer again, and one that sends only the result, in a stored conversation."""
    client = asking()
    more = {"model": "openclaw", "tools": [OWN]} | ({"user": f"{user}-{stream}"} if user else {})
    if stream:
        async with client.chat.completions.stream(messages=[ASKED], **more) as events:
            answer_message = (await events.get_final_completion()).choices[0].message
    else:
        answer_message = (await client.chat.completions.create(messages=[ASKED], **more)).choices[0].message
    assert SIGNED.items() <= answer_message.tool_calls[0].model_extra.items()
    result = {"role": "tool", "tool_call_id": "c1", "content": "yes"}
    messages = [result] if user else [ASKED, answer_message.model_dump(exclude_none=True), result]
    answer = await client.chat.completions.create(messages=messages, **more)
    assert answer.choices[0].message.content == "Well done."


@pytest.mark.parametrize("how", ["resent", "previous"])
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
async def test_a_provider_gets_its_call_fields_back_from_a_responses_client(asking, stream, how):
    client = asking()
    more = {"model": "openclaw", "tools": [FLAT]}
    if stream:
        async with client.responses.stream(input=[ASKED], **more) as events:
            first = await events.get_final_response()
    else:
        first = await client.responses.create(input=[ASKED], **more)
    result = {"type": "function_call_output", "call_id": "c1", "output": "yes"}
    if how == "previous":
        answer = await client.responses.create(input=[result], previous_response_id=first.id, **more)
    else:
        resent = [item.model_dump(exclude_none=True) for item in first.output]
        answer = await client.responses.create(input=[ASKED, *resent, result], **more)
    assert answer.output_text == "Well done."
