"""Reasoning comes back to the provider that made it, in the field in which it came, whichever way a client goes on."""

import asyncio
import base64
import json
from typing import Any, NamedTuple

import pytest

from gateway.http.keys import SERVICES
from tests.unit.http.thinking import (
    CALL,
    CHAT_TOOL,
    DETAILS,
    RESPONSES_TOOL,
    SHAPES,
    THOUGHT,
    answers,
    message,
    returned,
)

ASK = [{"role": "user", "content": "hi"}]
RESULT = {"role": "tool", "tool_call_id": CALL[0], "content": "open"}
OUTPUT = {"type": "function_call_output", "call_id": CALL[0], "output": "open"}
SESSION = {"x-openclaw-session-key": "app:thread"}
ENCRYPTED = ["reasoning.encrypted_content"]


@pytest.fixture(params=SHAPES)
def shape(request):
    return SHAPES[request.param]


@pytest.fixture(params=[False, True], ids=["whole", "streamed"])
def stream(request):
    return request.param


async def chat(official, messages, *, stream=False, **more):
    """The message of an answer, as the official client has it, to be sent back."""
    if not stream:
        answer = await official.chat.completions.create(model="openclaw", messages=messages, **more)
        return answer.choices[0].message.model_dump(exclude_none=True)
    async with official.chat.completions.stream(model="openclaw", messages=messages, **more) as events:
        answer = await events.get_final_completion()
    reply = answer.choices[0].message.model_dump(exclude_none=True, exclude={"parsed"})
    for call in reply.get("tool_calls", ()):
        call["function"].pop("parsed_arguments", None)
    return reply


async def respond(official, given, *, stream=False, **more):
    """A response of the official client."""
    if not stream:
        return await official.responses.create(model="openclaw", input=given, **more)
    async with official.responses.stream(model="openclaw", input=given, **more) as events:
        return await events.get_final_response()


def items(response, *, without=()):
    """The output of a response as input of the next one."""
    shown = [item.model_dump(exclude_none=True, exclude={"parsed_arguments"}) for item in response.output]
    return [item for item in shown if item["type"] not in without]


async def test_a_chat_client_that_sends_it_back_with_its_calls(official, provider, shape, stream):
    answers(provider, message("Wait.", CALL, **shape), message("Open."))
    reply = await chat(official, ASK, stream=stream, tools=[CHAT_TOOL])
    assert reply["reasoning_content"] == THOUGHT
    await chat(official, [*ASK, reply, RESULT], stream=stream, tools=[CHAT_TOOL])
    assert returned(provider) == [shape]


async def test_a_chat_client_that_drops_it(official, provider, shape, stream):
    answers(provider, message(None, CALL, **shape), message("Open."))
    reply = await chat(official, ASK, stream=stream, tools=[CHAT_TOOL])
    del reply["reasoning_content"]
    reply.pop("reasoning_details", None)
    await chat(official, [*ASK, reply, RESULT], stream=stream, tools=[CHAT_TOOL])
    assert returned(provider) == [shape]


@pytest.mark.parametrize("include", [None, ENCRYPTED], ids=["plain", "encrypted"])
async def test_a_responses_client_that_sends_its_items_back(official, provider, shape, stream, include):
    answers(provider, message("Wait.", CALL, **shape), message("Open."))
    more = {"stream": stream, "tools": [RESPONSES_TOOL], "store": False} | ({"include": include} if include else {})
    response = await respond(official, ASK, **more)
    await respond(official, [*ASK, *items(response), OUTPUT], **more)
    given = returned(provider)
    # OpenAI's format has the text and the calls of one turn as items of their own.
    assert [fields for fields in given if fields] == [shape]


async def test_a_responses_client_that_drops_its_reasoning_items(official, provider, shape, stream):
    answers(provider, message(None, CALL, **shape), message("Open."))
    more = {"stream": stream, "tools": [RESPONSES_TOOL], "store": False}
    response = await respond(official, ASK, **more)
    await respond(official, [*ASK, *items(response, without=("reasoning",)), OUTPUT], **more)
    assert returned(provider) == [shape]


