import json
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from gateway.config.providers import ModelsConfig
from gateway.core.errors import ConfigError
from gateway.upstream.catalog import CATALOG
from gateway.upstream.configured import providers_from
from gateway.upstream.keys import key_from
from gateway.wire.model import ModelSpec
from gateway.wire.openai_chat.profile import DEFAULT, Profile


def providers(env=None, *, mode="replace", named=(), **rows):
    return providers_from(ModelsConfig.model_validate({"mode": mode, "providers": rows}), env or {}, named)


def test_merging_brings_the_rows_of_the_catalogue_that_are_named_or_have_a_key_and_replacing_does_not():
    callable_rows = {name for name, row in CATALOG.items() if row.base_url and row.served}
    assert providers(mode="merge", named=CATALOG).keys() == callable_rows
    assert {"openai", "openrouter", "ollama", "zai", "kilocode"} <= callable_rows
    assert providers({"GROQ_API_KEY": "k"}, mode="merge", named=["ollama"]).keys() == {"groq", "ollama"}
    assert providers(mode="merge") == {}
    assert providers({"GROQ_API_KEY": "k"}, named=CATALOG) == {}


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
    provider = providers(env, mode="merge", named=["openai"])["openai"]
    assert provider.api_key == key
    assert provider.headers.get("Authorization") == (f"Bearer {key}" if key else None)
    assert provider.wire == "openai-responses"


def test_the_first_variable_that_holds_a_key_counts():
    row = CATALOG["huggingface"]
    assert key_from(row, {"HF_TOKEN": "a"}) == "a"
    assert key_from(row, {"HF_TOKEN": "a", "HUGGINGFACE_HUB_TOKEN": "b"}) == "b"


def test_further_keys_of_the_environment_are_used_in_turn():
    env = {
        "OPENAI_API_KEYS": "key-b; key-c,key-a",
        "OPENAI_API_KEY": "key-a",
        "OPENAI_API_KEY_1": "key-d",
        "OPENAI_API_KEY_2": " ",
    }
    provider = providers(env, mode="merge")["openai"]
    assert [row.api_key for row in (provider, *provider.others)] == ["key-a", "key-b", "key-c", "key-d"]
    assert set(provider.secrets) == {"key-a", "key-b", "key-c", "key-d"}


@pytest.mark.parametrize("configured", ["zai", "z.ai"])
def test_the_other_ids_of_a_provider_are_the_same_row(configured):
    rows = providers({"ZAI_API_KEY": "k"}, mode="merge", named=["zai", "z.ai", "z-ai"])
    assert {rows[name].base_url for name in ("zai", "z.ai", "z-ai")} == {"https://api.z.ai/api/paas/v4"}
    rows = providers({}, mode="merge", named=["zai", "z.ai", "z-ai"], **{configured: {"baseUrl": "http://mine/v1"}})
    assert {rows[name].base_url for name in ("zai", "z.ai", "z-ai")} == {"http://mine/v1"}
    assert providers({}, mode="merge", **{configured: {"baseUrl": "http://mine/v1"}}).keys() == {configured}
    apart = providers({}, zai={"baseUrl": "http://a/v1"}, **{"z.ai": {"baseUrl": "http://b/v1"}})
    assert (apart["zai"].base_url, apart["z.ai"].base_url) == ("http://a/v1", "http://b/v1")


def test_a_configured_row_overrides_the_catalogues_field_by_field():
    provider = providers({"OPENAI_API_KEY": "env"}, openai={"baseUrl": "http://mirror/v1"})["openai"]
    assert (provider.base_url, provider.api_key) == ("http://mirror/v1", "env")
    assert provider.embedding_model == CATALOG["openai"].embedding_model
    provider = providers({"OPENAI_API_KEY": "env"}, mode="merge", openai={"apiKey": "own"})["openai"]
    assert (provider.base_url, provider.api_key) == (CATALOG["openai"].base_url, "own")


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
    provider = providers(own={"baseUrl": "http://own/v1", **row})["own"]
    assert provider.headers == headers


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
        ({}, MODEL | {"compat": {"supportsTools": False}}, ModelSpec("m", images=False, tools=False)),
        (
            {},
            MODEL | {"compat": {"maxTokensField": "max_completion_tokens", "supportsDeveloperRole": True}},
            ModelSpec(
                "m", images=False, profile=Profile(developer_role=True, max_tokens_field="max_completion_tokens")
            ),
        ),
        (
            {},
            MODEL | {"compat": {"supportsUsageInStreaming": False, "supportsToolChoice": False}},
            ModelSpec("m", images=False, profile=Profile(usage_in_streaming=False, tool_choice=False)),
        ),
    ],
)
def test_a_models_settings_override_its_providers(row, model, spec):
    provider = providers(own={"baseUrl": "http://own/v1", "models": [model], **row})["own"]
    assert provider.model("m") == replace(spec, provider="own", profile=spec.profile or DEFAULT)
    assert provider.timeout is None


