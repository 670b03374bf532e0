"""Google's application default credentials, with Google's own library as the judge of assertions."""

import json
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from google.oauth2.service_account import Credentials

from gateway.config.providers import ModelsConfig
from gateway.core.errors import ConfigError
from gateway.upstream.configured import provider_problems, providers_from
from gateway.upstream.google_login import assertion, credentials_file, login_from
from gateway.upstream.oauth_token import TokenSource
from gateway.upstream.provider import Provider

USER = {
    "type": "authorized_user", "client_id": "id.apps", "client_secret": "secret-of-gcloud",
    "refresh_token": "1//refresh", "quota_project_id": "paying",
}  # fmt: skip
BASE = "https://europe-west4-aiplatform.googleapis.com/v1/projects/p/locations/europe-west4"


def pem(key: Any) -> str:
    return str(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode())


@pytest.fixture(scope="module")
def key() -> Any:
    return rsa.generate_private_key(65537, 2048)


@pytest.fixture
def key_file(key, tmp_path):
    def write(**fields) -> str:
        file = tmp_path / "account.json"
        account = {
            "type": "service_account", "client_email": "gateway@p.iam.gserviceaccount.com", "private_key": pem(key),
            "private_key_id": "k1", "token_uri": "https://oauth2.googleapis.com/token", **fields,
        }  # fmt: skip
        file.write_text(json.dumps(account), encoding="utf-8")
        return str(file)

    return write


def test_an_assertion_is_the_one_that_googles_own_library_makes(key, key_file):
    account = json.loads(Path(key_file()).read_text(encoding="utf-8"))
    token = assertion(account, 1_800_000_000)
    options = {"verify_exp": False, "verify_iat": False}
    claims = jwt.decode(token, key.public_key(), ["RS256"], audience=account["token_uri"], options=options)
    scope = "https://www.googleapis.com/auth/cloud-platform"
    theirs = Credentials.from_service_account_file(key_file(), scopes=[scope])._make_authorization_grant_assertion()
    expected = jwt.decode(theirs, key.public_key(), ["RS256"], audience=account["token_uri"], options=options)
    assert jwt.get_unverified_header(token) == jwt.get_unverified_header(theirs)
    assert claims.keys() == expected.keys()
    assert {**claims, "iat": 0, "exp": 3600} == {**expected, "iat": 0, "exp": expected["exp"] - expected["iat"]}
    assert (claims["iat"], claims["exp"]) == (1_800_000_000, 1_800_003_600)
    login = login_from(key_file())
    assert login.form(1_800_000_000) == {
        "grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer",
        "assertion": token,
    }
    assert login.token_uri == account["token_uri"]


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"type": "external_account"}, "type 'external_account' is not supported; use the key file of a service"),
        ({"type": None}, 'no "type"'),
        ({"client_email": None}, "lacks client_email"),
        ({"type": "authorized_user", "client_id": "c"}, "lacks client_secret, refresh_token"),
        ({"private_key": "secret-text"}, "no RSA key"),
        ({"private_key": pem(ec.generate_private_key(ec.SECP256R1()))}, "no RSA key"),
    ],
)
def test_an_unusable_file_is_refused_without_quoting_it(key_file, fields, problem):
    with pytest.raises(ValueError, match=problem) as raised:
        login_from(key_file(**fields))
    assert "secret-text" not in str(raised.value)
    with pytest.raises(ValueError, match="can't be read: No such file"):
        login_from("/nowhere/account.json")


def vertex(env: dict[str, str], **row: Any) -> Provider:
    config = ModelsConfig.model_validate({"providers": {"v": {"api": "google-vertex", "baseUrl": BASE, **row}}})
    return providers_from(config, env)["v"]


