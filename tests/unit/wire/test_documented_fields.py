"""Every field that OpenAI documents is accounted for: passed on, changed by a rule that stands here, or left out.

The official package is the documentation: a field that it gains fails these tests until somebody has decided.
"""

import json
from typing import Any

import pytest
from openai.types.chat import ChatCompletion, ChatCompletionMessage
from openai.types.chat.completion_create_params import CompletionCreateParamsBase
from openai.types.responses.response_create_params import ResponseCreateParamsBase

from gateway.core.accumulator import accumulated
from gateway.core.errors import BadRequest
from gateway.wire.model import ModelSpec
from gateway.wire.openai_chat.answer import StreamParser, parse_answer
from gateway.wire.openai_chat.ingress import ChatIngress
from gateway.wire.openai_chat.profile import Profile
from gateway.wire.openai_chat.render import ChatRenderer, render_answer
from gateway.wire.openai_chat.request import build_request
from gateway.wire.openai_responses.ingress import ResponsesIngress

MODEL = ModelSpec("small", profile=Profile(developer_role=True, max_tokens_field="max_completion_tokens"))
SAY = {"role": "user", "content": "hi"}
FUNCTION = {"name": "look", "description": "Look.", "parameters": {"type": "object"}, "strict": True}
TOOL = {"type": "function", "function": FUNCTION}
CALL = {"id": "c1", "type": "function", "function": {"name": "look", "arguments": '{"at":  1.50}'}}
MESSAGES = [
    {"role": "developer", "content": [{"type": "text", "text": "Be kind."}], "name": "operator"},
    {"role": "system", "content": "Be brief."},
    {
        "role": "user",
        "name": "ann",
        "content": [
            {"type": "text", "text": "What is it?"},
            {"type": "image_url", "image_url": {"url": "https://a.example/1.png", "detail": "high"}},
            {"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}},
            {"type": "file", "file": {"file_data": "JVBERi0=", "filename": "a.pdf"}},
        ],
    },
    {
        "role": "assistant",
        "content": [{"type": "text", "text": "Well,"}, {"type": "refusal", "refusal": "no."}],
        "name": "bot",
        "audio": {"id": "audio_1"},
    },
    {"role": "assistant", "content": None, "refusal": "I can't."},
    {"role": "assistant", "content": "Look:", "tool_calls": [CALL, {**CALL, "id": "c2"}], "reasoning_content": "hm"},
    {"role": "tool", "content": "a cat", "tool_call_id": "c1"},
    {"role": "tool", "content": [{"type": "text", "text": "a dog"}], "tool_call_id": "c2"},
    {
        "role": "assistant",
        "content": None,
        "tool_calls": [{"id": "c3", "type": "custom", "custom": {"name": "sh", "input": "ls"}}],
        "reasoning_details": [{"type": "reasoning.encrypted", "data": "AAA=", "index": 0}],
    },
    {"role": "tool", "content": "", "tool_call_id": "c3"},
    {"role": "function", "content": "a result without its call", "name": "look"},
    SAY,
]

# As they are.
CHAT: dict[str, Any] = {
    "messages": MESSAGES,
    "audio": {"format": "wav", "voice": "alloy"},
    "frequency_penalty": 0.5,
    "logit_bias": {"50256": -100},
    "logprobs": True,
    "max_completion_tokens": 77,
    "metadata": {"team": "a"},
    "modalities": ["text", "audio"],
    "moderation": {"model": "m"},
    "parallel_tool_calls": False,
    "prediction": {"type": "content", "content": "hi"},
    "presence_penalty": -0.5,
    "prompt_cache_key": "key",
    "prompt_cache_options": {"mode": "implicit"},
    "prompt_cache_retention": "24h",
    "reasoning_effort": "high",
    "response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": {}, "strict": True}},
    "safety_identifier": "user-1",
    "seed": 7,
    "service_tier": "flex",
    "stop": ["a", "b"],
    "store": True,
    "temperature": 0.25,
    "tool_choice": "required",
    "tools": [TOOL],
    "top_logprobs": 3,
    "top_p": 0.5,
    "verbosity": "low",
    "web_search_options": {"search_context_size": "low"},
}
# Field: its value, and what becomes of it.
CHAT_CHANGED: dict[str, tuple[Any, dict[str, Any]]] = {
    "model": ("openclaw", {"model": "small"}),  # an agent's name, which the agent's model replaces
    "max_tokens": (5, {"max_completion_tokens": 5}),
    "n": (1, {}),
    "user": ("ann", {}),  # names the conversation, which is the gateway's business
    # Their form of today, and back in the answer.
    "functions": ([FUNCTION], {"tools": [TOOL], "parallel_tool_calls": False}),
    "function_call": (None, {}),  # beside `functions` a tool choice
    "stream_options": ({"include_usage": False}, {}),  # tokens are always asked for, and shown if they are wanted
}


