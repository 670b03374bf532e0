"""What a row says of a model behind a maker's own format is heeded, whichever client asks: the keys of `compat`."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import pytest_asyncio
from aiohttp.test_utils import TestClient

from tests.unit.wire.clients import CLIENTS, Question
from tests.unit.wire.every_format import ANSWERS, House, SharedServers

pytestmark = pytest.mark.asyncio(loop_scope="module")

TOOL = ["look", "Look at it.", {"type": "object", "properties": {"at": {"type": "string", "pattern": "^a"}}}]
SCHEMA = {"type": "object", "properties": {"answer": {"type": "string"}}}


@dataclass(frozen=True)
class Case:
    """A key of `compat` with its value, and whether a request heeds it. `model` begins the id of the model."""

    compat: dict[str, Any]
    heeds: Callable[[Any], bool]
    model: str = "small"
    settings: tuple[str, ...] = ("temperature", "top_p")


def names_in(value: Any) -> Iterator[str]:
    """The names of all fields, at every depth."""
    if isinstance(value, dict):
        yield from value
    for one in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from names_in(one)


def lacks(*names: str) -> Callable[[Any], bool]:
    return lambda body: set(names).isdisjoint(names_in(body))


def in_words(body: Any) -> bool:
    return "by calling the tool `look`" in str(body) and lacks("toolChoice", "functionCallingConfig", "tool_choice")(
        body
    )


NO_PATTERN = Case({"unsupportedToolSchemaKeywords": ["pattern"]}, lacks("pattern"))
EFFORT = ("effort",)


def effort(model: str, field: str, **values: Any) -> dict[str, Case]:
    """The three keys about efforts: how the field is without one, with `high` and with the word `max`."""

    def value(body: Any) -> Any:
        for name in field.split("."):
            body = body.get(name, {})
        return body

    return {
        "supportsReasoningEffort": Case(
            {"supportsReasoningEffort": False}, lambda body: value(body) == {}, model, EFFORT
        ),
        "supportedReasoningEfforts": Case(
            {"supportedReasoningEfforts": ["high"]}, lambda body: value(body) == values["high"], model, EFFORT
        ),
        "reasoningEffortMap": Case(
            {"reasoningEffortMap": {"low": "max"}}, lambda body: value(body) == values["max"], model, EFFORT
        ),
    }


FORMATS: dict[str, dict[str, Case]] = {
    "anthropic-messages": {
        "supportsTemperature": Case({"supportsTemperature": False}, lacks("temperature", "top_p")),
        "supportsToolChoice": Case({"supportsToolChoice": False}, in_words),
        "supportsParallelToolCalls": Case(
            {"supportsParallelToolCalls": False}, lacks("disable_parallel_tool_use"), settings=("parallel",)
        ),
        "supportsJsonSchemaResponseFormat": Case(
            {"supportsJsonSchemaResponseFormat": False},
            lambda body: "output_config" not in body and '"answer"' in str(body["system"]),
            "claude-sonnet-4-6",
            ("form",),
        ),
        "unsupportedToolSchemaKeywords": NO_PATTERN,
        **effort("claude-sonnet-4-6", "output_config.effort", high="high", max="max"),
    },
    "bedrock-converse-stream": {
        "supportsTemperature": Case({"supportsTemperature": False}, lacks("temperature", "topP")),
        "supportsToolChoice": Case({"supportsToolChoice": False}, in_words),
        "supportsJsonSchemaResponseFormat": Case(
            {"supportsJsonSchemaResponseFormat": False},
            lambda body: "outputConfig" not in body and "answer" in str(body["system"]),
            "claude-sonnet-4-6",
            ("form",),
        ),
        "supportsPromptCache": Case({"supportsPromptCache": False}, lacks("cachePoint"), "claude-sonnet-4-6"),
        "unsupportedToolSchemaKeywords": NO_PATTERN,
        **effort("claude-sonnet-4-6", "outputConfig.effort", high="high", max="max"),
    },
    "google-generative-ai": {
        "supportsTemperature": Case({"supportsTemperature": False}, lacks("temperature", "topP")),
        "supportsToolChoice": Case({"supportsToolChoice": False}, in_words),
        "unsupportedToolSchemaKeywords": NO_PATTERN,
        **effort("gemini-3-flash", "generationConfig.thinkingConfig.thinkingLevel", high="HIGH", max="HIGH"),
    },
    "ollama": {
        "supportsTemperature": Case({"supportsTemperature": False}, lacks("temperature", "top_p")),
        "unsupportedToolSchemaKeywords": NO_PATTERN,
        **effort("small", "think", high="high", max="max"),
    },
}


def settings_of(path: str) -> dict[str, dict[str, Any]]:
    """How the clients of a path say each setting."""
    form = {"type": "json_schema", "schema": SCHEMA}
    sampling = {"temperature": {"temperature": 0.5}, "top_p": {"top_p": 0.5}}
    match path:
        case "/v1/chat/completions":
            json_schema = {"name": "answer", "schema": SCHEMA}
            return sampling | {
                "effort": {"reasoning_effort": "low"},
                "form": {"response_format": {"type": "json_schema", "json_schema": json_schema}},
                "parallel": {"parallel_tool_calls": False},
            }
        case "/v1/responses":
            return sampling | {
                "effort": {"reasoning": {"effort": "low"}},
                "form": {"text": {"format": {"name": "answer", **form}}},
                "parallel": {"parallel_tool_calls": False},
            }
        case _:
            return sampling | {
                "effort": {"output_config": {"effort": "low"}, "thinking": {"type": "adaptive"}},
                "form": {"output_config": {"format": form}},
                "parallel": {"tool_choice": {"type": "tool", "name": "look", "disable_parallel_tool_use": True}},
            }


CASES = [(api, key) for api, cases in FORMATS.items() for key in cases]


@pytest_asyncio.fixture(loop_scope="module")
async def provider(request: pytest.FixtureRequest, running: SharedServers) -> House:
    return await running.house("native", request.param)


@pytest_asyncio.fixture(loop_scope="module")
async def gateway(provider: House, running: SharedServers, config: dict[str, Any]) -> tuple[TestClient, str]:
    """A gateway with an agent for each key of a format, and a plain one for each model."""
    cases = FORMATS[provider.api]
    models = {key.lower(): (f"{case.model}-{key}".lower(), case.compat) for key, case in cases.items()}
    models |= {case.model: (case.model, {}) for case in cases.values()}
    row = {"baseUrl": provider.url, "apiKey": "k", "api": provider.api}
    row["models"] = [{"id": model, "compat": compat} for model, compat in models.values()]
    config["models"] = {"mode": "replace", "providers": {"native": row}}
    entries = {agent: {"model": {"primary": f"native/{model}"}} for agent, (model, _) in models.items()}
    config["agents"] = {"default": "small", "entries": entries}
    return await running.gateway(config)


@pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.path)
@pytest.mark.parametrize(("provider", "key"), CASES, indirect=["provider"])
async def test_a_model_gets_what_its_row_says_that_it_accepts(provider, ask, client, key):
    case = FORMATS[provider.api][key]
    body = client.body(Question([["user", ["text", "hi"]]], [TOOL], pinned="look"), stream=False)
    for name in case.settings:
        body |= settings_of(client.path)[name]
    heeded = {}
    for agent in (case.model, key.lower()):
        provider.answers(ANSWERS["one call"])
        status, answer = await ask(client, body | {"model": f"openclaw/{agent}"})
        assert status == 200, answer
        heeded[agent] = case.heeds(provider.bodies.pop())
    assert heeded == {case.model: False, key.lower(): True}