@pytest.mark.parametrize("folder", [".config/gcloud", "elsewhere"])
def test_the_login_that_gcloud_writes_is_used_where_nothing_else_is_named(tmp_path: Path, folder: str):
    file = tmp_path / folder / "application_default_credentials.json"
    file.parent.mkdir(parents=True)
    file.write_text(json.dumps(USER), encoding="utf-8")
    env = {"HOME": str(tmp_path)} | ({"CLOUDSDK_CONFIG": str(file.parent)} if folder == "elsewhere" else {})
    assert credentials_file(env) == str(file)
    login = login_from(str(file))
    fields = {name: USER[name] for name in ("client_id", "client_secret", "refresh_token")}
    assert login.form(0) == {"grant_type": "refresh_token", **fields}
    assert (login.token_uri, login.headers) == (
        "https://oauth2.googleapis.com/token",
        {"x-goog-user-project": "paying"},
    )
    provider = vertex(env)
    assert isinstance(provider.signer, TokenSource)
    assert {"secret-of-gcloud", "1//refresh"} <= set(provider.secrets)
    assert vertex(env, apiKey="k").signer is None
    assert vertex(env, headers={"Authorization": "Bearer own"}).signer is None


def test_the_variable_wins_over_the_file_that_gcloud_writes_and_names_its_problem(key_file, tmp_path: Path):
    path = key_file(type="external_account")
    with pytest.raises(ConfigError, match=r"^GOOGLE_APPLICATION_CREDENTIALS: a login of the type 'external_account'"):
        vertex({"GOOGLE_APPLICATION_CREDENTIALS": path, "HOME": str(tmp_path)})
    assert credentials_file({"HOME": str(tmp_path / "nowhere")}) is None
    assert credentials_file({}) is None


def test_a_token_needs_an_address_with_a_project(key_file):
    env = {"GOOGLE_APPLICATION_CREDENTIALS": key_file()}
    for models in ({}, {"providers": {"google-vertex": {"models": [{"id": "gemini-2.5-flash"}]}}}):
        (problem,) = provider_problems(ModelsConfig.model_validate(models), env, {"google-vertex"})
        assert str(problem).startswith("models.providers.google-vertex.baseUrl: has no project")


@pytest.mark.parametrize(
    ("location", "host"),
    [(None, "aiplatform.googleapis.com"), ("europe-west4", "europe-west4-aiplatform.googleapis.com")],
)
def test_the_built_in_provider_gets_its_project_from_the_environment(key_file, location, host):
    env = {"GOOGLE_APPLICATION_CREDENTIALS": key_file(), "GOOGLE_CLOUD_PROJECT": "p"}
    env |= {"GOOGLE_CLOUD_LOCATION": location} if location else {}
    expected = f"https://{host}/v1/projects/p/locations/{location or 'global'}"
    for models in ({}, {"providers": {"google-vertex": {"models": [{"id": "gemini-2.5-flash"}]}}}):
        config = ModelsConfig.model_validate(models)
        provider = providers_from(config, env, {"google-vertex"})["google-vertex"]
        assert provider.base_url == expected
        keyed = providers_from(config, {**env, "GOOGLE_CLOUD_API_KEY": "k"}, {"google-vertex"})["google-vertex"]
        assert keyed.base_url == "https://aiplatform.googleapis.com/v1"


def test_a_model_with_headers_of_its_own_is_authorised_like_its_row(key_file):
    env = {"GOOGLE_APPLICATION_CREDENTIALS": key_file()}
    provider = vertex(env, models=[{"id": "m", "headers": {"x-team": "a"}}])
    assert provider.row_for("m").signer is provider.signer
    assert provider.signer is not None


def test_a_row_of_vertex_without_a_file_is_authorised_by_the_machine_if_its_metadata_server_is_named(tmp_path: Path):
    config = ModelsConfig.model_validate({"providers": {"vertex": {"api": "google-vertex", "baseUrl": BASE}}})
    env = {"HOME": str(tmp_path)}
    assert providers_from(config, env)["vertex"].signer is None
    named = {**env, "GCE_METADATA_HOST": "metadata.google.internal"}
    assert isinstance(providers_from(config, named)["vertex"].signer, TokenSource)
    keyed = {"providers": {"vertex": {"api": "google-vertex", "baseUrl": BASE, "apiKey": "k"}}}
    assert providers_from(ModelsConfig.model_validate(keyed), named)["vertex"].signer is None
    file = tmp_path / "user.json"
    file.write_text(json.dumps(USER), encoding="utf-8")
    provider = providers_from(config, {**named, "GOOGLE_APPLICATION_CREDENTIALS": str(file)})["vertex"]
    assert "secret-of-gcloud" in provider.secrets