def chat_request(body: dict[str, Any]) -> dict[str, Any]:
    turn = ChatIngress.read(json.dumps(body).encode()).turn()
    sent: dict[str, Any] = json.loads(build_request(turn, MODEL))
    return sent


def test_every_field_of_a_chat_request_is_accounted_for():
    assert CHAT.keys() | CHAT_CHANGED.keys() == CompletionCreateParamsBase.__annotations__.keys()


def test_a_chat_provider_gets_every_field_as_the_client_sent_it():
    unknown = {"x_new": {"deep": [1, 2.50, None]}}
    assert chat_request(CHAT | unknown) == CHAT | unknown | {"model": "small"}


@pytest.mark.parametrize("name", CHAT_CHANGED)
def test_the_other_fields_of_a_chat_request_are_changed_by_these_rules(name):
    value, becomes = CHAT_CHANGED[name]
    assert chat_request({"messages": [SAY], name: value}) == {"model": "small", "messages": [SAY]} | becomes


CITED = {"url": "https://a.example", "title": "A", "start_index": 0, "end_index": 2}
USAGE = {
    "prompt_tokens": 11,
    "completion_tokens": 7,
    "total_tokens": 18,
    "prompt_tokens_details": {"cached_tokens": 3, "cache_write_tokens": 2},
    "completion_tokens_details": {"reasoning_tokens": 4},
}
LOGPROBS = {"content": [{"token": "a", "logprob": -0.5, "bytes": [97], "top_logprobs": []}], "refusal": None}
MESSAGE = {
    "role": "assistant",
    "content": "It is a cat.",
    "refusal": "No more.",
    "reasoning_content": "hm",
    "annotations": [{"type": "url_citation", "url_citation": CITED}],
    "tool_calls": [{**CALL, "extra_content": {"google": {"thought_signature": "s"}}}, {**CALL, "id": "c2"}],
}
COMPLETION = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1_700_000_000,
    "model": "small",
    "choices": [{"index": 0, "message": MESSAGE, "logprobs": LOGPROBS, "finish_reason": "tool_calls"}],
    "usage": USAGE,
}
HEAD = {"id": "chatcmpl-1", "created": 1_700_000_000, "model": "small"}


def test_every_field_of_a_chat_answer_is_accounted_for():
    retired, spoken = "function_call", "audio"  # the first becomes `tool_calls`; for the second there is no place yet
    assert MESSAGE.keys() - {"reasoning_content"} | {retired, spoken} == ChatCompletionMessage.model_fields.keys()
    at_the_provider = {"metadata", "moderation", "service_tier", "system_fingerprint"}  # what it made of the request
    assert COMPLETION.keys() | at_the_provider == ChatCompletion.model_fields.keys()


def test_a_chat_client_gets_a_chat_providers_answer_as_it_was():
    answer = accumulated(parse_answer(json.dumps(COMPLETION).encode(), MODEL))
    assert json.loads(render_answer(answer, **HEAD)) == COMPLETION


