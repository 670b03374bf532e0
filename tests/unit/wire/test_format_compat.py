"""What a configured model refuses is left out of its requests, whichever client sends it: every key of `compat`."""

import base64
import json
from collections.abc import Iterator
from typing import Any

import pytest
import pytest_asyncio
from aiohttp.test_utils import TestClient

from tests.pdf import make_pdf
from tests.unit.wire.clients import ChatClient, MessagesClient, ResponsesClient
from tests.unit.wire.every_format import ANSWERS, ASK, House, SharedServers, each_client

pytestmark = pytest.mark.asyncio(loop_scope="module")

MARK = {"cache_control": {"type": "ephemeral"}}
PARAMETERS = {"type": "object", "properties": {"at": {"type": "string", "pattern": "^a"}}}
SCHEMA = {"type": "object", "properties": {"answer": {"type": "string"}}}
FUNCTION = {"name": "look", "description": "Look at it.", "strict": True}
CHAT = {
    "messages": [
        {"role": "developer", "content": [{"type": "text", "text": "Be kind.", **MARK}], "name": "ann"},
        {"role": "user", "content": [{"type": "text", "text": "What"}, {"type": "text", "text": " is it?"}]},
        {
            "role": "assistant",
            "content": None,
            "annotations": [],
            "tool_calls": [
                {
                    "id": "c1",
                    "type": "function",
                    "function": {"name": "look", "arguments": "{}"},
                    "extra_content": {"a": 1},
                }
            ],
        },
        {"role": "tool", "tool_call_id": "c1", "content": "A cat.", **MARK},
        {"role": "user", "content": "And now?"},
    ],
    "tools": [{"type": "function", "function": {**FUNCTION, "parameters": PARAMETERS}, **MARK}],
    "tool_choice": {"type": "function", "function": {"name": "look"}},
    "max_tokens": 77,
    "metadata": {"a": "b"},
    "parallel_tool_calls": False,
    "prompt_cache_key": "k",
    "prompt_cache_retention": "24h",
    "reasoning_effort": "low",
    "response_format": {"type": "json_schema", "json_schema": {"name": "answer", "schema": SCHEMA}},
    "seed": 7,
    "service_tier": "flex",
    "store": True,
    "temperature": 0.5,
    "top_p": 0.5,
    "verbosity": "low",
    "zz": 1,
}
RESPONSES = {
    "input": [
        {"role": "developer", "content": [{"type": "input_text", "text": "Be kind."}]},
        {"role": "user", "content": [{"type": "input_text", "text": one} for one in ("What", " is it?")]},
        {
            "type": "function_call",
            "call_id": "c1",
            "name": "look",
            "arguments": "{}",
            "extras": {"wire": "openai-completions", "fields": {"extra_content": {"a": 1}}},
        },
        {"type": "function_call_output", "call_id": "c1", "output": "A cat."},
        {"role": "user", "content": "And now?"},
    ],
    "tools": [{"type": "function", **FUNCTION, "parameters": PARAMETERS}],
    "tool_choice": {"type": "function", "name": "look"},
    "max_output_tokens": 77,
    "metadata": {"a": "b"},
    "parallel_tool_calls": False,
    "prompt_cache_key": "k",
    "prompt_cache_retention": "24h",
    "reasoning": {"effort": "low"},
    "text": {"format": {"type": "json_schema", "name": "answer", "schema": SCHEMA}, "verbosity": "low"},
    "service_tier": "flex",
    "store": True,
    "temperature": 0.5,
    "top_p": 0.5,
    "zz": 1,
}
MESSAGES = {
    "system": [{"type": "text", "text": "Be kind.", **MARK}],
    "messages": [
        {"role": "user", "content": [{"type": "text", "text": one, **MARK} for one in ("What", " is it?")]},
        {"role": "assistant", "content": [{"type": "tool_use", "id": "c1", "name": "look", "input": {}, **MARK}]},
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "c1", "content": "A cat.", **MARK},
                {"type": "text", "text": "And now?"},
            ],
        },
    ],
    "tools": [{**FUNCTION, "input_schema": PARAMETERS, **MARK}],
    "tool_choice": {"type": "tool", "name": "look", "disable_parallel_tool_use": True},
    "max_tokens": 77,
    "metadata": {"user_id": '{"session": "s"}'},
    "output_config": {"effort": "low", "format": {"type": "json_schema", "schema": SCHEMA}},
    "temperature": 0.5,
    "top_p": 0.5,
    "zz": 1,
}
BODIES: dict[type, dict[str, Any]] = {ChatClient: CHAT, ResponsesClient: RESPONSES, MessagesClient: MESSAGES}