def test_a_model_configured_as_reasoning_is_a_reasoning_model():
    provider = providers(own={"baseUrl": "http://own/v1", "models": [MODEL | {"reasoning": True}]})["own"]
    assert provider.model("m").reasoning
    assert not provider.model("another").reasoning


def test_the_local_servers_of_the_catalogue_may_have_to_load_a_model():
    assert providers(mode="merge", ollama={})["ollama"].local
    assert providers(mode="merge", ollama={"baseUrl": "http://10.0.0.1:11434/v1"})["ollama"].local
    assert not providers(own={"baseUrl": "http://127.0.0.1:9/v1"})["own"].local


def test_every_key_and_header_value_of_a_row_is_a_secret():
    headers = {"X-Org": "org-secret", "Authorization": "Bearer header-secret", "X-V": "1"}
    row = {"baseUrl": "http://u:url-secret@own/v1", "apiKey": "key-one", "apiKeys": ["key-two"], "headers": headers}
    provider = providers(own=row)["own"]
    secrets = {"key-one", "key-two", "org-secret", "header-secret", "Bearer header-secret", "url-secret"}
    assert set(provider.secrets) >= secrets
    assert {"dTp1cmwtc2VjcmV0", "Bearer%20header-secret"} <= set(provider.secrets), "as servers quote them"
    assert all(other.secrets == provider.secrets for other in provider.others)
    assert providers({"OPENAI_API_KEY": "from-the-environment"}, mode="merge")["openai"].secrets == (
        "from-the-environment",
    )
    assert "secret" not in repr(provider)


def test_quirks_of_the_catalogue_hold_for_models_that_set_none():
    provider = providers(
        mode="merge", mistral={"apiKey": "k", "models": [MODEL | {"compat": {"supportsTools": False}}]}
    )["mistral"]
    expected = Profile(
        usage_in_streaming=False,
        unknown_fields=False,
        tool_call_fields=False,
        seed_field="random_seed",
        nine_character_ids=True,
    )
    assert provider.model("m") == ModelSpec("m", images=False, tools=False, profile=expected, provider="mistral")
    assert provider.model("another") == ModelSpec("another", profile=expected, provider="mistral")


def test_the_timeout_is_the_providers_own():
    assert providers(own={"baseUrl": "http://own/v1", "timeoutSeconds": 5})["own"].timeout == 5


@pytest.mark.parametrize(
    "row",
    [
        {"baseUrl": "http://own/v1", "api": "pi-messages"},
        {"baseUrl": "http://own/v1", "models": [{"id": "m", "api": "pi-messages"}]},
        {"baseUrl": "http://own/v1", "auth": "oauth"},
        {"baseUrl": "http://own/v1", "request": {"proxy": {"mode": "explicit-proxy"}}},
        {},
    ],
)
@pytest.mark.parametrize("name", ["own", "ollama"])
def test_a_row_that_can_not_be_used_is_an_error_and_never_the_catalogues(name, row):
    if name == "ollama" and not row:
        assert providers(mode="merge", ollama=row)["ollama"].base_url == CATALOG["ollama"].base_url
        return
    with pytest.raises(ConfigError, match=rf"^models\.providers\.{name}\."):
        providers(mode="merge", **{name: row})


def test_a_model_is_asked_at_its_own_address_with_its_own_headers_over_those_of_the_provider():
    own = providers(
        own={
            "baseUrl": "http://own/v1",
            "apiKeys": ["a", "b"],
            "headers": {"X-Team": "t", "X-Tier": "1"},
            "request": {"headers": {"X-Tier": "2"}},
            "models": [
                {"id": "plain"},
                {"id": "tagged", "headers": {"X-Tier": "3"}, "maxTokens": 9},
                {"id": "moved", "baseUrl": "http://moved/v1"},
            ],
        }
    )["own"]
    assert own.row_for("plain") is own.row_for("another") is own
    assert own.headers["X-Tier"] == "2"
    tagged = own.row_for("tagged")
    assert [row.headers["Authorization"] for row in (tagged, *tagged.others)] == ["Bearer a", "Bearer b"]
    assert {row.headers["X-Tier"] for row in (tagged, *tagged.others)} == {"3"}
    assert (tagged.base_url, tagged.headers["X-Team"], tagged.model("tagged").max_tokens) == ("http://own/v1", "t", 9)
    moved = own.row_for("moved")
    assert moved.endpoint("/x").head.startswith(b"POST /v1/x HTTP/1.1\r\nHost: moved\r\n")
    assert own.has("another")


