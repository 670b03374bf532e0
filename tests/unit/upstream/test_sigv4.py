"""The maker's own library is the oracle: every signature is byte for byte the same."""

import itertools
from datetime import UTC, datetime
from urllib.parse import quote

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as BotoCredentials

from gateway.upstream.authorise import fixed_headers
from gateway.upstream.provider import Provider
from gateway.upstream.sigv4 import Credentials, signature, signer
from gateway.wire.contract import WireRequest

WHEN = datetime(2026, 11, 27, 12, 34, 56, tzinfo=UTC)
MODELS = (
    "anthropic.claude-opus-4-8-v1:0",
    "us.anthropic.claude-sonnet-4-6",
    "arn:aws:bedrock:eu-west-1:123456789012:inference-profile/eu.anthropic.claude-haiku-4-5-20251001-v1:0",
    "arn:aws:bedrock:us-east-1:123456789012:prompt/PROMPT12345:1",
    "amazon.nova-pro-v1:0",
    "a b~c%d+e",
    "ünïcode",
)
BODIES = (b"", b"{}", '{"messages":[{"role":"user","content":[{"text":"Hé 👋"}]}]}'.encode(), bytes(range(256)) * 40)
TOKENS = (None, "IQoJb3JpZ2luX2VjEA==", "with  two spaces")
CASES = list(itertools.product(BODIES, TOKENS, ("us-east-1", "eu-central-1"), ("converse", "converse-stream")))


def by_botocore(credentials, region, url, body):
    request = AWSRequest("POST", url, data=body, headers={"X-Amz-Date": WHEN.strftime("%Y%m%dT%H%M%SZ")})
    request.context["timestamp"] = WHEN.strftime("%Y%m%dT%H%M%SZ")
    auth = SigV4Auth(
        BotoCredentials(credentials.access_key, credentials.secret_key, credentials.session_token), "bedrock", region
    )
    if credentials.session_token:
        request.headers["X-Amz-Security-Token"] = credentials.session_token
    text = auth.canonical_request(request)
    string = auth.string_to_sign(request, text)
    auth._inject_signature_to_request(request, auth.signature(string, request))
    return request.headers["Authorization"]


def test_there_are_at_least_two_hundred_cases():
    assert len(MODELS) * len(CASES) >= 200


@pytest.mark.parametrize("model", MODELS)
def test_a_signature_is_that_of_the_makers_library(model):
    for body, token, region, action in CASES:
        credentials = Credentials("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", token)
        host, path = f"bedrock-runtime.{region}.amazonaws.com", f"/model/{quote(model, safe='')}/{action}"
        made = signature(credentials, region, "bedrock", host=host, path=path, body=body, when=WHEN)
        assert made["Authorization"] == by_botocore(credentials, region, f"https://{host}{path}", body)
        assert made["X-Amz-Date"] == "20261127T123456Z"
        assert made.get("X-Amz-Security-Token") == token


@pytest.mark.parametrize("model", MODELS)
async def test_the_address_that_is_signed_is_the_one_that_is_sent(model):
    credentials = Credentials("AKIDEXAMPLE", "secret")
    url = "https://bedrock-runtime.us-east-1.amazonaws.com"
    authorise = signer(credentials, "us-east-1", "bedrock", lambda: WHEN)
    provider = Provider("aws", url, headers=fixed_headers(None, {}), signer=authorise)
    asked = WireRequest(f"/model/{quote(model, safe='')}/converse", b"{}")
    request, *lines = (await provider.signed(asked)).head.decode().split("\r\n")
    path = request.split(" ")[1]
    assert path == asked.path
    assert f"Authorization: {by_botocore(credentials, 'us-east-1', url + path, b'{}')}" in lines


def test_a_secret_is_not_shown():
    assert "secret" not in repr(Credentials("AKIDEXAMPLE", "secret", "secret"))