async def test_encrypted_content_is_enough_where_nothing_is_stored(client, official, provider, shape, stream):
    answers(provider, message(None, CALL, **shape), message("Open."))
    more = {"stream": stream, "tools": [RESPONSES_TOOL], "store": False, "include": ENCRYPTED}
    response = await respond(official, ASK, **more)
    client.app[SERVICES].stores.reasoning._entries.clear()
    await respond(official, [*ASK, *items(response), OUTPUT], **more)
    assert returned(provider) == [shape]


async def test_an_encrypted_item_before_a_text_comes_back_without_any_call(official, provider, shape, stream):
    answers(provider, message("Open.", **shape), message("Yes."))
    more = {"stream": stream, "store": False, "include": ENCRYPTED}
    response = await respond(official, ASK, **more)
    await respond(official, [*ASK, *items(response), *ASK], **more)
    assert returned(provider) == [shape]


async def test_a_response_that_continues_another(official, provider, shape, stream):
    answers(provider, message(None, CALL, **shape), message("Open.", **shape), message("Yes."))
    more = {"stream": stream, "tools": [RESPONSES_TOOL]}
    first = await respond(official, ASK, **more)
    second = await respond(official, [OUTPUT], previous_response_id=first.id, **more)
    assert returned(provider) == [shape]
    await respond(official, "sure?", previous_response_id=second.id, **more)
    assert returned(provider) == [shape, shape]


async def test_a_response_that_refers_to_the_items_of_another(official, provider, shape):
    answers(provider, message(None, CALL, **shape), message("Open."))
    first = await respond(official, ASK, tools=[RESPONSES_TOOL])
    references = [{"type": "item_reference", "id": item.id} for item in first.output]
    await respond(official, [*ASK, *references, OUTPUT], tools=[RESPONSES_TOOL])
    assert returned(provider) == [shape]


async def test_a_stored_conversation(official, provider, shape, stream):
    answers(provider, message("Open.", **shape), message(None, CALL, **shape), message("Shut."))
    client = official.with_options(default_headers=SESSION)
    await chat(client, ASK, stream=stream)
    await chat(client, [{"role": "user", "content": "look again"}], stream=stream, tools=[CHAT_TOOL])
    assert returned(provider) == [shape]
    await chat(client, [RESULT], stream=stream, tools=[CHAT_TOOL])
    assert returned(provider) == [shape, shape]


async def test_a_conversation_stored_by_one_api_and_continued_by_the_other(official, provider, shape):
    answers(provider, message("Open.", **shape), message("Yes."))
    client = official.with_options(default_headers=SESSION)
    await respond(client, ASK)
    await chat(client, [{"role": "user", "content": "sure?"}])
    assert returned(provider) == [shape]


async def test_a_stored_conversation_of_a_client_that_sends_all_of_it_again(official, provider, shape):
    answers(provider, message(None, CALL, **shape), message("Open.", **shape), message("Yes."))
    client = official.with_options(default_headers=SESSION)
    messages = [*ASK]
    messages += [await chat(client, messages, tools=[CHAT_TOOL]), RESULT]
    messages += [await chat(client, messages, tools=[CHAT_TOOL]), {"role": "user", "content": "sure?"}]
    assert returned(provider) == [shape]
    await chat(client, messages, tools=[CHAT_TOOL])
    assert returned(provider) == [shape, shape]


class TestToolsOfTheAgent:
    @pytest.fixture
    def config(self, config, tool_server):
        config["mcp"] = {"servers": {"local": {"url": tool_server.url}}}
        return config

    async def test_the_next_round_has_it(self, official, provider, shape, stream):
        calls = [(f"call_{number}", "local__weather", '{"city": "Oslo"}') for number in (1, 2)]
        answers(provider, *[message(None, call, **shape) for call in calls], message("Cold."))
        reply = await chat(official, ASK, stream=stream)
        assert reply["content"] == "Cold."
        assert returned(provider, 1) == [shape]
        assert returned(provider, 2) == [shape, shape]

    @pytest.mark.parametrize("goes_on", ["session", "previous_response_id"])
    async def test_a_later_request_has_it_beside_the_calls_that_it_led_to(
        self, official, provider, shape, stream, goes_on
    ):
        call = ("call_1", "local__weather", '{"city": "Oslo"}')
        last = {"reasoning_content": "It is cold."} if "reasoning_content" in shape else {"reasoning": "It is cold."}
        answers(provider, message(None, call, **shape), message("Cold.", **last), message("Yes."))
        client = official.with_options(default_headers=SESSION if goes_on == "session" else {})
        first = await respond(client, ASK, stream=stream)
        more = {} if goes_on == "session" else {"previous_response_id": first.id}
        await respond(client, "sure?", stream=stream, **more)
        assert returned(provider) == [shape, last]


