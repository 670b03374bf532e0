"""What follows from the address of a row: the context of Ollama's OpenAI-compatible side, Claude behind OpenRouter."""

import json

import pytest

from gateway.config.providers import ModelsConfig
from gateway.core.message import Message, Text, ToolCall, ToolResult
from gateway.core.turn import Turn
from gateway.upstream.configured import providers_from
from gateway.upstream.provider import Provider
from gateway.wire import UPSTREAMS
from gateway.wire.openai_chat.request import build_request


def row(name="p", *, env=None, mode="replace", **fields):
    config = {"mode": mode, "providers": {name: fields} if fields else {}}
    return providers_from(ModelsConfig.model_validate(config), env or {}, [name])[name]


def body_of(provider: Provider, model: str, params=None):
    turn = Turn("m", (Message("user", (Text("hi"),)),), params=params)
    return json.loads(build_request(turn, provider.model(model)))


MODELS = [{"id": "m", "contextWindow": 32768}]
COMPLETIONS = "openai-completions"


@pytest.mark.parametrize(
    ("name", "url", "api", "is_ollama"),
    [
        ("ollama", "http://gpu.example/v1", COMPLETIONS, True),
        ("local", "http://127.0.0.1:11434/v1", COMPLETIONS, True),
        ("local", "http://localhost:11434/v1", COMPLETIONS, True),
        ("local", "http://[::1]:11434/v1", COMPLETIONS, True),
        ("my-ollama", "http://gpu.example:11434/v1", COMPLETIONS, True),
        ("my-ollama", "http://gpu.example:11434/proxy/v1", COMPLETIONS, False),
        ("local", "http://gpu.example:11434/v1", COMPLETIONS, False),
        ("local", "http://127.0.0.1:8000/v1", COMPLETIONS, False),
    ],
)
def test_ollama_behind_openais_format_is_asked_for_the_context_of_the_model(name, url, api, is_ollama):
    provider = row(name, baseUrl=url, api=api, models=MODELS)
    expected = {"num_ctx": 32768} if is_ollama else None
    assert body_of(provider, "m").get("options") == expected


def test_the_context_is_not_sent_where_the_row_says_so_or_none_is_known():
    url = "http://127.0.0.1:11434/v1"
    off = row("ollama", baseUrl=url, api=COMPLETIONS, injectNumCtxForOpenAICompat=False, models=MODELS)
    unknown = row("ollama", baseUrl=url, api=COMPLETIONS, models=[{"id": "m"}])
    assert "options" not in body_of(off, "m")
    assert "options" not in body_of(unknown, "m")


def test_the_operators_options_win_over_the_context_and_stay_beside_it():
    models = [{**MODELS[0], "params": {"options": {"num_ctx": 4096}}}, {**MODELS[0], "id": "n"}]
    params = {"options": {"num_gpu": 1}}
    provider = row("ollama", baseUrl="http://h/v1", api=COMPLETIONS, params=params, models=models)
    assert body_of(provider, "m")["options"] == {"num_ctx": 4096}
    assert body_of(provider, "n")["options"] == {"num_ctx": 32768, "num_gpu": 1}


def is_cached(provider: Provider, model: str) -> bool:
    return "cache_control" in json.dumps(body_of(provider, model))


def test_claude_behind_openrouter_gets_breakpoints_and_other_models_do_not():
    built_in = row("openrouter", mode="merge", env={"OPENROUTER_API_KEY": "k"})
    keyed = row("openrouter", mode="merge", apiKey="k", models=[{"id": "anthropic/listed"}])
    other_id = row("or", baseUrl="https://openrouter.ai/api/v1", models=[{"id": "anthropic/listed"}])
    for provider in (built_in, keyed, other_id):
        assert is_cached(provider, "anthropic/listed")
        assert not is_cached(provider, "deepseek/deepseek-v4")
    for model in ("anthropic/claude-opus-4.6", "anthropic/claude-later"):
        assert is_cached(built_in, model)
    behind_proxy = row("openrouter", baseUrl="https://proxy.example/v1", models=[{"id": "anthropic/listed"}])
    assert not is_cached(behind_proxy, "anthropic/listed")


def test_a_configured_model_gets_breakpoints_and_its_siblings_do_not():
    models = [{"id": "m", "compat": {"cacheControlFormat": "anthropic"}}, {"id": "n"}]
    provider = row(baseUrl="http://h/v1", models=models)
    assert is_cached(provider, "m")
    assert not is_cached(provider, "n")


@pytest.mark.parametrize("api", UPSTREAMS)
def test_no_format_sends_openclaws_name_for_the_cache_retention(api):
    provider = row(baseUrl="https://h.example/v1", api=api, apiKey="k", models=[{"id": "m"}])
    turn = Turn("m", (Message("user", (Text("hi"),)),), params={"cacheRetention": "long"})
    model = provider.model("m")
    assert b"acheRetention" not in UPSTREAMS[api].request(turn, model).body


LONG_ID = f"chatcmpl-tool-{'a1b2c3d4' * 4}"
CALLED = (
    Message("user", (Text("hi"),)),
    Message("assistant", (ToolCall(LONG_ID, "f", "{}"), ToolCall("call_1", "f", "{}"))),
    Message("tool", (ToolResult(LONG_ID, (Text("1"),)),)),
    Message("tool", (ToolResult("call_1", (Text("2"),)),)),
)


@pytest.mark.parametrize(
    ("url", "is_short"),
    [
        ("https://api.openai.com/v1", True),
        ("https://some-name.openai.azure.com/openai/v1", True),
        ("https://some-name.services.ai.azure.com/openai/v1", True),
        ("https://openrouter.ai/api/v1", False),
        ("http://127.0.0.1:4000/v1", False),  # a proxy may read the signature that its own ids hold
        ("https://api.openai.com.example/v1", False),
    ],
)
def test_another_providers_long_ids_of_calls_are_short_where_openai_answers(url: str, is_short: bool):
    provider = row(baseUrl=url, api=COMPLETIONS, apiKey="k", models=[{"id": "m"}])
    body = json.loads(UPSTREAMS[COMPLETIONS].request(Turn("m", CALLED), provider.model("m")).body)
    assistant, *results = body["messages"][1:]
    ids = [call["id"] for call in assistant["tool_calls"]]
    assert ids == [result["tool_call_id"] for result in results]
    assert ids[1] == "call_1"
    assert (len(ids[0]) <= 40, ids[0] == LONG_ID) == (is_short, not is_short)
