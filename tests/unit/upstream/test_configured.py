import pytest

from gateway.config.providers import ModelsConfig
from gateway.core.errors import ConfigError
from gateway.upstream.catalog import CATALOG
from gateway.upstream.configured import key_from, providers_from
from gateway.wire.compat import DEFAULT, Compat, ModelSpec


def providers(env=None, *, mode="replace", **rows):
    return providers_from(ModelsConfig.model_validate({"mode": mode, "providers": rows}), env or {})


def test_merging_brings_the_catalogue_and_replacing_does_not():
    assert providers(mode="merge").keys() == CATALOG.keys()
    assert providers() == {}


@pytest.mark.parametrize(
    ("env", "key"),
    [
        ({}, None),
        ({"OPENAI_API_KEY": "k"}, "k"),
        ({"OPENAI_API_KEY": "  k \n"}, "k"),
        ({"OPENAI_API_KEY": " "}, None),
        ({"GROQ_API_KEY": "k"}, None),
    ],
)
def test_a_row_of_the_catalogue_takes_its_key_from_the_environment(env, key):
    found = providers(env, mode="merge")["openai"]
    assert found.api_key == key
    assert found.headers.get("Authorization") == (f"Bearer {key}" if key else None)
    assert found.compat.max_tokens_field == "max_completion_tokens"


def test_the_first_variable_that_holds_a_key_counts():
    row = CATALOG["huggingface"]
    assert key_from(row, {"HUGGINGFACE_HUB_TOKEN": "b"}) == "b"
    assert key_from(row, {"HF_TOKEN": "a", "HUGGINGFACE_HUB_TOKEN": "b"}) == "a"


def test_a_configured_row_overrides_the_catalogues_field_by_field():
    found = providers({"OPENAI_API_KEY": "env"}, openai={"baseUrl": "http://mirror/v1"})["openai"]
    assert (found.base_url, found.api_key) == ("http://mirror/v1", "env")
    assert found.embedding_model == CATALOG["openai"].embedding_model
    found = providers({"OPENAI_API_KEY": "env"}, openai={"apiKey": "own"})["openai"]
    assert (found.base_url, found.api_key) == (CATALOG["openai"].base_url, "own")


@pytest.mark.parametrize(
    ("row", "headers"),
    [
        ({"apiKey": "k"}, {"Authorization": "Bearer k"}),
        ({}, {}),
        ({"apiKey": "k", "authHeader": False}, {}),
        ({"apiKey": "k", "headers": {"X-Team": "a"}}, {"Authorization": "Bearer k", "X-Team": "a"}),
        ({"apiKey": "k", "headers": {"Authorization": "Basic b"}}, {"Authorization": "Basic b"}),
        ({"authHeader": False, "headers": {"api-key": "k"}}, {"api-key": "k"}),
    ],
)
def test_the_headers_are_the_key_and_those_of_the_row(row, headers):
    found = providers(own={"baseUrl": "http://own/v1", **row})["own"]
    assert found.headers == {"Content-Type": "application/json", **headers}


def test_secrets_are_not_in_the_repr():
    shown = repr(providers(own={"baseUrl": "http://own/v1", "apiKey": "hidden", "headers": {"a": "veiled"}})["own"])
    assert "hidden" not in shown
    assert "veiled" not in shown


MODEL = {"id": "m", "input": ["text"]}


@pytest.mark.parametrize(
    ("row", "model", "spec"),
    [
        ({}, MODEL, ModelSpec("m", images=False)),
        ({}, {"id": "m", "input": ["text", "image"]}, ModelSpec("m", images=True)),
        ({}, MODEL | {"maxTokens": 9, "contextWindow": 99}, ModelSpec("m", 9, 99, images=False)),
        ({"maxTokens": 7}, MODEL, ModelSpec("m", 7, images=False)),
        ({"maxTokens": 7}, MODEL | {"maxTokens": 9}, ModelSpec("m", 9, images=False)),
        (
            {"params": {"a": 1, "b": 1}},
            MODEL | {"params": {"b": 2}},
            ModelSpec("m", images=False, params={"a": 1, "b": 2}),
        ),
        ({}, MODEL | {"compat": {"supportsTools": False}}, ModelSpec("m", images=False, compat=Compat(tools=False))),
        (
            {},
            MODEL | {"compat": {"maxTokensField": "max_completion_tokens", "supportsDeveloperRole": True}},
            ModelSpec("m", images=False, compat=Compat(developer_role=True, max_tokens_field="max_completion_tokens")),
        ),
        (
            {},
            MODEL | {"compat": {"supportsUsageInStreaming": False, "supportsToolChoice": False}},
            ModelSpec("m", images=False, compat=Compat(usage_in_streaming=False, tool_choice=False)),
        ),
    ],
)
def test_a_model_is_its_own_row_over_that_of_its_provider(row, model, spec):
    found = providers(own={"baseUrl": "http://own/v1", "models": [model], **row})["own"]
    assert found.model("m") == spec
    assert found.timeout is None


