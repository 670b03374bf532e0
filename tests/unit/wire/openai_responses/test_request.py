"""The body of a request to a provider."""

import json

import pytest

from gateway.core.message import (
    Audio,
    Citation,
    File,
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
from gateway.wire import UPSTREAMS
from gateway.wire.model import ModelSpec
from gateway.wire.openai_responses.items import read_input

WIRE = UPSTREAMS["openai-responses"]
ASK = Message("user", (Text("hi"),))
OWNER = Owner("openai-responses", "p", "small")
TOOL = ToolSpec("f", parameters={"type": "object"})


def sent(*messages, model="small", quirks=(), spec=(), **fields):
    target = ModelSpec(model, provider="p", profile=WIRE.profile(dict(quirks)), **dict(spec))
    return json.loads(WIRE.request(Turn("m", messages or (ASK,), **fields), target).body)


def test_only_what_the_client_set_is_sent_and_nothing_is_stored():
    assert sent() == {
        "model": "small",
        "input": [{"type": "message", "role": "user", "content": "hi"}],
        "store": False,
    }


def test_the_operators_fields_are_sent_and_the_clients_win():
    body = sent(
        params={"store": True, "reasoning": {"effort": "high", "summary": "auto"}, "truncation": "auto"},
        spec={"params": {"include": ["x"], "truncation": "disabled"}},
        options=Options(effort="low"),
    )
    assert body["store"] is True
    assert body["truncation"] == "auto"
    assert body["reasoning"] == {"effort": "low", "summary": "auto"}
    assert body["include"] == ["x"]  # what the provider stores, it need not send


@pytest.mark.parametrize(
    ("wanted", "limit", "expected"),
    [(None, None, None), (None, 50, 50), (40, 50, 40), (60, 50, 50), (5, None, 16), (5, 50, 16)],
)
def test_the_limit_of_the_answer_is_the_smaller_one_and_never_what_openai_refuses(wanted, limit, expected):
    body = sent(sampling=Sampling(max_tokens=wanted), spec={"max_tokens": limit})
    assert body.get("max_output_tokens") == expected


@pytest.mark.parametrize(
    ("model", "spec", "options", "asks"),
    [
        ("gpt-4.1", {}, Options(summary="auto"), False),
        ("gpt-4.1", {}, Options(summary="auto", effort="none"), False),
        ("gpt-5.5", {}, Options(summary="auto"), True),
        ("gpt-5-chat-latest", {}, Options(summary="auto"), False),
        ("o4-mini", {}, Options(summary="auto"), True),
        ("openai/gpt-5.5", {}, Options(summary="auto"), True),
        ("grok-4", {"reasoning": True}, Options(summary="auto"), True),
        ("grok-4", {}, Options(summary="auto", effort="high"), True),
    ],
)
def test_only_a_model_that_reasons_is_asked_for_its_reasoning(model, spec, options, asks):
    body = sent(model=model, spec=spec, options=options)
    assert (body.get("include") == ["reasoning.encrypted_content"]) is asks
    assert (body.get("reasoning", {}).get("summary") == "auto") is asks


def test_settings_go_to_their_fields():
    body = sent(
        sampling=Sampling(
            temperature=0.5,
            top_p=0.1,
            seed=1,
            stop=("x",),
            frequency_penalty=1,
            response_format=ResponseFormat("json_schema", {"name": "n", "schema": {}}),
        ),
        options=Options(
            verbosity="low",
            logprobs=True,
            top_logprobs=3,
            service_tier="flex",
            cache_key="k",
            cache_retention="24h",
            end_user="u",
            metadata={"a": "b"},
            top_k=4,
        ),
        stream=True,
    )
    assert {name: value for name, value in body.items() if name not in ("model", "input", "store")} == {
        "temperature": 0.5,
        "top_p": 0.1,
        "text": {"format": {"type": "json_schema", "strict": False, "name": "n", "schema": {}}, "verbosity": "low"},
        "include": ["message.output_text.logprobs"],
        "top_logprobs": 3,
        "service_tier": "flex",
        "prompt_cache_key": "k",
        "prompt_cache_retention": "24h",
        "safety_identifier": "u",
        "metadata": {"a": "b"},
        "stream": True,
    }


@pytest.mark.parametrize(
    ("wanted", "expected"), [("minimal", "low"), ("max", "high"), ("xhigh", "deep"), ("low", "low")]
)
def test_an_effort_is_the_models_own_or_the_nearest(wanted, expected):
    quirks = {"supported_reasoning_efforts": ("low", "high"), "reasoning_effort_map": {"xhigh": "deep"}}
    assert sent(quirks=quirks, options=Options(effort=wanted))["reasoning"] == {"effort": expected}


def test_quirks_leave_fields_out():
    quirks = {
        "supports_store": False,
        "supports_temperature": False,
        "supports_reasoning_effort": False,
        "supports_prompt_cache_key": False,
        "supports_parallel_tool_calls": False,
        "supports_tool_choice": False,
        "supports_developer_role": False,
        "max_tokens_field": "max_tokens",
    }
    body = sent(
        Message("developer", (Text("d"),)),
        ASK,
        quirks=quirks,
        sampling=Sampling(temperature=0.5, top_p=0.1),
        options=Options(effort="none", cache_key="k", cache_retention="24h", parallel_tool_calls=False),
        tools=(TOOL,),
        tool_choice=ToolChoice("required"),
    )
    assert body.keys() == {"model", "input", "tools"}
    assert body["input"][0]["role"] == "system"


def test_a_choice_of_no_tool_keeps_the_tools():
    body = sent(tools=(TOOL,), tool_choice=ToolChoice("none"), options=Options(parallel_tool_calls=True))
    assert (body["tool_choice"], body["parallel_tool_calls"], len(body["tools"])) == ("none", True, 1)


def test_parts_of_every_kind_have_their_item_or_part():
    url = "data:image/png;base64,AA=="
    user = Message(
        "user",
        (
            Text("look"),
            Image(url, "low"),
            Audio("UklG", "wav"),
            File("a.pdf", "application/pdf", "JVBE"),
            File("b", None, None, "https://h/b.pdf"),
        ),
    )
    answer = Message(
        "assistant",
        (
            Thinking("t", owner=OWNER),
            Thinking("of whom?"),
            Text("One."),
            Citation("https://c"),
            Refusal("No."),
            ToolCall("c1", "f", "{}"),
        ),
    )
    result = Message("tool", (ToolResult("c1", (Text("x"), Image(url))),))
    assert sent(user, answer, result)["input"] == [
        {
            "type": "message",
            "role": "user",
            "content": [
                {"type": "input_text", "text": "look"},
                {"type": "input_image", "image_url": url, "detail": "low"},
                {"type": "input_audio", "input_audio": {"data": "UklG", "format": "wav"}},
                {"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBE"},
                {"type": "input_file", "file_url": "https://h/b.pdf"},
            ],
        },
        {"type": "reasoning", "summary": [], "content": [{"type": "reasoning_text", "text": "t"}]},
        {
            "type": "message",
            "role": "assistant",
            "content": [{"type": "output_text", "text": "One."}, {"type": "refusal", "refusal": "No."}],
        },
        {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"},
        {
            "type": "function_call_output",
            "call_id": "c1",
            "output": [
                {"type": "input_text", "text": "x"},
                {"type": "input_image", "image_url": url, "detail": "auto"},
            ],
        },
    ]


def test_a_model_that_reads_no_images_gets_a_text_instead_of_a_tools_picture():
    result = Message("tool", (ToolResult("c1", (Image("data:image/png;base64,AA=="),)),))
    call = Message("assistant", (ToolCall("c1", "f", "{}"),))
    assert sent(ASK, call, result, spec={"images": False})["input"][-1] == {
        "type": "function_call_output",
        "call_id": "c1",
        "output": "[1 image(s): left out, the model reads none]",
    }


def test_the_phase_of_a_message_goes_back():
    commentary = {"type": "message", "role": "assistant", "phase": "commentary", "content": "I look."}
    assert sent(*read_input([{"role": "user", "content": "hi"}, commentary]))["input"][1] == commentary


def test_hidden_messages_are_left_out_for_a_model_without_tools():
    hidden = Message("assistant", (ToolCall("c1", "f", "{}"),), hidden=True)
    assert len(sent(ASK, hidden, spec={"tools": False})["input"]) == 1


def test_a_call_id_that_is_longer_than_the_api_accepts_is_replaced_in_call_and_result():
    """Ids of other makers may hold the signature of their reasoning."""
    long = "call_" + "x" * 200
    call = Message("assistant", (ToolCall(long, "f", "{}"), ToolCall("y" * 64, "f", "{}")))
    results = [Message("tool", (ToolResult(name, (Text("ok"),)),)) for name in (long, "y" * 64)]
    ids = [item["call_id"] for item in sent(ASK, call, *results)["input"] if "call_id" in item]
    assert ids == [ids[0], "y" * 64, ids[0], "y" * 64]
    assert len(ids[0]) <= 64
    assert ids[0] != ids[1]
