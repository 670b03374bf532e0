"""`compat` keys of OpenClaw for servers of this format: what each puts into a request or reads in an answer."""

import json
from typing import Any

import pytest

from gateway.core.event import Batch, TextDelta, ThinkingDelta
from gateway.core.message import Extras, Image, Message, Owner, Text, Thinking, ToolCall, ToolResult
from gateway.core.turn import Turn
from gateway.upstream.catalog import CATALOG
from gateway.upstream.model import model_from
from gateway.wire.model import ModelSpec
from gateway.wire.openai_chat import WIRE
from gateway.wire.openai_chat.answer import StreamParser, parse_answer
from gateway.wire.openai_chat.ingress import ChatIngress
from gateway.wire.openai_chat.request import build_request

MINUTES = {"type": "ephemeral"}
HOUR = {"type": "ephemeral", "ttl": "1h"}
TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}


def model_of(model_id: str = "m", params: dict[str, Any] | None = None, **quirks: Any) -> ModelSpec:
    return ModelSpec(model_id, profile=model_from(model_id, WIRE, quirks).profile, params=params, provider="p")


def turn_of(*messages: dict[str, Any], **fields: Any) -> Turn:
    body = {"model": "m", "messages": list(messages) or [{"role": "user", "content": "hi"}], **fields}
    return ChatIngress.read(json.dumps(body).encode()).turn()


def sent(turn: Turn, model: ModelSpec) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(build_request(turn, model))
    return body


def text(content: str, mark: dict[str, str] | None = None) -> list[dict[str, Any]]:
    return [{"type": "text", "text": content, **({"cache_control": mark} if mark else {})}]


SYSTEM = {"role": "system", "content": "be brief"}
CALL = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
CALLING = {"role": "assistant", "content": None, "tool_calls": [CALL]}
RESULT = {"role": "tool", "tool_call_id": "c1", "content": "42"}


def user(content: Any) -> dict[str, Any]:
    return {"role": "user", "content": content}


def breakpoints(body: dict[str, Any]) -> list[Any]:
    """The texts that have a breakpoint, in order, and the tools."""
    parts = [part for message in body["messages"] for part in _parts(message)]
    marked = [part["text"] for part in parts if "cache_control" in part]
    return marked + [tool["function"]["name"] for tool in body.get("tools", ()) if "cache_control" in tool]


def _parts(message: dict[str, Any]) -> list[dict[str, Any]]:
    content = message.get("content")
    return content if isinstance(content, list) else []


CACHED = model_of(cache_control_format="anthropic")


def test_breakpoints_follow_the_system_prompt_and_the_latest_two_turns_of_the_user():
    turn = turn_of(SYSTEM, user("one"), {"role": "assistant", "content": "1"}, user("two"), CALLING, RESULT)
    body = sent(turn, CACHED)
    assert breakpoints(body) == ["be brief", "two", "42"]
    assert body["messages"][0]["content"] == text("be brief", MINUTES)
    assert body["messages"][1]["content"] == "one"  # an earlier turn stays as it was


def test_the_last_message_of_a_turn_has_its_breakpoint_and_the_last_text_of_a_message():
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}
    turn = turn_of(user("one"), user([*text("two"), picture]))
    assert breakpoints(sent(turn, CACHED)) == ["two"]


def test_without_a_system_prompt_the_tools_have_the_breakpoint():
    assert breakpoints(sent(turn_of(tools=[TOOL]), CACHED)) == ["hi", "f"]
    assert breakpoints(sent(turn_of(SYSTEM, user("hi"), tools=[TOOL]), CACHED)) == ["be brief", "hi"]


def test_an_empty_text_gets_no_breakpoint():
    turn = turn_of({"role": "system", "content": ""}, user("one"), {"role": "assistant", "content": "1"}, user(""))
    assert breakpoints(sent(turn, CACHED)) == ["one"]


def test_breakpoints_of_the_client_stay_and_are_at_most_four():
    own = [user(text(str(number), HOUR)) for number in range(6)]
    assert breakpoints(sent(turn_of(SYSTEM, *own), CACHED)) == ["2", "3", "4", "5"]


@pytest.mark.parametrize(
    ("field", "params", "mark"),
    [
        (None, None, MINUTES),
        ("24h", None, HOUR),
        ("none", {"cacheRetention": "long"}, None),
        (None, {"cacheRetention": "long"}, HOUR),
        (None, {"cacheRetention": "short"}, MINUTES),
        (None, {"cacheRetention": "none"}, None),
    ],
)
def test_the_cache_lives_as_long_as_the_client_or_the_operator_says(field, params, mark):
    turn = turn_of(**({"prompt_cache_retention": field} if field else {}))
    body = sent(turn, model_of(params=params, cache_control_format="anthropic"))
    assert body["messages"][0]["content"] == (text("hi", mark) if mark else "hi")
    assert "prompt_cache_retention" not in body


def test_a_row_without_the_key_gets_no_breakpoints():
    assert breakpoints(sent(turn_of(SYSTEM, user("hi"), tools=[TOOL]), model_of())) == []


def test_tool_calls_stream_where_the_server_has_to_be_asked():
    zai = model_of(zai_tool_stream=True)
    assert sent(turn_of(tools=[TOOL], stream=True), zai)["tool_stream"] is True
    assert sent(turn_of(tools=[TOOL], stream=True, tool_stream=False), zai)["tool_stream"] is False
    for turn in (turn_of(tools=[TOOL]), turn_of(stream=True)):
        assert "tool_stream" not in sent(turn, zai)
    assert "tool_stream" not in sent(turn_of(tools=[TOOL], stream=True), model_of())
    assert CATALOG["zai"].quirks["zai_tool_stream"] is True