@pytest.mark.parametrize("name", ["own", "openai"])
def test_a_provider_without_an_address_has_only_the_models_with_one(name):
    own = providers(**{name: {"models": [{"id": "m", "baseUrl": "http://m/v1"}]}})[name]
    assert own.row_for("m").base_url == "http://m/v1"
    assert own.has("m")
    assert not own.has("another")


@pytest.mark.parametrize(
    ("row", "model", "window"),
    [
        ({}, {"contextWindow": 99}, 99),
        ({}, {"contextWindow": 99, "contextTokens": 50}, 50),
        ({}, {"contextWindow": 99, "contextTokens": 500}, 99),
        ({"contextWindow": 70}, {}, 70),
        ({"contextWindow": 70, "contextTokens": 60}, {}, 60),
        ({"contextTokens": 60}, {"contextWindow": 99}, 99),
        ({}, {}, None),
    ],
)
def test_the_context_of_a_model_is_its_own_or_its_providers(row, model, window):
    own = providers(own={"baseUrl": "http://own/v1", "models": [MODEL | model], **row})["own"]
    assert own.model("m").context_window == window


@pytest.mark.parametrize("base", ["http://own/v1", "http://own/v1/"])
def test_addresses_are_below_the_base_url_and_made_once(base):
    provider = providers(own={"baseUrl": base})["own"]
    assert provider.endpoint("/chat/completions").head.startswith(
        b"POST /v1/chat/completions HTTP/1.1\r\nHost: own\r\n"
    )
    assert provider.endpoint("/chat/completions") is provider.endpoint("/chat/completions")


def test_headers_of_the_wire_format_are_sent_under_those_of_the_row():
    provider = providers(own={"baseUrl": "http://own", "headers": {"x-version": "2"}})["own"]
    head = provider.endpoint("/say", {"X-Version": "1", "X-Beta": "b", "Content-Type": "text/plain"}).head
    assert b"\r\nX-Beta: b\r\n" in head
    assert b"\r\nContent-Type: text/plain\r\n" in head
    assert b"\r\nx-version: 2\r\n" in head
    assert b"X-Version" not in head
    assert b"X-Beta" not in provider.endpoint("/say").head


def test_addresses_that_name_the_model_are_kept_for_a_bounded_number_of_models():
    provider = providers(own={"baseUrl": "http://own"})["own"]
    for number in range(1000):
        assert f"POST /models/{number} ".encode() in provider.endpoint(f"/models/{number}").head
    assert len(provider.endpoints) < 100


@pytest.mark.parametrize("name", sorted(CATALOG))
def test_rows_of_the_catalogue_are_complete_and_conservative(name):
    row = CATALOG[name]
    assert (row.base_url or row.address).startswith("http://127.0.0.1:" if row.local else "https://")
    assert not row.base_url.endswith("/")
    assert row.key_variables
    assert not row.quirks.get("accepts_prefill")
    if name != "openai":
        assert not row.quirks.keys() & {"supports_developer_role", "embedding_base64"}


@pytest.mark.parametrize(
    ("row", "path", "text"),
    [
        ({"baseUrl": "http://"}, "baseUrl", "not an http or https URL with a host"),
        ({"baseUrl": "http://own/v1", "headers": {"X Key": "secret"}}, "headers", "header's name"),
        ({"baseUrl": "http://own/v1", "headers": {"Content-Length": "5"}}, "headers", "'content-length' can't be set"),
        (
            {"baseUrl": "http://own/v1", "models": [{"id": "m"}, {"id": "n", "headers": {"X Key": "secret"}}]},
            "models[1].headers",
            "header's name",
        ),
        (
            {"baseUrl": "http://own/v1", "models": [{"id": "m"}, {"id": "n", "baseUrl": "nowhere"}]},
            "models[1].baseUrl",
            "not an http or https URL",
        ),
    ],
)
def test_an_address_or_header_that_can_not_be_sent_is_a_problem_at_its_path(row, path, text):
    with pytest.raises(ConfigError) as caught:
        providers(own=row)
    (problem,) = caught.value.problems
    assert problem.startswith(f"models.providers.own.{path}: ")
    assert text in problem
    assert "secret" not in problem


