import json
from typing import Any

import pytest
from msgspec.structs import replace
from ollama._types import ChatRequest

from gateway.core.message import (
    Audio,
    Citation,
    File,
    Foreign,
    Image,
    Message,
    Owner,
    Refusal,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)
from gateway.core.turn import Options, ResponseFormat, Sampling, ToolChoice, ToolSpec, Turn
from gateway.core.upstream_error import UpstreamError
from gateway.core.upstream_error import UpstreamKind as Kind
from gateway.wire.model import ModelSpec
from gateway.wire.ollama.profile import profile_from
from gateway.wire.ollama.request import build_request

MODEL = ModelSpec("gpt-oss:20b", provider="house")
PIXEL = "data:image/png;base64,iVBORw0KGgo="
USER = Message("user", (Text("Hi"),))
TURN = Turn("openclaw", (USER,))


def sent(turn: Turn = TURN, model: ModelSpec = MODEL) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(build_request(turn, model))
    ChatRequest.model_validate(body)
    return body


def test_a_question_asks_for_an_error_when_the_context_is_too_small():
    assert sent() == {
        "model": "gpt-oss:20b",
        "messages": [{"role": "user", "content": "Hi"}],
        "stream": False,
        "truncate": False,
        "shift": False,
    }


def test_the_context_has_the_models_size_unless_its_params_set_another():
    model = ModelSpec("m", context_window=32_768)
    assert sent(model=model)["options"] == {"num_ctx": 32_768}
    own = ModelSpec("m", context_window=32_768, params={"num_ctx": 8192, "keep_alive": "15m", "repeat_penalty": 1.1})
    body = sent(model=own)
    assert (body["options"], body["keep_alive"]) == ({"num_ctx": 8192, "repeat_penalty": 1.1}, "15m")


def test_settings_are_options():
    sampling = Sampling(0.5, 0.9, 0.1, 0.2, 7, ("END",), 4000, ResponseFormat("json_object"))
    turn = replace(TURN, sampling=sampling, options=Options(top_k=40, logprobs=True, top_logprobs=2))
    body = sent(turn, ModelSpec("m", max_tokens=1000))
    assert body["options"] == {
        "num_predict": 1000, "temperature": 0.5, "top_p": 0.9, "frequency_penalty": 0.1, "presence_penalty": 0.2,
        "seed": 7, "stop": ["END"], "top_k": 40,
    }  # fmt: skip
    assert (body["format"], body["logprobs"], body["top_logprobs"]) == ("json", True, 2)


def test_the_clients_settings_win_over_the_operators():
    turn = replace(
        TURN, params={"options": {"temperature": 1, "min_p": 0.1}, "truncate": True}, sampling=Sampling(temperature=0.5)
    )
    body = sent(turn)
    assert body["options"] == {"temperature": 0.5, "min_p": 0.1}
    assert body["truncate"] is True


def test_a_schema_has_its_references_resolved():
    schema = {"type": "object", "properties": {"a": {"$ref": "#/$defs/A"}}, "$defs": {"A": {"type": "string"}}}
    form = ResponseFormat("json_schema", {"name": "x", "schema": schema})
    assert sent(replace(TURN, sampling=Sampling(response_format=form)))["format"] == {
        "type": "object",
        "properties": {"a": {"type": "string"}},
    }


@pytest.mark.parametrize(
    ("effort", "think"),
    [("none", False), ("minimal", "low"), ("low", "low"), ("high", "high"), ("xhigh", "max"), ("max", "max")],
)
def test_an_effort_becomes_a_level_of_thinking(effort, think):
    assert sent(replace(TURN, options=Options(effort=effort)))["think"] == think


def test_a_row_may_say_how_a_model_thinks():
    asked = replace(TURN, options=Options(effort="high"), params={"think": True})
    assert "think" not in sent(asked, ModelSpec("m", profile=profile_from({"supports_reasoning_effort": False})))
    levels = profile_from({"supported_reasoning_efforts": ("low", "medium")})
    assert sent(asked, ModelSpec("m", profile=levels))["think"] == "medium"
    words = profile_from({"reasoning_effort_map": {"high": "max"}})
    assert sent(asked, ModelSpec("m", profile=words))["think"] == "max"
    assert sent(replace(TURN, params={"think": True}))["think"] is True
    assert sent(replace(TURN, options=Options(thinking_budget=0)))["think"] is False


LOOK = ToolSpec("look", "Look.", {"type": "object", "properties": {"at": {"type": "string"}}})
TOUCH = ToolSpec("touch")