# The compat of a row, and the names that it keeps out of a request, at every depth.
LEFT_OUT: dict[str, tuple[dict[str, Any], set[str]]] = {
    "supportsStore": ({"supportsStore": False}, {"store"}),
    "supportsReasoningEffort": ({"supportsReasoningEffort": False}, {"reasoning_effort"}),
    "supportsJsonSchemaResponseFormat": ({"supportsJsonSchemaResponseFormat": False}, {"json_schema"}),
    "supportsTemperature": ({"supportsTemperature": False}, {"temperature", "top_p"}),
    "supportsPromptCacheKey": (
        {"supportsPromptCacheKey": False},
        {"prompt_cache_key", "prompt_cache_retention"},
    ),
    "supportsParallelToolCalls": ({"supportsParallelToolCalls": False}, {"parallel_tool_calls"}),
    "supportsToolChoice": ({"supportsToolChoice": False}, {"tool_choice"}),
    "supportsToolCallFields": ({"supportsToolCallFields": False}, {"extra_content"}),
    "strictMessageKeys": ({"strictMessageKeys": True}, {"cache_control", "annotations"}),
    "supportsUnknownFields": (
        {"supportsUnknownFields": False},
        {"zz", "prompt_cache_key", "prompt_cache_retention", "service_tier", "store", "verbosity", "cache_control"},
    ),
    "unsupportedToolSchemaKeywords": ({"unsupportedToolSchemaKeywords": ["pattern"]}, {"pattern"}),
    "maxTokensField": ({"maxTokensField": "max_completion_tokens"}, {"max_tokens"}),
    "seedField": ({"seedField": "random_seed"}, {"seed"}),
}
# The compat of a row, and what is in its request instead.
INSTEAD: dict[str, tuple[dict[str, Any], Any]] = {
    "supportsStrictMode": (
        {"supportsStrictMode": False},
        lambda body: "strict" not in body["tools"][0]["function"],
    ),
    "requiresStringContent": (
        {"requiresStringContent": True},
        lambda body: all(isinstance(one["content"], str | None) for one in body["messages"]),
    ),
    "requiresToolResultName": (
        {"requiresToolResultName": True},
        lambda body: [one.get("name") for one in body["messages"] if one["role"] == "tool"] == ["look"],
    ),
    "supportedReasoningEfforts": (
        {"supportedReasoningEfforts": ["high"]},
        lambda body: body["reasoning_effort"] == "high",
    ),
    "reasoningEffortMap": (
        {"reasoningEffortMap": {"low": "tiny"}},
        lambda body: body["reasoning_effort"] == "tiny",
    ),
    "supportsJsonSchemaResponseFormat": (
        {"supportsJsonSchemaResponseFormat": False},
        lambda body: body["messages"][0]["role"] == "system" and '"answer"' in str(body["messages"][0]["content"]),
    ),
    "maxTokensField": (
        {"maxTokensField": "max_completion_tokens"},
        lambda body: body.get("max_completion_tokens") == 77,
    ),
}
CATALOGUE = ("mistral", "nvidia")
# Models of a row that reads PDFs, and what they see.
PDFS = {"sees": ["text", "image"], "reads": ["text"]}
# What a client has no words for, so that there is nothing to leave out.
UNSAID: dict[type, set[str]] = {
    ChatClient: set(),
    ResponsesClient: {"annotations", "cache_control", "seed", "store", "zz"},
    MessagesClient: {
        *("annotations", "cache_control", "extra_content", "prompt_cache_key", "prompt_cache_retention", "seed"),
        *("service_tier", "store", "verbosity", "zz"),
    },
}
# The same for a model behind the Responses format.
LEFT_OUT_OF_RESPONSES: dict[str, tuple[dict[str, Any], set[str]]] = {
    "supportsReasoningEffort": ({"supportsReasoningEffort": False}, {"reasoning"}),
    **{key: LEFT_OUT[key] for key in ("supportsTemperature", "supportsPromptCacheKey")},
    **{key: LEFT_OUT[key] for key in ("supportsParallelToolCalls", "supportsToolChoice")},
}


KEYS = {
    api: {"plain": {}} | {key: compat for key, (compat, _) in table.items()}
    for api, table in (
        ("openai-completions", LEFT_OUT | INSTEAD),
        ("openai-responses", LEFT_OUT_OF_RESPONSES),
    )
}


@pytest_asyncio.fixture(loop_scope="module", params=["openai-completions"])
async def provider(request: pytest.FixtureRequest, running: SharedServers) -> House:
    return await running.house("strict", request.param)