class TestAnotherModel:
    """After a failover the conversation goes on with a model that did not make the reasoning."""

    @pytest.fixture
    def config(self, config, provider):
        config["models"]["providers"]["other"] = {
            "baseUrl": provider.url,
            "apiKey": "k2",
            "models": [{"id": "small", "input": ["text"]}],
        }
        return config

    @pytest.fixture(params=["fake/blind", "other/small"])
    def other_instance(self, request, official):
        return official.with_options(default_headers={"x-openclaw-model": request.param})

    async def test_it_is_not_sent_to_it_by_a_chat_client(self, official, other_instance, provider, shape):
        answers(provider, message(None, CALL, **shape), message("Open."), message("Open."))
        reply = await chat(official, ASK, tools=[CHAT_TOOL])
        await chat(other_instance, [*ASK, reply, RESULT], tools=[CHAT_TOOL])
        assert returned(provider) == [{}]
        assert THOUGHT not in json.dumps(provider.asked[-1], ensure_ascii=False)
        await chat(official, [*ASK, reply, RESULT], tools=[CHAT_TOOL])
        assert returned(provider) == [shape], "the model that made it has it again"

    @pytest.mark.parametrize("include", [None, ENCRYPTED], ids=["plain", "encrypted"])
    async def test_it_is_not_sent_to_it_by_a_responses_client(self, official, other_instance, provider, shape, include):
        answers(provider, message(None, CALL, **shape), message("Open."))
        more = {"tools": [RESPONSES_TOOL], "store": False} | ({"include": include} if include else {})
        response = await respond(official, ASK, **more)
        await respond(other_instance, [*ASK, *items(response), OUTPUT], **more)
        assert returned(provider) == [{}]

    async def test_it_is_not_sent_to_it_from_a_stored_conversation(self, official, other_instance, provider, shape):
        answers(provider, message("Open.", **shape), message("Yes."))
        first = await respond(official, ASK)
        await respond(other_instance, "sure?", previous_response_id=first.id)
        assert returned(provider) == [{}]


class TestFailover:
    @pytest.fixture
    def config(self, config):
        config["agents"]["defaults"]["model"]["fallbacks"] = ["fake/blind"]
        return config

    async def test_the_fallback_gets_none_of_it_and_the_primary_all(self, official, provider, shape, stream):
        answers(provider, message(None, CALL, **shape))
        reply = await chat(official, ASK, stream=stream, tools=[CHAT_TOOL])
        thinks = provider.answer

        async def answer(request):
            if provider.asked[-1]["model"] == "small":
                return await refusal(request)
            return await thinks(request)

        provider.refuses(500, "no")
        refusal = provider.answer
        answers(provider, *[message("Open.")] * 2)
        thinks = provider.answer
        provider.answer = answer
        await chat(official, [*ASK, reply, RESULT], stream=stream, tools=[CHAT_TOOL])
        assert [(body["model"], returned(provider, index)) for index, body in enumerate(provider.asked)][1:] == [
            ("small", [shape]),
            ("blind", [{}]),
        ]