def test_a_row_of_vertex_without_a_key_uses_the_environments_service_account(tmp_path):
    row = {"baseUrl": "https://aiplatform.googleapis.com/v1/projects/p/locations/global", "api": "google-vertex"}
    assert providers(vertex={**row, "apiKey": "k"})["vertex"].headers == {"x-goog-api-key": "k"}
    file = tmp_path / "account.json"
    file.write_text('{"type": "authorized_user"}', encoding="utf-8")
    env = {"GOOGLE_APPLICATION_CREDENTIALS": str(file)}
    with pytest.raises(ConfigError, match="GOOGLE_APPLICATION_CREDENTIALS: the file lacks client_id"):
        providers(env, vertex=row)
    key = rsa.generate_private_key(65537, 2048)
    text = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    account = {"type": "service_account", "client_email": "a@b", "private_key": text, "token_uri": "https://t.example/"}
    file.write_text(json.dumps(account), encoding="utf-8")
    assert providers(env, vertex=row)["vertex"].signer is not None
    assert providers(env, vertex={**row, "apiKey": "k"})["vertex"].signer is None


@pytest.mark.parametrize(
    ("api", "base", "path", "address"),
    [
        ("ollama", "http://h:11434/v1", "/api/chat", b"POST /api/chat HTTP"),
        ("ollama", "http://h/proxy/v1/", "/api/embed", b"POST /proxy/api/embed HTTP"),
        ("anthropic-messages", "https://h/v1", "/v1/messages", b"POST /v1/messages HTTP"),
        ("openai-completions", "https://h/v1", "/chat/completions", b"POST /v1/chat/completions HTTP"),
        (
            "openai-completions",
            "https://h/d/x?api-version=1",
            "/chat/completions",
            b"POST /d/x/chat/completions?api-version=1 HTTP",
        ),
        (
            "google-generative-ai",
            "https://h/v1beta?a=b",
            "/models/m:x?alt=sse",
            b"POST /v1beta/models/m:x?alt=sse&a=b HTTP",
        ),
        ("google-generative-ai", "https://h/v1beta", "/models/m:x?alt=sse", b"POST /v1beta/models/m:x?alt=sse HTTP"),
    ],
)
def test_a_version_in_the_base_url_is_sent_where_the_format_has_it(api, base, path, address):
    assert providers(own={"baseUrl": base, "api": api})["own"].endpoint(path).head.startswith(address)


@pytest.mark.parametrize(
    ("row", "header", "value"),
    [
        ({"api": "anthropic-messages"}, "x-api-key", "the-key"),
        ({"api": "google-generative-ai"}, "x-goog-api-key", "the-key"),
        ({"api": "ollama"}, "Authorization", "Bearer the-key"),
        ({"api": "anthropic-messages", "authHeader": True}, "Authorization", "Bearer the-key"),
        ({"api": "anthropic-messages", "auth": "token"}, "Authorization", "Bearer the-key"),
        (
            {"api": "anthropic-messages", "request": {"auth": {"mode": "authorization-bearer", "token": "the-key"}}},
            "Authorization",
            "Bearer the-key",
        ),
        (
            {"request": {"auth": {"mode": "header", "headerName": "X-Key", "value": "the-key", "prefix": "Key "}}},
            "X-Key",
            "Key the-key",
        ),
    ],
)
def test_a_key_is_sent_as_its_format_has_it_unless_the_row_says_otherwise(row, header, value):
    provider = providers(own={"baseUrl": "http://own", "apiKey": "the-key", **row})["own"]
    assert provider.headers == {header: value}
    assert "the-key" in "".join(provider.secrets) or value in provider.secrets


def test_a_model_of_another_format_gets_the_key_in_that_formats_header():
    row = {"baseUrl": "http://own/v1", "apiKey": "k", "models": [{"id": "c", "api": "anthropic-messages"}, {"id": "g"}]}
    own = providers(own=row)["own"]
    assert own.row_for("c").headers == {"x-api-key": "k"}
    assert own.row_for("c").base_url == "http://own"
    assert own.row_for("g").headers == {"Authorization": "Bearer k"}
    assert own.row_for("g").base_url == "http://own/v1"


def test_minimax_takes_its_key_as_a_bearer_token():
    provider = providers({"MINIMAX_API_KEY": "k"}, mode="merge")["minimax"]
    assert (provider.wire, provider.headers) == ("anthropic-messages", {"Authorization": "Bearer k"})
