import pytest

from gateway.config.providers import ModelsConfig
from gateway.core.errors import ConfigError
from gateway.upstream.aws import credentials_from, region_from
from gateway.upstream.configured import provider_problems, providers_from
from gateway.upstream.sigv4 import Credentials
from gateway.wire.contract import WireRequest

KEYS = {"AWS_ACCESS_KEY_ID": "AKID", "AWS_SECRET_ACCESS_KEY": "secret-of-the-tests"}
FILE = """
[default]
aws_access_key_id = AKDEFAULT
aws_secret_access_key = default%secret
[work]
aws_access_key_id = AKWORK
aws_secret_access_key = work-secret
aws_session_token = token
"""
CONFIG = "[default]\nregion = eu-west-1\n[profile work]\nregion = eu-north-1\n"


@pytest.fixture
def home(tmp_path):
    folder = tmp_path / ".aws"
    folder.mkdir()
    (folder / "credentials").write_text(FILE, encoding="utf-8")
    (folder / "config").write_text(CONFIG, encoding="utf-8")
    return {"HOME": str(tmp_path)}


@pytest.mark.parametrize(
    ("env", "credentials"),
    [
        ({}, Credentials("AKDEFAULT", "default%secret")),
        ({"AWS_PROFILE": "work"}, Credentials("AKWORK", "work-secret", "token")),
        ({"AWS_PROFILE": "nobody"}, None),
        (KEYS, Credentials("AKID", "secret-of-the-tests")),
        (KEYS | {"AWS_SESSION_TOKEN": "t"}, Credentials("AKID", "secret-of-the-tests", "t")),
        ({"AWS_ACCESS_KEY_ID": "AKID"}, Credentials("AKDEFAULT", "default%secret")),
        ({"AWS_SHARED_CREDENTIALS_FILE": "/nowhere"}, None),
    ],
)
def test_an_access_key_comes_from_the_environment_or_the_profile(home, env, credentials):
    assert credentials_from(home | env) == credentials


@pytest.mark.parametrize("content", [b"\xff\xfe", b"[default", b"no section"])
def test_a_file_that_can_not_be_read_has_no_access_key(tmp_path, content):
    file = tmp_path / "credentials"
    file.write_bytes(content)
    assert credentials_from({"AWS_SHARED_CREDENTIALS_FILE": str(file)}) is None
    assert credentials_from({}) is None


@pytest.mark.parametrize(
    ("env", "region"),
    [
        ({}, "eu-west-1"),
        ({"AWS_PROFILE": "work"}, "eu-north-1"),
        ({"AWS_DEFAULT_REGION": "ap-south-1"}, "ap-south-1"),
        ({"AWS_DEFAULT_REGION": "ap-south-1", "AWS_REGION": "us-west-2"}, "us-west-2"),
        ({"AWS_CONFIG_FILE": "/nowhere"}, "us-east-1"),
    ],
)
def test_the_region_is_that_of_awss_tools(home, env, region):
    assert region_from(home | env) == region


def row(env, **fields):
    config = ModelsConfig.model_validate({"providers": {"amazon-bedrock": fields}})
    return providers_from(config, env)["amazon-bedrock"]


ASKED = WireRequest("/model/m%3A0/converse", b"{}")


async def lines(provider):
    return (await provider.signed(ASKED)).head.decode().split("\r\n")


async def test_a_bedrock_key_is_a_bearer_token():
    provider = row({"AWS_BEARER_TOKEN_BEDROCK": "key"} | KEYS, region="eu-central-1")
    assert provider.base_url == "https://bedrock-runtime.eu-central-1.amazonaws.com"
    head = await lines(provider)
    assert head[0] == "POST /model/m%3A0/converse HTTP/1.1"
    assert "Authorization: Bearer key" in head


@pytest.mark.parametrize("fields", [{}, {"auth": "aws-sdk"}, {"region": "us-west-2"}])
async def test_without_a_bedrock_key_requests_are_signed_in_the_region(fields):
    provider = row(KEYS | {"AWS_REGION": "eu-west-3"}, **fields)
    (authorization,) = [line for line in await lines(provider) if line.startswith("Authorization: ")]
    region = fields.get("region", "eu-west-3")
    assert authorization.startswith("Authorization: AWS4-HMAC-SHA256 Credential=AKID/")
    assert f"/{region}/bedrock/aws4_request" in authorization
    assert f"Host: bedrock-runtime.{region}.amazonaws.com" in await lines(provider)
    assert "secret-of-the-tests" in provider.secrets


def test_the_catalogues_row_is_signed_too():
    provider = providers_from(ModelsConfig(), KEYS, ["amazon-bedrock"])["amazon-bedrock"]
    assert provider.base_url == "https://bedrock-runtime.us-east-1.amazonaws.com"
    assert provider.signer is not None
    assert providers_from(ModelsConfig(), KEYS, ["openai"])["openai"].signer is None


def test_a_row_without_any_credential_is_an_error():
    config = ModelsConfig.model_validate({"providers": {"amazon-bedrock": {}}})
    (problem,) = provider_problems(config, {})
    assert str(problem).startswith("models.providers.amazon-bedrock.apiKey: there is no AWS credential")
    with pytest.raises(ConfigError):
        providers_from(config, {})
    own = {"providers": {"amazon-bedrock": {"authHeader": False, "headers": {"Authorization": "Bearer t"}}}}
    assert provider_problems(ModelsConfig.model_validate(own), {}) == []


def test_other_formats_do_not_sign():
    config = ModelsConfig.model_validate({"providers": {"openai": {"auth": "aws-sdk"}}})
    assert [str(one) for one in provider_problems(config, KEYS)] == [
        'models.providers.openai.auth: "aws-sdk" logins are not supported; use an API key'
    ]