def test_a_model_that_is_marked_as_reasoning_is_one_that_thinks():
    found = providers(own={"baseUrl": "http://own/v1", "models": [MODEL | {"reasoning": True}]})["own"]
    assert found.model("m").reasoning
    assert not found.model("another").reasoning


def test_the_local_servers_of_the_catalogue_may_have_to_load_a_model():
    assert providers(mode="merge")["ollama"].local
    assert providers(ollama={"baseUrl": "http://10.0.0.1:11434/v1"})["ollama"].local
    assert not providers(own={"baseUrl": "http://127.0.0.1:9/v1"})["own"].local


def test_every_key_and_header_value_of_a_row_is_a_secret():
    headers = {"X-Org": "org-secret", "Authorization": "Bearer header-secret", "X-V": "1"}
    row = {"baseUrl": "http://u:url-secret@own/v1", "apiKey": "key-one", "apiKeys": ["key-two"], "headers": headers}
    found = providers(own=row)["own"]
    secrets = {"key-one", "key-two", "org-secret", "header-secret", "Bearer header-secret", "url-secret"}
    assert set(found.secrets) == secrets
    assert all(set(other.secrets) == secrets for other in found.others)
    assert providers({"OPENAI_API_KEY": "from-the-environment"}, mode="merge")["openai"].secrets == (
        "from-the-environment",
    )
    assert "secret" not in repr(found)


def test_quirks_of_the_catalogue_hold_for_models_that_say_nothing():
    found = providers(mistral={"apiKey": "k", "models": [MODEL | {"compat": {"supportsTools": False}}]})["mistral"]
    expected = Compat(tools=False, usage_in_streaming=False, unknown_fields=False, tool_call_fields=False)
    assert found.model("m").compat == expected
    assert found.model("another") == ModelSpec("another", compat=CATALOG["mistral"].compat)


def test_waiting_is_the_providers_own():
    assert providers(own={"baseUrl": "http://own/v1", "timeoutSeconds": 5})["own"].timeout == 5


@pytest.mark.parametrize("row", [{"baseUrl": "http://own/v1", "api": "anthropic-messages"}, {}])
def test_a_provider_that_cannot_be_called_is_left_out(row):
    models = ModelsConfig.model_validate({"mode": "replace", "providers": {"own": row}})
    assert providers_from(models, {}) == {}


@pytest.mark.parametrize("base", ["http://own/v1", "http://own/v1/"])
def test_addresses_are_below_the_base_url_and_made_once(base):
    found = providers(own={"baseUrl": base})["own"]
    assert found.endpoint("/chat/completions").head.startswith(b"POST /v1/chat/completions HTTP/1.1\r\nHost: own\r\n")
    assert found.endpoint("/chat/completions") is found.endpoint("/chat/completions")


@pytest.mark.parametrize("name", sorted(CATALOG))
def test_rows_of_the_catalogue_are_complete_and_conservative(name):
    row = CATALOG[name]
    assert row.base_url.startswith("http://127.0.0.1:" if row.local else "https://")
    assert not row.base_url.endswith("/")
    assert row.key_variables
    assert not row.compat.accepts_prefill
    if name != "openai":
        assert (row.compat.developer_role, row.compat.embedding_base64) == (DEFAULT.developer_role, False)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"baseUrl": "http://"}, "not an http or https URL with a host"),
        ({"baseUrl": "http://own/v1", "apiKey": "secret\nkey"}, "'Authorization' has a line break"),
        ({"baseUrl": "http://own/v1", "apiKeys": ["good", "secret\nkey"]}, "'Authorization' has a line break"),
        ({"baseUrl": "http://own/v1", "headers": {"X-Key": "secret\r\nA: b"}}, "'X-Key' has a line break"),
        ({"baseUrl": "http://own/v1", "headers": {"X Key": "secret"}}, "header's name"),
        ({"baseUrl": "http://own/v1", "headers": {"Content-Length": "5"}}, "'content-length' can't be set"),
    ],
)
def test_what_can_not_be_sent_is_found_at_start(row, said):
    with pytest.raises(ConfigError) as caught:
        providers(own=row)
    (problem,) = caught.value.problems
    assert problem.startswith("models.providers.own: ")
    assert said in problem
    assert "secret" not in problem