async def test_a_call_whose_last_arguments_come_with_its_end(official, provider, shape):
    """In one read of the connection, after the client has seen the beginning of the call."""
    seen = asyncio.Event()
    answers(provider, message("not asked"), message("Open."))
    second = provider.answer

    async def answer(request):
        if len(provider.asked) > 1:
            return await second(request)
        name, arguments = CALL[1:]
        start = {"index": 0, "id": CALL[0], "function": {"name": name, "arguments": arguments[:5]}}
        response = await provider.begins(request, shape, {"tool_calls": [start]})
        await seen.wait()
        tail = {"tool_calls": [{"index": 0, "function": {"arguments": arguments[5:]}}]}
        chunks = [
            {"choices": [{"index": 0, "delta": tail}]},
            {"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]},
        ]
        frames = b"".join(b"data: " + json.dumps(chunk).encode() + b"\n\n" for chunk in chunks)
        await response.write(frames + b"data: [DONE]\n\n")
        return response

    provider.answer = answer
    async with official.responses.stream(model="openclaw", input=ASK, tools=[RESPONSES_TOOL]) as events:
        async for event in events:
            if event.type == "response.function_call_arguments.delta":
                seen.set()
        response = await events.get_final_response()
    assert response.output[-1].arguments == CALL[2]
    await respond(official, [*ASK, *items(response, without=("reasoning",)), OUTPUT], tools=[RESPONSES_TOOL])
    assert returned(provider) == [shape]


async def test_details_that_say_nothing_of_their_order_come_back_one_by_one(official, provider, stream):
    details = [
        {"type": "reasoning.text", "text": "one", "signature": "s1", "format": "anthropic-claude-v1"},
        {"type": "reasoning.text", "text": "two", "signature": "s2", "format": "anthropic-claude-v1"},
        {"type": "reasoning.encrypted", "data": "AAAA", "id": "rs_1"},
        {"type": "reasoning.encrypted", "data": "BBBB", "id": "rs_2"},
    ]

    async def streamed(request):
        if len(provider.asked) > 1:
            return await whole(request)
        response = await provider.begins(request, {"reasoning_details": details}, *[{"tool_calls": calls}])
        await provider.send(response, {"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]})
        await response.write(b"data: [DONE]\n\n")
        return response

    calls = message(None, CALL)["tool_calls"]
    answers(provider, message(None, CALL, reasoning_details=details), message("Open."))
    whole = provider.answer
    if stream:
        answers(provider, message("x"), message("Open."))
        whole = provider.answer
        provider.answer = streamed
    reply = await chat(official, ASK, stream=stream, tools=[CHAT_TOOL])
    await chat(official, [*ASK, reply, RESULT], stream=stream, tools=[CHAT_TOOL])
    assert returned(provider) == [{"reasoning_details": details}]


async def test_reasoning_among_the_parts_of_the_content_comes_back_there(official, provider):
    """As Mistral's models send it."""
    thought = {"type": "thinking", "thinking": [{"type": "text", "text": THOUGHT}]}
    content = [thought, {"type": "text", "text": "Wait."}]
    answers(provider, message(content, CALL), message("Open."))
    reply = await chat(official, ASK, tools=[CHAT_TOOL])
    assert (reply["reasoning_content"], reply["content"]) == (THOUGHT, "Wait.")
    await chat(official, [*ASK, reply, RESULT], tools=[CHAT_TOOL])
    assert returned(provider) == [{}]
    (sent,) = [message["content"] for message in provider.asked[-1]["messages"] if message["role"] == "assistant"]
    assert sent == content


@pytest.mark.parametrize("name", ["extra_content", "provider_specific_fields"])
async def test_what_a_provider_attaches_to_a_call_comes_back_though_the_client_dropped_it(
    official, provider, stream, name
):
    signature = {"google": {"thought_signature": "CiQB+/w=="}}
    whole = message(None, CALL)
    whole["tool_calls"][0][name] = signature
    answers(provider, whole, message("Open."))
    reply = await chat(official, ASK, stream=stream, tools=[CHAT_TOOL])
    assert reply["tool_calls"][0].pop(name) == signature
    await chat(official, [*ASK, reply, RESULT], stream=stream, tools=[CHAT_TOOL])
    (call,) = provider.asked[-1]["messages"][1]["tool_calls"]
    assert call[name] == signature


async def test_parallel_calls_share_one_reasoning(official, provider, shape, stream):
    other = ("call_2", "look", '{"at": "window"}')
    answers(provider, message(None, CALL, other, **shape), message("Open."))
    reply = await chat(official, ASK, stream=stream, tools=[CHAT_TOOL])
    del reply["reasoning_content"]
    reply.pop("reasoning_details", None)
    results = [{**RESULT, "tool_call_id": call[0]} for call in (CALL, other)]
    await chat(official, [*ASK, reply, *results], stream=stream, tools=[CHAT_TOOL])
    assert returned(provider) == [shape]


async def test_calls_with_one_id_are_distinguished(official, provider, shape, stream):
    """Some providers count the calls of each answer from 0, so that ids repeat within and across conversations."""
    again = ("call_1", "look", '{"at": "window"}')
    answers(provider, message(None, CALL, **shape), message(None, again, reasoning="Then I look."), message("Open."))
    messages = [*ASK]
    for _ in range(2):
        reply = await chat(official, messages, stream=stream, tools=[CHAT_TOOL])
        del reply["reasoning_content"]
        reply.pop("reasoning_details", None)
        messages += [reply, RESULT]
    await chat(official, messages, stream=stream, tools=[CHAT_TOOL])
    assert returned(provider) == [shape, {"reasoning": "Then I look."}]


async def test_a_client_may_write_the_arguments_anew(official, provider, shape, stream):
    answers(provider, message(None, ("call_1", "look", '{"b": 1, "a": "\u00e9"}'), **shape), message("Open."))
    reply = await chat(official, ASK, stream=stream, tools=[CHAT_TOOL])
    del reply["reasoning_content"]
    reply.pop("reasoning_details", None)
    reply["tool_calls"][0]["function"]["arguments"] = '{"a":"\\u00e9","b":1}'
    await chat(official, [*ASK, reply, RESULT], stream=stream, tools=[CHAT_TOOL])
    assert returned(provider) == [shape]


async def test_details_keep_fields_that_nobody_knows(official, provider, stream):
    details = [{**DETAILS[0], "id": None, "nested": {"n": 1.50, "big": 12345678901234567890, "list": [None, True]}}]
    answers(provider, message(None, CALL, reasoning_details=details), message("Open."))
    reply = await chat(official, ASK, stream=stream, tools=[CHAT_TOOL])
    await chat(official, [*ASK, reply, RESULT], stream=stream, tools=[CHAT_TOOL])
    assert returned(provider) == [{"reasoning_details": details}]


async def test_an_empty_field_beside_the_reasoning_is_not_taken_for_its_place(official, provider, stream):
    answers(provider, message(None, CALL, reasoning_content="", reasoning=THOUGHT), message("Open."))
    reply = await chat(official, ASK, stream=stream, tools=[CHAT_TOOL])
    await chat(official, [*ASK, reply, RESULT], stream=stream, tools=[CHAT_TOOL])
    assert returned(provider) == [{"reasoning": THOUGHT}]


class Sealed(NamedTuple):
    """What another version of the gateway could have sealed."""

    block: Any


def unsealed(block):
    """What a client can make: a block without the gateway's seal."""
    return base64.urlsafe_b64encode(json.dumps(block).encode()).decode()


OWNER = {"wire": "openai-completions", "provider": "fake", "model": "small"}
FIELD = {"wire": OWNER["wire"], "fields": {"field": "reasoning_content"}}
GOOD = {"type": "thinking", "text": "x", "owner": OWNER, "extras": FIELD}


@pytest.mark.parametrize(
    "encrypted",
    [
        "ocg1.",
        "ocg1.!!!!",
        "ocg1.AAAA",
        "ocg2.",
        "ocg2.!!!!",
        "ocg2.\u00e9",
        "ocg2." + "A" * 80,
        "ocg1." + unsealed(GOOD),
        "ocg2." + unsealed(GOOD),
        "gAAAAABo-of-another-service",
        Sealed([]),
        Sealed(5),
        Sealed({}),
        Sealed({"type": "text", "text": "not reasoning"}),
        Sealed({"type": "thinking", "text": 5, "owner": OWNER}),
        Sealed({"type": "thinking", "text": 5, "owner": OWNER, "extras": FIELD}),
        Sealed({"type": "thinking", "text": "x", "owner": {**OWNER, "model": "another"}, "extras": FIELD}),
        Sealed({"type": "thinking", "text": ["x"], "owner": OWNER}),
        Sealed({"type": "thinking", "text": "x", "owner": "fake"}),
        Sealed({"type": "thinking", "text": "x", "owner": {"wire": 1, "provider": 2, "model": 3}}),
        Sealed({"type": "thinking", "text": "x", "kind": "loud", "owner": OWNER}),
        Sealed({"type": "thinking", "text": "x", "owner": OWNER, "extras": 5}),
        Sealed({"type": "thinking", "text": "x", "owner": OWNER, "extras": {"wire": OWNER["wire"], "fields": 5}}),
        *[
            Sealed({"type": "thinking", "text": "x", "owner": OWNER, "extras": {"wire": OWNER["wire"], "fields": more}})
            for more in (
                {"field": 5},
                {"field": ["content"]},
                {"field": "role"},
                {"field": "tool_calls"},
                {"field": "tool_call_id"},
                {"reasoning_details": 5},
                {"reasoning_details": "text"},
                {"reasoning_details": [5]},
            )
        ],
    ],
)
async def test_encrypted_content_that_is_not_of_this_gateway_changes_nothing(client, provider, encrypted):
    provider.says("Hello")
    if isinstance(encrypted, Sealed):
        seal = await client.app[SERVICES].stores.seals.of(None)
        encrypted = seal.close(json.dumps(encrypted.block).encode())
    thought = {"type": "reasoning", "summary": [], "encrypted_content": encrypted}
    reply = {"type": "message", "role": "assistant", "content": "Yes."}
    response = await client.post("/v1/responses", json={"model": "openclaw", "input": [*ASK, thought, reply, *ASK]})
    assert response.status == 200, await response.text()
    assert provider.asked[0]["messages"] == [*ASK, {"role": "assistant", "content": "Yes."}, *ASK]


class TestOtherUsers:
    @pytest.fixture
    def config(self, config):
        config["gateway"]["auth"] = {
            "mode": "trusted-proxy",
            "trustedProxy": {"userHeader": "x-user", "allowLoopback": True},
        }
        config["gateway"]["trustedProxies"] = ["127.0.0.1"]
        return config

    async def test_no_user_gets_the_reasoning_before_somebody_elses_call(self, client, provider, shape):
        answers(provider, message(None, CALL, **shape), message("Open."), message("Open."))

        async def ask(user, messages):
            body = {"model": "openclaw", "messages": messages, "tools": [CHAT_TOOL]}
            headers = {"x-user": user, "Authorization": "", "x-forwarded-for": "203.0.113.7"}
            response = await client.post("/v1/chat/completions", json=body, headers=headers)
            assert response.status == 200, await response.text()
            return (await response.json())["choices"][0]["message"]

        reply = await ask("alice", ASK)
        del reply["reasoning_content"]
        reply.pop("reasoning_details", None)
        await ask("bob", [*ASK, reply, RESULT])
        assert returned(provider) == [{}]
        await ask("alice", [*ASK, reply, RESULT])
        assert returned(provider) == [shape]

    async def test_no_user_can_use_the_encrypted_content_of_another(self, client, provider, shape):
        answers(provider, *[message("Yes.", **shape)] * 3)

        async def ask(user, conversation):
            body = {"model": "openclaw", "input": conversation, "include": ENCRYPTED, "store": False}
            headers = {"x-user": user, "Authorization": "", "x-forwarded-for": "203.0.113.7"}
            response = await client.post("/v1/responses", json=body, headers=headers)
            assert response.status == 200, await response.text()
            return (await response.json())["output"]

        output = await ask("alice", ASK)
        given = []
        for user in ("bob", "alice"):
            await ask(user, [*ASK, *output, *ASK])
            given.append({key: provider.asked[-1]["messages"][1].get(key) for key in shape})
        assert given == [dict.fromkeys(shape), shape]