def test_a_streamed_chat_answer_is_the_same_after_it_has_passed():
    answer = accumulated(parse_answer(json.dumps(COMPLETION).encode(), MODEL))
    deltas = [
        {"reasoning_content": "hm"},
        *({"content": piece} for piece in ("It is", " a cat.")),
        {"refusal": "No more."},
        {"annotations": MESSAGE["annotations"]},
        *({"tool_calls": [{"index": index, **call}]} for index, call in enumerate(MESSAGE["tool_calls"])),
    ]
    choices = [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": None} for delta in deltas]
    choices[1]["logprobs"] = LOGPROBS
    choices.append({"index": 0, "delta": {}, "finish_reason": "tool_calls"})
    chunks = [{**HEAD, "choices": [choice]} for choice in choices] + [{**HEAD, "choices": [], "usage": USAGE}]
    stream = b"".join(b"data: " + json.dumps(chunk).encode() + b"\n\n" for chunk in chunks) + b"data: [DONE]\n\n"

    def read(data: bytes) -> Any:
        parser = StreamParser(MODEL)
        return [*parser.feed(data), *parser.close()]

    renderer = ChatRenderer(now=0, include_usage=True).stream("small")
    events = read(stream)
    assert accumulated(events) == answer
    assert accumulated(read(renderer.feed(events) + renderer.close())) == answer


# What a chat provider is asked.
RESPONSES: dict[str, tuple[Any, dict[str, Any]]] = {
    "model": ("openclaw", {"model": "small"}),
    "input": ("hi", {"messages": [SAY]}),
    "instructions": ("Be kind.", {"messages": [{"role": "system", "content": "Be kind."}, SAY]}),
    "max_output_tokens": (77, {"max_completion_tokens": 77}),
    "prompt_cache_key": ("key", {"prompt_cache_key": "key"}),
    "prompt_cache_retention": ("24h", {"prompt_cache_retention": "24h"}),
    "reasoning": ({"effort": "high", "summary": "auto"}, {"reasoning_effort": "high"}),
    "safety_identifier": ("user-1", {"safety_identifier": "user-1"}),
    "service_tier": ("flex", {"service_tier": "flex"}),
    "temperature": (0.25, {"temperature": 0.25}),
    "text": (
        {"verbosity": "low", "format": {"type": "json_schema", "name": "x", "schema": {}, "strict": True}},
        {
            "verbosity": "low",
            "response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": {}, "strict": True}},
        },
    ),
    "tools": ([{"type": "function", **FUNCTION}], {"tools": [TOOL]}),
    "top_p": (0.5, {"top_p": 0.5}),
    "include": (["message.output_text.logprobs"], {"logprobs": True}),
}
# What only means something beside another field.
RESPONSES_WITH: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "tool_choice": (
        {"tools": [{"type": "function", **FUNCTION}], "tool_choice": {"type": "function", "name": "look"}},
        {"tools": [TOOL], "tool_choice": {"type": "function", "function": {"name": "look"}}},
    ),
    "parallel_tool_calls": (
        {"tools": [{"type": "function", **FUNCTION}], "parallel_tool_calls": False},
        {"tools": [TOOL], "parallel_tool_calls": False},
    ),
    "top_logprobs": (
        {"include": ["message.output_text.logprobs"], "top_logprobs": 3},
        {"logprobs": True, "top_logprobs": 3},
    ),
}
RESPONSES_HERE = {  # the gateway's own business, or repeated in the response
    "background", "max_tool_calls", "metadata", "previous_response_id", "store", "truncation", "user",
}  # fmt: skip
RESPONSES_REFUSED = {"conversation": {"id": "conv_1"}, "prompt": {"id": "pmpt_1"}}
RESPONSES_IGNORED = {
    "access_programs", "background_options", "context_management", "image", "moderation", "prompt_cache_options",
    "stream_options",
}  # fmt: skip


def responses_request(body: dict[str, Any]) -> dict[str, Any]:
    turn = ResponsesIngress.read(json.dumps({"model": "openclaw", "input": "hi", **body}).encode()).turn()
    sent: dict[str, Any] = json.loads(build_request(turn, MODEL))
    return sent


def test_every_field_of_a_responses_request_is_accounted_for():
    read = RESPONSES.keys() | RESPONSES_WITH.keys() | RESPONSES_HERE
    assert read | RESPONSES_REFUSED.keys() | RESPONSES_IGNORED == ResponseCreateParamsBase.__annotations__.keys()


@pytest.mark.parametrize("name", [*RESPONSES, *RESPONSES_WITH])
def test_a_chat_provider_gets_what_a_responses_request_means(name):
    body, becomes = RESPONSES_WITH.get(name) or ({name: RESPONSES[name][0]}, RESPONSES[name][1])
    assert responses_request(body) == {"model": "small", "messages": [SAY]} | becomes


@pytest.mark.parametrize("name", RESPONSES_REFUSED)
def test_a_field_that_would_be_lost_is_refused(name):
    with pytest.raises(BadRequest, match=f"`{name}`"):
        responses_request({name: RESPONSES_REFUSED[name]})


@pytest.mark.parametrize("name", sorted(RESPONSES_IGNORED))
def test_what_is_not_known_here_is_ignored(name):
    assert responses_request({name: {"a": 1}}) == {"model": "small", "messages": [SAY]}
