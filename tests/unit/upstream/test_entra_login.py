"""Microsoft Entra ID as the login of an Azure row."""

from pathlib import Path
from typing import Any

import pytest

from gateway.config.providers import ModelsConfig
from gateway.core.errors import ConfigError
from gateway.upstream.configured import providers_from
from gateway.upstream.entra_login import login_from
from gateway.upstream.oauth_token import TokenSource
from gateway.upstream.provider import Provider
from gateway.upstream.signers import token_sources

APPLICATION = {"AZURE_TENANT_ID": "tenant", "AZURE_CLIENT_ID": "client"}
SECRET = {**APPLICATION, "AZURE_CLIENT_SECRET": "secret-of-the-application"}
FORM = {
    "grant_type": "client_credentials",
    "client_id": "client",
    "scope": "https://cognitiveservices.azure.com/.default",
}


def azure(env: dict[str, str], **row: Any) -> Provider:
    base = "https://r.openai.azure.com/openai/v1"
    config = {"providers": {"azure": {"api": "azure-openai-responses", "baseUrl": base, **row}}}
    return providers_from(ModelsConfig.model_validate(config), env)["azure"]


def test_an_application_signs_in_with_its_secret():
    login = login_from(SECRET)
    assert login is not None
    assert login.token_uri == "https://login.microsoftonline.com/tenant/oauth2/v2.0/token"
    assert login.form(0) == {**FORM, "client_secret": "secret-of-the-application"}
    assert "secret-of-the-application" not in repr(login)
    china = login_from({**SECRET, "AZURE_AUTHORITY_HOST": "https://login.chinacloudapi.cn/"})
    assert china is not None
    assert china.token_uri == "https://login.chinacloudapi.cn/tenant/oauth2/v2.0/token"


def test_a_workload_identity_signs_in_with_the_token_that_is_in_its_file_now(tmp_path: Path):
    file = tmp_path / "token"
    login = login_from({**APPLICATION, "AZURE_FEDERATED_TOKEN_FILE": str(file)})
    assert login is not None
    with pytest.raises(ValueError, match="AZURE_FEDERATED_TOKEN_FILE can't be read: No such file"):
        login.form(0)
    for token in ("one", "two"):
        file.write_text(f"{token}\n", encoding="ascii")
        form = login.form(0)
        assert form.pop("client_assertion") == token
        assert form == {**FORM, "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"}


@pytest.mark.parametrize("missing", SECRET)
def test_an_application_without_one_of_its_variables_is_no_login(missing: str):
    env = {name: value for name, value in SECRET.items() if name != missing}
    assert login_from(env) is None
    assert azure(env).signer is None


def test_a_row_without_a_key_is_authorised_by_the_application():
    provider = azure(SECRET)
    assert isinstance(provider.signer, TokenSource)
    assert "secret-of-the-application" in provider.secrets
    assert azure(SECRET, apiKey="k").signer is None
    assert azure(SECRET, headers={"api-key": "own"}).signer is None


CLASSIC = "https://r.openai.azure.com/openai/deployments/gpt?api-version=2024-10-21"


@pytest.mark.parametrize(
    ("api", "base"),
    [
        ("openai-completions", CLASSIC),
        ("openai-completions", "https://r.cognitiveservices.azure.com/openai/v1"),
        ("openai-responses", "https://r.services.ai.azure.com/openai/v1"),
    ],
)
def test_openais_formats_at_an_address_of_azure_have_azures_logins_and_azures_header_for_a_key(api: str, base: str):
    row = {"api": api, "baseUrl": base}
    assert isinstance(azure(SECRET, **row).signer, TokenSource)
    assert azure({}, **row).signer is None
    for own in ({"apiKey": "k"}, {"headers": {"api-key": "k"}}, {"headers": {"Authorization": "Bearer k"}}):
        assert azure(SECRET, **row, **own).signer is None
    assert azure(SECRET, **row, authHeader=False).signer is None
    assert azure({}, **row, apiKey="k").headers == {"api-key": "k"}
    assert azure({}, **row, apiKey="k", authHeader=True).headers == {"Authorization": "Bearer k"}


@pytest.mark.parametrize(
    ("api", "base"),
    [
        ("openai-completions", "https://api.openai.com/v1"),
        ("openai-completions", "https://openai.azure.com.evil.test/v1"),
        ("openai-completions", "https://evil.test/v1?x=/openai/deployments/"),
        ("openai-completions", "https://gateway.internal/openai/deployments/gpt"),
        ("anthropic-messages", "https://r.services.ai.azure.com/anthropic"),
    ],
)
def test_no_other_address_gets_a_token_of_azure(api: str, base: str):
    assert azure(SECRET, api=api, baseUrl=base).signer is None


def test_another_host_with_azures_classic_path_gets_azures_header_and_a_token_only_if_the_row_says_so():
    row = {"api": "openai-completions", "baseUrl": "https://gateway.internal/openai/deployments/gpt"}
    assert azure({}, **row, apiKey="k").headers == {"api-key": "k"}
    assert azure(SECRET, **row).signer is None
    assert isinstance(azure(SECRET, **row, authHeader=True).signer, TokenSource)


def test_deployments_with_an_address_each_share_one_login_and_no_other_host_gets_it():
    url = "https://r.openai.azure.com/openai/deployments"
    models = [
        {"id": "a", "baseUrl": f"{url}/a?api-version=2024-10-21"},
        {"id": "b", "baseUrl": f"{url}/b?api-version=2024-10-21"},
        {"id": "keyed", "baseUrl": f"{url}/c", "headers": {"api-key": "own"}},
        {"id": "elsewhere", "baseUrl": "https://other.test/v1"},
    ]
    provider = azure(SECRET, api="openai-completions", baseUrl=CLASSIC, models=models)
    signers = {model: provider.row_for(model).signer for model in ("a", "b", "keyed", "elsewhere")}
    assert signers["a"] is signers["b"] is provider.signer is not None
    assert signers["keyed"] is signers["elsewhere"] is None
    assert "secret-of-the-application" in provider.row_for("a").secrets
    only_models = azure(SECRET, api="openai-completions", baseUrl="https://other.test/v1", models=models)
    assert only_models.signer is None
    assert list(token_sources([only_models])) == [only_models.row_for("a").signer]


def test_a_login_server_that_is_no_address_is_refused():
    with pytest.raises(ConfigError, match="The Entra application: the address of its token server the base URL is not"):
        azure({**SECRET, "AZURE_AUTHORITY_HOST": "nowhere"})
