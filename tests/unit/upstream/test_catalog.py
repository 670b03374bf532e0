"""The catalogue: rows of data, what their models can do, and the providers that are refused by name."""

import json
from pathlib import Path

import pytest

import gateway.upstream
from gateway.config.provider_ids import OTHER_IDS
from gateway.config.providers import ModelsConfig
from gateway.upstream.catalog import CATALOG, OTHER_NAMES, REFUSED, known_models
from gateway.upstream.configured import providers_from
from gateway.wire import UPSTREAMS

MODELS = json.loads((Path(gateway.upstream.__file__).parent / "models.json").read_text(encoding="utf-8"))

OPENCLAW = (
    "amazon-bedrock amazon-bedrock-mantle anthropic arcee baseten byteplus byteplus-plan cerebras chutes "
    "clawrouter cloudflare-ai-gateway cohere deepinfra deepseek featherless fireworks gmi google "
    "google-vertex groq huggingface kilocode kimi kimi-coding litellm llama-cpp lmstudio longcat meta "
    "microsoft-foundry minimax mistral moonshot novita nvidia ollama ollama-cloud openai opencode "
    "opencode-go openrouter qianfan qwen qwen-token-plan sglang stepfun stepfun-plan synthetic "
    "tencent-tokenhub tencent-tokenplan together venice vercel-ai-gateway vllm volcengine volcengine-plan "
    "xai xiaomi xiaomi-token-plan zai "
)
LOGINS = (
    "anthropic-vertex apple-fm claude-cli codex copilot-proxy github-copilot google-gemini-cli minimax-portal radius"
)


def provider(name: str, env: dict[str, str] | None = None, **row: object):
    models = ModelsConfig.model_validate({"providers": {name: row} if row else {}})
    return providers_from(models, env or {}, [name])[name]


def test_every_provider_of_openclaw_is_a_row_or_refused_by_name():
    assert set(OPENCLAW.split()) <= CATALOG.keys()
    assert set(LOGINS.split()) <= REFUSED.keys()
    assert not CATALOG.keys() & REFUSED.keys()


@pytest.mark.parametrize("name", sorted(CATALOG))
def test_the_format_of_a_row_is_served(name: str):
    assert CATALOG[name].api in UPSTREAMS


def test_the_models_name_their_sources_and_date():
    assert [source["licence"].split(",")[0] for source in MODELS["sources"]] == ["MIT", "MIT"]
    assert MODELS["date"] >= "2026-11-27"
    assert MODELS["models"].keys() <= CATALOG.keys()


def test_a_model_of_the_catalogue_has_its_abilities_and_an_unknown_one_has_none():
    spec = provider("openai").model("gpt-5.4")
    assert (spec.context_window, spec.images, spec.reasoning, spec.tools) == (1_050_000, True, True, True)
    assert spec.max_tokens is None  # what a model can answer is not what is asked for
    assert (spec.clamp(1), spec.clamp(1_000_000)) == (1, 128_000)
    assert provider("openai").model("gpt-99").context_window is None


def test_an_alias_has_the_row_and_the_models_of_its_provider():
    assert CATALOG["llama-cpp"] is CATALOG["llamacpp"]
    assert CATALOG["kimi-coding"].key_variables == ("KIMI_API_KEY", "KIMICODE_API_KEY")


def test_what_the_file_says_of_a_model_wins_over_the_catalogue():
    models = [
        {"id": "gpt-5.4"},
        {
            "id": "gpt-5.5",
            "contextWindow": 9,
            "input": ["text"],
            "reasoning": False,
            "compat": {"supportsTools": False},
        },
    ]
    own = provider("openai", apiKey="k", models=models)
    assert (own.model("gpt-5.4").context_window, own.model("gpt-5.4").images) == (1_050_000, True)
    spec = own.model("gpt-5.5")
    assert (spec.context_window, spec.images, spec.reasoning, spec.tools) == (9, False, False, False)


@pytest.mark.parametrize(
    ("url", "known"),
    [
        ("https://api.openai.com/v1", True),
        ("https://api.openai.com/v1/", True),
        ("https://mirror.example/v1", False),
    ],
)
def test_at_another_host_nothing_is_known_of_the_models(url: str, known: bool):
    assert (provider("openai", baseUrl=url).model("gpt-5.4").context_window is not None) is known


def test_a_model_without_tools_is_known_as_one():
    specs = known_models("nvidia", "openai-completions", {"supports_tools": False})
    assert specs
    assert not any(spec.tools for spec in specs.values())


def test_a_region_comes_from_the_row_or_the_environment():
    name = "amazon-bedrock-mantle"
    assert provider(name).base_url == "https://bedrock-mantle.us-east-1.api.aws/v1"
    assert provider(name, {"AWS_DEFAULT_REGION": "eu-west-1"}).address == "bedrock-mantle.eu-west-1.api.aws:443"
    env = {"AWS_REGION": "eu-west-1", "AWS_DEFAULT_REGION": "x"}
    assert provider(name, env).address == "bedrock-mantle.eu-west-1.api.aws:443"
    assert provider(name, env, region="us-west-2").address == "bedrock-mantle.us-west-2.api.aws:443"


def test_without_a_format_another_host_is_asked_for_chat_completions_and_the_built_in_one_in_its_own():
    assert provider("openai", apiKey="k").wire == "openai-responses"
    assert provider("openai", baseUrl="https://api.openai.com/v1").wire == "openai-responses"
    assert provider("openai", baseUrl="https://mirror.example/v1").wire == "openai-completions"
    assert provider("openai", baseUrl="https://mirror.example/v1", api="openai-responses").wire == "openai-responses"


def test_a_provider_of_the_responses_format_has_embeddings_too():
    assert CATALOG["openai"].embedding_model == "text-embedding-3-small"
    embeddings = UPSTREAMS[CATALOG["openai"].api].embeddings
    assert embeddings is not None
    assert embeddings.paths() == ("/embeddings",)


def test_every_other_id_of_a_provider_is_a_row():
    for other, name in OTHER_IDS.items():
        assert CATALOG[other] is CATALOG[name]
        assert name in OTHER_NAMES[other]