@pytest_asyncio.fixture(loop_scope="module")
async def gateway(provider: House, running: SharedServers, config: dict[str, Any]) -> tuple[TestClient, str]:
    """A gateway with an agent for each key, and one for each strict provider of the catalogue."""
    keys = KEYS[provider.api]
    models = [{"id": f"small-{key}", "compat": compat} for key, compat in keys.items()]
    models += [
        {"id": f"small-{name}", "input": kinds, "compat": {"supportsPdfInput": True}} for name, kinds in PDFS.items()
    ]
    row = {"baseUrl": provider.url, "apiKey": "k"}
    config["models"] = {
        "providers": {
            "strict": {**row, "api": provider.api, "models": models},
            **{name: {**row, "models": [{"id": "small"}]} for name in CATALOGUE},
        }
    }
    agents = {key.lower(): f"strict/small-{key}" for key in (*keys, *PDFS)}
    agents |= {name: f"{name}/small" for name in CATALOGUE}
    config["agents"] = {"entries": {name: {"model": {"primary": model}} for name, model in agents.items()}}
    return await running.gateway(config)


async def sent(ask: Any, provider: House, client: Any, agent: str) -> dict[str, Any]:
    """The request that the provider gets from the model of this agent."""
    provider.answers(ANSWERS["one call"])
    status, answer = await ask(client, BODIES[type(client)] | {"model": f"openclaw/{agent.lower()}"})
    assert status == 200, answer
    request: dict[str, Any] = provider.bodies.pop()
    return request


@pytest.fixture(scope="module")
def plain_requests() -> dict[tuple[str, str], dict[str, Any]]:
    """What a provider gets from a model without `compat`, by format and by path of the client."""
    return {}


@pytest_asyncio.fixture(loop_scope="module")
async def plain(
    ask: Any, provider: House, client: Any, plain_requests: dict[tuple[str, str], dict[str, Any]]
) -> dict[str, Any]:
    name = (provider.api, client.path)
    if name not in plain_requests:
        plain_requests[name] = await sent(ask, provider, client, "plain")
    return plain_requests[name]


def names_in(value: Any) -> Iterator[str]:
    """The names of all fields, at every depth."""
    if isinstance(value, dict):
        yield from value
        value = list(value.values())
    if isinstance(value, list):
        for one in value:
            yield from names_in(one)


@each_client
@pytest.mark.parametrize("key", LEFT_OUT)
async def test_what_a_row_says_that_a_model_refuses_is_left_out(provider, ask, client, plain, key):
    refused = LEFT_OUT[key][1]
    assert refused & set(names_in(plain)) == refused - UNSAID[type(client)]
    assert refused.isdisjoint(names_in(await sent(ask, provider, client, key)))


@each_client
@pytest.mark.parametrize("key", INSTEAD)
async def test_what_a_row_says_that_a_model_wants_instead_is_sent(provider, ask, client, plain, key):
    is_so = INSTEAD[key][1]
    joins_texts = key == "requiresStringContent" and isinstance(client, ResponsesClient)
    assert joins_texts or not is_so(plain)
    assert is_so(await sent(ask, provider, client, key))


@each_client
@pytest.mark.parametrize("name", CATALOGUE)
async def test_a_strict_provider_of_the_catalogue_gets_no_field_that_it_refuses(provider, ask, client, name):
    names = set(names_in(await sent(ask, provider, client, name)))
    assert names.isdisjoint(LEFT_OUT["supportsPromptCacheKey"][1] | {"store"})
    assert name != "mistral" or names.isdisjoint(LEFT_OUT["supportsUnknownFields"][1] | {"annotations"})


@each_client
@pytest.mark.parametrize("provider", ["openai-responses"], indirect=True)
@pytest.mark.parametrize("key", LEFT_OUT_OF_RESPONSES)
async def test_the_responses_format_leaves_out_what_a_row_says_that_a_model_refuses(provider, ask, client, plain, key):
    refused = LEFT_OUT_OF_RESPONSES[key][1]
    assert refused & set(names_in(plain)) == refused - UNSAID[type(client)]
    assert refused.isdisjoint(names_in(await sent(ask, provider, client, key)))


@each_client
@pytest.mark.parametrize("provider", ["openai-responses"], indirect=True)
async def test_a_model_that_sees_gets_a_pdf_as_it_is_where_its_row_reads_them(provider, ask, client):
    data = base64.b64encode(make_pdf("Hello " * 50)).decode()  # with little text, its pages would be images
    body = client.body(ASK, stream=False)
    field = "messages" if "messages" in body else "input"
    body[field] = [*body[field], *client.file("a.pdf", f"data:application/pdf;base64,{data}")]
    got = {}
    for agent in ("sees", "reads", "plain"):
        provider.answers(ANSWERS["text"])
        status, answer = await ask(client, body | {"model": f"openclaw/{agent}"})
        assert status == 200, answer
        got[agent] = json.dumps(provider.bodies.pop()["input"])
    assert data in got["sees"]
    if not isinstance(client, ChatClient):  # its files go to every model as they are
        assert data not in got["reads"] + got["plain"]
        assert "Hello" in got["reads"]
        assert "Hello" in got["plain"]