def test_ids_of_calls_have_mistrals_form_and_stay_with_their_results():
    again = {**CALL, "id": "AbCdEf123"}
    turn = turn_of(
        *(user("one"), CALLING, RESULT, user("two")),
        {"role": "assistant", "content": None, "tool_calls": [CALL, again]},
        *({**RESULT, "content": "43"}, {**RESULT, "tool_call_id": "AbCdEf123"}),
        {**RESULT, "tool_call_id": "a result without its call"},
    )
    messages = sent(turn, model_of(requires_mistral_tool_ids=True))["messages"]
    first, second, third = (call["id"] for message in messages for call in message.get("tool_calls", ()))
    results = [message["tool_call_id"] for message in messages if message["role"] == "tool"]
    assert results[:3] == [first, second, third]
    assert third == "AbCdEf123"  # Mistral's own
    assert len({*results}) == 4
    assert all(len(one) == 9 and one.isascii() and one.isalnum() for one in results)
    assert messages == sent(turn, model_of(requires_mistral_tool_ids=True))["messages"]  # a prompt cache needs it
    assert sent(turn, model_of())["messages"][1]["tool_calls"] == [CALL]
    assert CATALOG["mistral"].quirks["requires_mistral_tool_ids"] is True


def test_an_assistant_speaks_between_the_result_of_a_tool_and_the_user():
    turn = turn_of(user("one"), CALLING, RESULT, user("two"))
    messages = sent(turn, model_of(requires_assistant_after_tool_result=True))["messages"]
    assert [message["role"] for message in messages] == ["user", "assistant", "tool", "assistant", "user"]
    assert messages[1]["content"] == ""
    assert messages[3]["content"]
    as_it_is = sent(turn, model_of())["messages"]
    assert [message["role"] for message in as_it_is] == ["user", "assistant", "tool", "user"]
    assert as_it_is[1]["content"] is None


def test_an_assistant_speaks_before_the_picture_of_a_result():
    result = ToolResult("c1", (Image("data:image/png;base64,AA=="),))
    turn = Turn(
        "m",
        (
            Message("user", (Text("look"),)),
            Message("assistant", (ToolCall("c1", "f", "{}"),)),
            Message("tool", (result,)),
        ),
    )
    roles = [message["role"] for message in sent(turn, model_of(requires_assistant_after_tool_result=True))["messages"]]
    assert roles == ["user", "assistant", "tool", "assistant", "user"]


def thoughts(owner: Owner | None) -> Thinking:
    return Thinking("I add.", owner=owner, extras=Extras(WIRE, {"field": "reasoning_content"}))


@pytest.mark.parametrize("owner", [None, Owner(WIRE, "p", "m")])
def test_reasoning_goes_back_as_text_where_the_server_has_no_field_for_it(owner):
    turn = Turn(
        "m",
        (
            Message("assistant", (thoughts(owner), Text("It is 2."))),
            Message("assistant", (thoughts(owner), ToolCall("c1", "f", "{}"))),
            Message("user", (Text("and?"),)),
        ),
    )
    first, second, _ = sent(turn, model_of(requires_thinking_as_text=True))["messages"]
    assert first == {"role": "assistant", "content": "I add.\n\nIt is 2."}
    assert second == {"role": "assistant", "content": "I add.", "tool_calls": [CALL]}


def test_reasoning_of_another_model_does_not_become_text():
    turn = Turn("m", (Message("assistant", (thoughts(Owner(WIRE, "p", "other")), Text("It is 2."))),))
    assert sent(turn, model_of(requires_thinking_as_text=True))["messages"] == [
        {"role": "assistant", "content": "It is 2."}
    ]


DETAILS = [
    {"type": "reasoning.text", "text": "hm", "signature": "s"},
    {"type": "response.output_text", "text": "Hello"},
]


def answer_of(message: dict[str, Any], model: ModelSpec, *, stream: bool) -> Batch:
    if stream:
        chunk = {"choices": [{"index": 0, "delta": message, "finish_reason": None}]}
        end = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
        parser = StreamParser(model)
        frames = "".join(f"data: {json.dumps(one)}\n\n" for one in (chunk, end)) + "data: [DONE]\n\n"
        batch = [*parser.feed(frames.encode()), *parser.close()]
    else:
        whole = {"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}
        batch = parse_answer(json.dumps(whole).encode(), model)
    return batch


@pytest.mark.parametrize("stream", [True, False])
def test_text_among_the_details_of_reasoning_is_answer_where_the_row_says_so(stream):
    model = model_of(visible_reasoning_detail_types=("response.output_text",))
    for content in (None, ""):
        batch = answer_of({"role": "assistant", "content": content, "reasoning_details": DETAILS}, model, stream=stream)
        assert [event.text for event in batch if isinstance(event, ThinkingDelta)] == ["hm"]
        assert [Text(event.raw).text for event in batch if isinstance(event, TextDelta)] == ["Hello"]
    batch = answer_of({"role": "assistant", "content": "Hello", "reasoning_details": DETAILS}, model, stream=stream)
    assert [Text(event.raw).text for event in batch if isinstance(event, TextDelta)] == ["Hello"]


@pytest.mark.parametrize("stream", [True, False])
def test_elsewhere_the_details_of_reasoning_are_reasoning(stream):
    batch = answer_of({"role": "assistant", "content": "", "reasoning_details": DETAILS}, model_of(), stream=stream)
    assert [event.text for event in batch if isinstance(event, ThinkingDelta)] == ["hmHello"]
    assert CATALOG["openrouter"].quirks["visible_reasoning_detail_types"] == ["response.output_text", "response.text"]
