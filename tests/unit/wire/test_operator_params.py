"""`params` of the configuration reach the provider as settings of its format, whichever layer sets them."""

import json
from typing import Any

import pytest
from aiohttp import web

from gateway.app import create_app
from gateway.core.answer import Answer
from gateway.core.usage import Usage
from gateway.validation import validated
from gateway.wire import UPSTREAMS
from tests.unit.wire.formats import PROVIDERS

TOKEN = "t" * 32
LAYERS = ("provider", "model", "defaults", "defaults.models", "entry.models", "entry")
each_format = pytest.mark.parametrize("api", UPSTREAMS)


@pytest.fixture
async def ask(aiohttp_server, aiohttp_client, tmp_path):
    """Ask a gateway whose models have these params, by layer; the bodies that the providers got, by model."""

    async def run(
        apis: dict[str, str],
        params: dict[str, Any],
        client: dict[str, Any] | None = None,
        *,
        answers: str = "",
        agent: dict[str, Any] | None = None,
        reasoning: bool = True,
        times: int = 1,
    ) -> dict[str, Any]:
        asked: dict[str, Any] = {}

        async def provider(request: web.Request) -> web.Response:
            name = request.path.split("/")[1]
            says, body = PROVIDERS[apis[name]], await request.read()
            asked[name] = json.loads(body)
            asked[f"{name} settings"] = says.asked(request.path, body)["settings"]
            if name != answers:
                return web.Response(status=503, body=b"{}", content_type="application/json")
            whole = says.whole(Answer("Hello!", "stop", Usage(3, 2, 5)))
            streamed = b"".join(says.frames(Answer("Hello!", "stop", Usage(3, 2, 5))))
            stream = says.asked(request.path, body)["stream"]
            kind = says.STREAM_TYPE if stream else says.WHOLE_TYPE
            return web.Response(body=streamed if stream else whole, headers={"Content-Type": kind})

        app = web.Application()
        app.router.add_post("/{path:.*}", provider)
        url = str((await aiohttp_server(app)).make_url("")).rstrip("/")
        answers = answers or list(apis)[-1]
        names = {name: f"{name}/{PROVIDERS[api].MODEL}" for name, api in apis.items()}
        rows = {
            name: {
                "baseUrl": f"{url}/{name}",
                "api": api,
                "apiKey": "k",
                "params": params.get("provider", {}),
                "models": [{"id": PROVIDERS[api].MODEL, "reasoning": reasoning, "params": params.get("model", {})}],
            }
            for name, api in apis.items()
        }
        first = next(iter(names.values()))
        config = {
            "gateway": {"auth": {"token": TOKEN}, "http": {"endpoints": {"chatCompletions": {"enabled": True}}}},
            "models": {"providers": rows},
            "agents": {
                "defaults": {
                    "model": {"primary": first, "fallbacks": list(names.values())[1:]},
                    "params": params.get("defaults", {}),
                    "models": {first: {"params": params.get("defaults.models", {})}},
                    **(agent or {}),
                },
                "entries": {
                    "main": {
                        "models": {first: {"params": params.get("entry.models", {})}},
                        "params": params.get("entry", {}),
                    }
                },
            },
        }
        file = tmp_path / "openclaw.json"
        file.write_text(json.dumps(config), encoding="utf-8")
        loaded = validated(file, {}).loaded
        gateway = await aiohttp_client(create_app(loaded.config, loaded.env, tmp_path))
        body = {"model": "openclaw", "messages": [{"role": "user", "content": "Hi"}], **(client or {})}
        headers = {"Authorization": f"Bearer {TOKEN}"}
        for _ in range(times):
            asked.clear()
            async with gateway.post("/v1/chat/completions", json=body, headers=headers) as got:
                assert got.status == 200, await got.text()
        return asked

    return run


@each_format
@pytest.mark.parametrize(("layer", "name"), [("model", "thinking"), ("defaults.models", "reasoningEffort")])
async def test_openclaws_names_are_settings_of_every_format(ask, api, layer, name):
    asked = await ask({"p": api}, {layer: {"maxTokens": 77, name: "low"}})
    assert asked["p settings"] == {"max_tokens": 77, "effort": "low"}
    assert asked["p"].get("thinking") != "low"


