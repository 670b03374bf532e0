"""Endpoints that refuse what they do not know: what each quirk of a row leaves out, at every depth."""

import json

import pytest
from msgspec.structs import replace

from gateway.core.message import Extras, Message, Owner, Text, Thinking
from gateway.core.turn import Turn
from gateway.upstream.catalog import CATALOG
from gateway.upstream.model import model_from
from gateway.wire import UPSTREAMS
from gateway.wire.function_tools import as_functions
from gateway.wire.openai_chat import WIRE
from gateway.wire.openai_chat.ingress import ChatIngress
from gateway.wire.openai_chat.request import build_request

MARK = {"cache_control": {"type": "ephemeral"}}
FUNCTION = {"name": "f", "parameters": {"type": "object"}, "strict": True}
CALL = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
BODY = {
    "messages": [
        {"role": "system", "content": [{"type": "text", "text": "a", **MARK}], "name": "ann", "zz": 1},
        {"role": "user", "content": [{"type": "text", "text": "b"}, {"type": "text", "text": "c"}], "name": "ann"},
        {
            "role": "assistant",
            "content": "d",
            "refusal": None,
            "reasoning_content": "hm",
            "annotations": [],
            "audio": {"id": "a"},
            "tool_calls": [{**CALL, "extra_content": {"a": 1}}],
        },
        {"role": "tool", "tool_call_id": "c", "content": "4", **MARK},
        {"role": "assistant", "content": None, "refusal": "no"},
        {"role": "user", "content": "e"},
    ],
    "tools": [{"type": "function", "function": {**FUNCTION, "zz": 1}, **MARK}],
    "metadata": {"a": "b"},
    "parallel_tool_calls": True,
    "prompt_cache_key": "k",
    "prompt_cache_options": {"mode": "implicit"},
    "prompt_cache_retention": "24h",
    "reasoning_effort": "low",
    "response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "object"}}},
    "seed": 7,
    "service_tier": "flex",
    "store": True,
    "temperature": 1,
    "top_p": 1,
    "verbosity": "low",
    "zz": 1,
}
STRICT_MESSAGES = [
    {"role": "system", "content": [{"type": "text", "text": "a"}]},
    {"role": "user", "content": [{"type": "text", "text": "b"}, {"type": "text", "text": "c"}]},
    {"role": "assistant", "content": "d", "tool_calls": [CALL]},
    {"role": "tool", "content": "4", "tool_call_id": "c"},
    {"role": "assistant", "content": "no"},
    {"role": "user", "content": "e"},
]


def sent(**quirks):
    model = model_from("m", WIRE, quirks)
    return json.loads(build_request(ChatIngress.read(json.dumps(BODY).encode()).turn(), model))


def test_an_endpoint_without_quirks_gets_everything():
    body = sent()
    assert body["messages"][2] == {name: value for name, value in BODY["messages"][2].items() if value is not None}
    expected = {name: value for name, value in BODY.items() if name != "messages"}
    assert body.items() >= expected.items()


def test_strict_keys_of_messages_leave_only_what_the_format_defines():
    body = sent(strict_message_keys=True, supports_tool_call_fields=False)
    assert body["messages"] == STRICT_MESSAGES
    assert body["tools"] == [{"type": "function", "function": FUNCTION}]
    assert body["zz"] == 1


def test_an_endpoint_that_refuses_unknown_fields_gets_none_at_any_depth():
    body = sent(supports_unknown_fields=False, supports_tool_call_fields=False)
    assert body["messages"] == STRICT_MESSAGES
    assert body.keys() == {
        *("messages", "model", "tools", "metadata", "parallel_tool_calls", "reasoning_effort", "response_format"),
        *("seed", "temperature", "top_p"),
    }


def test_what_the_operator_configures_is_sent_all_the_same():
    model = model_from("m", WIRE, {"supports_unknown_fields": False, "supports_prompt_cache_key": False})
    turn = ChatIngress.read(json.dumps(BODY).encode()).turn()
    body = json.loads(build_request(replace(turn, params={"service_tier": "batch", "prompt_cache_key": "k"}), model))
    assert (body["service_tier"], body["prompt_cache_key"]) == ("flex", "k")