def test_tools_are_offered_with_schemas_that_the_server_can_decode():
    odd = ToolSpec("odd", None, {"type": ["object", "null"], "properties": {"any": True, "a": {}}, "required": None})
    functions = [tool["function"] for tool in sent(replace(TURN, tools=(LOOK, TOUCH, odd)))["tools"]]
    assert functions == [
        {"name": "look", "description": "Look.", "parameters": LOOK.parameters},
        {"name": "touch", "parameters": {"type": "object", "properties": {}}},
        {"name": "odd", "parameters": {"type": "object", "properties": {"any": {}, "a": {}}}},
    ]


def test_a_demanded_call_is_asked_for_in_words():
    pinned = sent(replace(TURN, tools=(LOOK, TOUCH), tool_choice=ToolChoice("pinned", "look")))
    assert [tool["function"]["name"] for tool in pinned["tools"]] == ["look"]
    assert pinned["messages"][0]["role"] == "system"
    assert "calling the tool `look`" in pinned["messages"][0]["content"]
    system = Message("developer", (Text("Be kind."),))
    required = sent(replace(TURN, messages=(system, USER), tools=(LOOK, TOUCH), tool_choice=ToolChoice("required")))
    assert len(required["tools"]) == 2
    first, second = required["messages"]
    assert first["content"].startswith("Be kind.\n")
    assert "calling one of the tools" in first["content"]
    assert second["content"] == "Hi"


def test_no_tools_are_offered_when_none_may_be_called():
    assert "tools" not in sent(replace(TURN, tools=(LOOK,), tool_choice=ToolChoice("none")))
    assert "tools" not in sent(replace(TURN, tools=(LOOK,)), ModelSpec("m", tools=False))


def test_a_conversation_keeps_its_order_and_its_ids():
    calls = (ToolCall("c1", "look", '{"at":  1}'), ToolCall("c2", "touch", ""))
    own = Thinking("Hm.", owner=Owner("ollama", "house", "gpt-oss:20b"))
    foreign = Thinking("secret", "sig", owner=Owner("anthropic-messages", "a", "b"))
    messages = (
        Message("system", (Text("Be kind."),)),
        Message("user", (Text("See"), Text("this."), Image(PIXEL))),
        Message("assistant", (own, foreign, Text("I look."), Citation("https://a.example"), *calls)),
        Message("tool", (ToolResult("c1", (Text("A cat."), Image(PIXEL))),)),
        Message("tool", (ToolResult("c2", (Text("It broke."),), is_error=True),)),
        Message("assistant", (Refusal("I won't."),)),
        Message("assistant", (foreign,)),
        Message("user", (Text("Why?"),)),
    )
    assert sent(replace(TURN, messages=messages))["messages"] == [
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": "See\nthis.", "images": ["iVBORw0KGgo="]},
        {
            "role": "assistant", "content": "I look.", "thinking": "Hm.",
            "tool_calls": [
                {"id": "c1", "function": {"name": "look", "arguments": {"at": 1}}},
                {"id": "c2", "function": {"name": "touch", "arguments": {}}},
            ],
        },
        {"role": "tool", "content": "A cat.", "tool_name": "look", "tool_call_id": "c1"},
        {"role": "tool", "content": "Error: It broke.", "tool_name": "touch", "tool_call_id": "c2"},
        {"role": "user", "content": "Image(s) from the tool results above:", "images": ["iVBORw0KGgo="]},
        {"role": "assistant", "content": "I won't."},
        {"role": "user", "content": "Why?"},
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("part", "named"),
    [
        (Audio("UklGRg==", "wav"), "audio"),
        (File("a.pdf", "application/pdf", "JVBERi0="), "files"),
        (Image("https://pictures.example/1.png"), "images by URL"),
        (Foreign("openai-completions", {"type": "video_url"}), "parts of type 'video_url'"),
    ],
)
def test_what_the_format_cannot_carry_is_refused_by_name(part, named):
    with pytest.raises(UpstreamError, match=named) as raised:
        sent(replace(TURN, messages=(Message("user", (Text("See"), part)),)))
    assert (raised.value.kind, raised.value.status) == (Kind.UNSUPPORTED, 400)


def test_hidden_tool_calls_are_left_out_for_a_model_without_tools():
    hidden = Message("assistant", (ToolCall("c", "look", "{}"),), hidden=True)
    messages = (USER, hidden, Message("assistant", (Text("Done."),)), USER)
    assert len(sent(replace(TURN, messages=messages), ModelSpec("m", tools=False))["messages"]) == 3
