"""Embeddings go to the endpoint that the memory search names, and to no other."""

from typing import Any

import pytest

from gateway.agents.configured import embedding_choice
from gateway.agents.embedding_rows import with_embedding_rows
from gateway.config.agents import gathered
from gateway.config.root import Config

REMOTE = {"baseUrl": "http://vectors.example/v1", "apiKey": "key-of-vectors", "headers": {"X-Team": "blue"}}


def settled(agents: dict[str, Any], search: dict[str, Any] | None = None, **providers: Any) -> Config:
    tree: dict[str, Any] = {"agents": gathered(agents), "models": {"providers": providers}}
    if search:
        tree["memory"] = {"search": search}
    return with_embedding_rows(Config.model_validate(tree))


def choice(config: Config, agent: str = "main") -> tuple[str | None, str | None]:
    return embedding_choice(config, config.agents.entries[agent])[:2]


@pytest.mark.parametrize("where", ["memory", "defaults", "older", "entry"])
def test_an_endpoint_of_embeddings_becomes_a_provider(where):
    search = {"provider": "openai", "model": "nomic", "remote": REMOTE}
    of_agent = {"memorySearch": search} if where == "older" else {"memory": {"search": search}}
    config = settled(
        {
            "defaults": {"model": "p/m", **(of_agent if where in ("defaults", "older") else {})},
            "entries": {"main": of_agent if where == "entry" else {}},
        },
        search if where == "memory" else None,
    )
    assert choice(config) == ("openai-embeddings", "nomic")
    row = config.models.providers["openai-embeddings"]
    assert (row.base_url, row.api) == ("http://vectors.example/v1", "openai-completions")
    assert row.api_key is not None
    assert row.api_key.get_secret_value() == "key-of-vectors"
    assert row.headers["X-Team"].get_secret_value() == "blue"


@pytest.mark.parametrize(
    ("provider", "api", "model"),
    [
        (None, "openai-completions", "text-embedding-3-small"),
        ("gemini", "google-generative-ai", "gemini-embedding-001"),
        ("ollama", "ollama", None),
        ("voyage", "openai-completions", None),
    ],
)
def test_it_has_the_format_and_the_default_model_of_the_named_provider(provider, api, model):
    search = {"remote": REMOTE} | ({"provider": provider} if provider else {})
    config = settled({"entries": {"main": {}}}, search)
    (row,) = config.models.providers.values()
    assert row.api == api
    assert choice(config)[1] == model


def test_different_endpoints_get_different_rows_and_equal_ones_share_theirs():
    other = {"remote": {**REMOTE, "baseUrl": "http://b.example/v1"}}
    entries = {"main": {}, "b": {"memorySearch": other}, "c": {"memorySearch": {"remote": REMOTE}}}
    config = settled({"entries": entries}, {"remote": REMOTE}, **{"openai-embeddings": {"baseUrl": "http://mine"}})
    assert [choice(config, name)[0] for name in entries] == [
        "openai-embeddings-2",
        "openai-embeddings-3",
        "openai-embeddings-2",
    ]
    assert config.models.providers["openai-embeddings"].base_url == "http://mine"


@pytest.mark.parametrize(
    ("provider", "url"),
    [("gemini", "https://generativelanguage.googleapis.com/v1beta"), ("own", "http://own.example/v1")],
)
def test_a_key_alone_is_for_the_address_of_the_named_provider(provider, url):
    search = {"provider": provider, "remote": {"apiKey": "k"}}
    config = settled({"entries": {"main": {}}}, search, own={"baseUrl": "http://own.example/v1"})
    row = config.models.providers[f"{provider}-embeddings"]
    assert row.base_url == url
    assert row.api_key is not None
    assert choice(config)[0] == f"{provider}-embeddings"


def test_without_an_endpoint_nothing_changes():
    config = settled({"entries": {"main": {}}}, {"provider": "gemini"})
    assert config.models.providers == {}
    assert choice(config)[0] == "google"


@pytest.mark.parametrize(("name", "provider"), [("gemini", "google"), ("bedrock", "amazon-bedrock"), ("auto", None)])
def test_openclaws_names_of_embeddings_are_understood_unless_a_row_has_them(name, provider):
    assert choice(settled({"entries": {"main": {}}}, {"provider": name}))[0] == provider
    own = settled({"entries": {"main": {}}}, {"provider": name}, **{name: {"baseUrl": "http://h"}})
    assert choice(own)[0] == name