@pytest.mark.parametrize(
    ("quirk", "value", "gone", "instead"),
    [
        ("supports_store", False, {"store"}, {}),
        (
            "supports_prompt_cache_key",
            False,
            {"prompt_cache_key", "prompt_cache_options", "prompt_cache_retention"},
            {},
        ),
        ("supports_temperature", False, {"temperature", "top_p"}, {}),
        ("supports_reasoning_effort", False, {"reasoning_effort"}, {}),
        ("supports_parallel_tool_calls", False, {"parallel_tool_calls"}, {}),
        ("seed_field", "random_seed", {"seed"}, {"random_seed": 7}),
        ("supports_json_schema_response_format", False, set(), {"response_format": {"type": "json_object"}}),
    ],
)
def test_a_quirk_of_a_row_changes_its_fields_and_no_others(quirk, value, gone, instead):
    body, plain = sent(**{quirk: value}), sent()
    assert plain.keys() - body.keys() == gone
    assert {name: field for name, field in body.items() if plain.get(name) != field and name != "messages"} == instead


def test_a_schema_that_has_no_field_is_sent_in_words():
    first = sent(supports_json_schema_response_format=False)["messages"][0]
    assert first["role"] == "system"
    assert '{"type":"object"}' in first["content"]


def test_strict_mode_string_content_and_names_of_results_follow_the_row():
    assert "strict" not in sent(supports_strict_mode=False)["tools"][0]["function"]
    contents = [message["content"] for message in sent(requires_string_content=True)["messages"]]
    assert contents == ["a", "bc", "d", "4", None, "e"]
    assert sent(requires_tool_result_name=True)["messages"][3]["name"] == "f"


@pytest.mark.parametrize("name", ["mistral", "groq", "cerebras"])
def test_strict_providers_of_the_catalogue_get_clean_messages(name):
    quirks = {**CATALOG[name].quirks, "requires_mistral_tool_ids": False}  # of which there is a test of its own
    assert sent(**quirks)["messages"] == STRICT_MESSAGES


@pytest.mark.parametrize("name", ["mistral", "groq", "nvidia"])
def test_providers_that_refuse_fields_of_openai_do_not_get_them(name):
    assert (
        sent(**CATALOG[name].quirks)
        .keys()
        .isdisjoint({"prompt_cache_key", "prompt_cache_retention", "prompt_cache_options", "store"})
    )


@pytest.mark.parametrize(
    "name", ["cerebras", "chutes", "deepseek", "mistral", "nvidia", "opencode", "opencode-go", "xiaomi", "zai"]
)
def test_providers_that_store_nothing_are_not_asked_to(name):
    assert "store" not in sent(**CATALOG[name].quirks)


@pytest.mark.parametrize("name", ["google", "kimi", "minimax", "synthetic", "ollama", "ollama-cloud", "amazon-bedrock"])
def test_providers_of_another_format_get_nothing_that_only_this_one_knows(name):
    """At no depth: what a chat client adds to messages, parts, calls and tools, and unknown fields of the request."""
    row = CATALOG[name]
    turn, _ = as_functions(ChatIngress.read(json.dumps(BODY).encode()).turn(), row.api)
    asked = UPSTREAMS[row.api].request(turn, model_from("claude-sonnet-4-6", row.api, row.quirks))
    names = set(names_in(json.loads(asked.body)))
    assert not names & {"zz", "extra_content", "annotations", "refusal", "reasoning_content", "audio", "store"}
    assert not names & {"prompt_cache_key", "prompt_cache_options", "verbosity", "metadata"} - allowed(row.api)


def allowed(api):
    """What a format has under the same name."""
    return {"metadata"} if api == "anthropic-messages" else set()


def names_in(value):
    """The names of all fields, at every depth."""
    if isinstance(value, dict):
        yield from value
        for one in value.values():
            yield from names_in(one)
    if isinstance(value, list):
        for one in value:
            yield from names_in(one)


@pytest.mark.parametrize("name", ["vllm", "sglang", "llamacpp", "lmstudio", "openrouter", "moonshot"])
def test_lenient_servers_get_what_the_client_sent(name):
    expected = {field for field in BODY if field != "messages"}
    assert sent(**CATALOG[name].quirks).keys() >= expected


def test_a_strict_endpoint_gets_its_own_reasoning_back():
    own = Thinking("hm", owner=Owner(WIRE, "", "m"), extras=Extras(WIRE, {"field": "reasoning"}))
    model = model_from("m", WIRE, {"strict_message_keys": True})
    body = json.loads(build_request(Turn("m", (Message("assistant", (own, Text("a"))),)), model))
    assert body["messages"] == [{"role": "assistant", "content": "a", "reasoning": "hm"}]