async def test_later_layers_win_and_the_client_over_all(ask):
    values = {layer: {"temperature": index / 10, f"at_{index}": 1} for index, layer in enumerate(LAYERS)}
    for number, layer in reversed(list(enumerate(LAYERS))):
        asked = await ask({"p": "openai-completions"}, values)
        assert asked["p"]["temperature"] == number / 10
        assert {name for name in asked["p"] if name.startswith("at_")} == {f"at_{one}" for one in range(number + 1)}
        del values[layer]
    asked = await ask({"p": "openai-completions"}, {"entry": {"temperature": 1}}, {"temperature": 0})
    assert asked["p"]["temperature"] == 0


@pytest.mark.parametrize("times", [1, 2], ids=["alone", "in a stored conversation"])
async def test_params_of_a_model_are_not_those_of_its_fallback(ask, times):
    apis = {"a": "anthropic-messages", "c": "openai-completions"}
    params = {"defaults.models": {"inference_geo": "us", "maxTokens": 50}, "defaults": {"seed": 7}}
    asked = await ask(apis, params, {"user": "of-a-conversation"}, times=times)
    assert (asked["a"]["max_tokens"], "inference_geo" in asked["a"]) == (50, True)
    assert "max_tokens" not in asked["c"]
    assert "inference_geo" not in asked["c"]
    assert asked["c"]["seed"] == 7


@each_format
async def test_settings_that_a_format_lacks_do_not_reach_a_fallback_that_would_refuse_them(ask, api):
    """Agents have one set of params for a chain of several formats."""
    params = {
        "serviceTier": "priority",
        "textVerbosity": "low",
        "parallelToolCalls": False,
        "safetyIdentifier": "u",
        "topK": 3,
        "topP": 0.5,
        "frequencyPenalty": 0.5,
        "presencePenalty": 0.5,
        "seed": 1,
        "reasoningEffort": "low",
    }
    asked = await ask({"p": api}, {"defaults": params})
    assert not params.keys() - {"temperature", "seed"} & asked["p"].keys()
    if api in ("anthropic-messages", "bedrock-converse-stream"):
        allowed = {
            "max_tokens",
            "messages",
            "metadata",
            "model",
            "output_config",
            "system",
            "thinking",
            "top_k",
            "top_p",
        }
        converse = {"additionalModelRequestFields", "inferenceConfig", "outputConfig"}
        assert asked["p"].keys() <= allowed | converse


@pytest.mark.parametrize(
    ("api", "level", "sent"),
    [
        ("openai-completions", "high", {"reasoning_effort": "high"}),
        ("openai-completions", "adaptive", {"reasoning_effort": "medium"}),
        ("openai-completions", "off", {}),
        ("openai-responses", "off", {}),
        ("openai-responses", "minimal", {"reasoning": {"effort": "minimal"}}),
        ("ollama", "off", {"think": False}),
        ("ollama", "adaptive", {"think": "medium"}),
        ("anthropic-messages", "adaptive", {"thinking": {"type": "adaptive", "display": "summarized"}}),
    ],
)
async def test_the_default_level_of_an_agent_is_the_effort_of_models_that_reason(ask, api, level, sent):
    names = ("reasoning_effort", "reasoning", "think", "thinking")
    asked = await ask({"p": api}, {}, agent={"thinkingDefault": level})
    assert {name: asked["p"][name] for name in names if name in asked["p"]} == sent
    asked = await ask({"p": api}, {}, agent={"thinkingDefault": level}, reasoning=False)
    assert not any(name in asked["p"] for name in names)


async def test_an_effort_of_the_client_or_of_params_wins_over_the_default_level(ask):
    level = {"thinkingDefault": "high"}
    asked = await ask({"p": "openai-completions"}, {}, {"reasoning_effort": "low"}, agent=level)
    assert asked["p"]["reasoning_effort"] == "low"
    for layer in LAYERS[2:]:
        asked = await ask({"p": "openai-completions"}, {layer: {"thinking": "minimal"}}, agent=level)
        assert asked["p"]["reasoning_effort"] == "minimal", layer


async def test_params_of_a_row_hold_for_models_that_it_does_not_list(ask):
    row = {"provider": {"provider": {"order": ["x"]}, "temperature": 0.5}}
    asked = await ask({"p": "openai-completions"}, row, agent={"model": "p/unlisted"})
    assert (asked["p"]["model"], asked["p"]["provider"], asked["p"]["temperature"]) == (
        "unlisted",
        {"order": ["x"]},
        0.5,
    )
