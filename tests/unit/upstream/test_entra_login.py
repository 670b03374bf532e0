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


def test_a_login_server_that_is_no_address_is_refused():
    with pytest.raises(ConfigError, match="The Entra application: the address of its token server the base URL is not"):
        azure({**SECRET, "AZURE_AUTHORITY_HOST": "nowhere"})
