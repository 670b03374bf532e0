import asyncio
import json
from types import SimpleNamespace

import jwt
import pytest
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from google.oauth2.service_account import Credentials

from gateway.core.upstream_error import UpstreamError
from gateway.core.upstream_error import UpstreamKind as Kind
from gateway.upstream.google_token import TokenSource, assertion, read_account
from gateway.upstream.http import DEFAULTS
from gateway.upstream.transport.endpoint import endpoint
from gateway.wire.contract import WireRequest

TARGET = endpoint("https://aiplatform.googleapis.com/v1/x", {}, DEFAULTS)
ASKED = WireRequest("/x", b"{}")


def pem(key) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


@pytest.fixture(scope="module")
def key():
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
    account = read_account(key_file())
    token = assertion(account, 1_800_000_000)
    options = {"verify_exp": False, "verify_iat": False}
    claims = jwt.decode(token, key.public_key(), ["RS256"], audience=account.token_uri, options=options)
    scope = "https://www.googleapis.com/auth/cloud-platform"
    theirs = Credentials.from_service_account_file(key_file(), scopes=[scope])._make_authorization_grant_assertion()
    expected = jwt.decode(theirs, key.public_key(), ["RS256"], audience=account.token_uri, options=options)
    assert jwt.get_unverified_header(token) == jwt.get_unverified_header(theirs)
    assert claims.keys() == expected.keys()
    assert {**claims, "iat": 0, "exp": 3600} == {**expected, "iat": 0, "exp": expected["exp"] - expected["iat"]}
    assert (claims["iat"], claims["exp"]) == (1_800_000_000, 1_800_003_600)


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"type": "authorized_user"}, "no key file of a service account"),
        ({"client_email": None}, "lacks client_email"),
        ({"private_key": "secret-text"}, "no RSA key"),
        ({"private_key": pem(ec.generate_private_key(ec.SECP256R1()))}, "no RSA key"),
        ({"token_uri": "nowhere"}, "not an http or https URL"),
    ],
)
def test_an_unusable_key_file_is_refused_without_quoting_it(key_file, fields, problem):
    with pytest.raises(ValueError, match=problem) as raised:
        read_account(key_file(**fields))
    assert "secret-text" not in str(raised.value)
    with pytest.raises(ValueError, match="can't be read: No such file"):
        read_account("/nowhere/account.json")


@pytest.fixture
async def tokens(aiohttp_server, key, key_file):
    """A token server, its answers, and the source of tokens under a clock that tests move."""

    state = SimpleNamespace(answers=[], asked=0, now=1_800_000_000.0)

    async def grant(request: web.Request) -> web.Response:
        state.asked += 1
        form = await request.post()
        assert form["grant_type"] == "urn:ietf:params:oauth:grant-type:jwt-bearer"
        options = {"verify_exp": False, "verify_iat": False}
        claims = jwt.decode(form["assertion"], key.public_key(), ["RS256"], audience=str(request.url), options=options)
        assert claims["iat"] == int(state.now)
        await asyncio.sleep(0)
        status, body = state.answers.pop(0)
        return web.json_response(body, status=status)

    app = web.Application()
    app.router.add_post("/token", grant)
    uri = str((await aiohttp_server(app)).make_url("/token"))
    state.source = TokenSource(read_account(key_file(token_uri=uri)), lambda: state.now)
    return state


async def test_concurrent_requests_share_a_token_until_it_is_nearly_over(tokens):
    tokens.answers = [(200, {"access_token": f"t{n}", "expires_in": 3599, "token_type": "Bearer"}) for n in range(2)]
    first = await asyncio.gather(*(tokens.source.headers_for(TARGET, ASKED) for _ in range(5)))
    assert first == [{"Authorization": "Bearer t0"}] * 5
    tokens.now += 3400
    assert await tokens.source.headers_for(TARGET, ASKED) == first[0]
    assert tokens.asked == 1
    tokens.now += 100
    assert await tokens.source.headers_for(TARGET, ASKED) == {"Authorization": "Bearer t1"}


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (400, {"error": "invalid_grant", "error_description": "Invalid JWT Signature."}, Kind.AUTH),
        (401, {"error": "invalid_client"}, Kind.AUTH),
        (200, {"id_token": "x"}, Kind.AUTH),
        (503, [], Kind.OVERLOADED),
    ],
)
async def test_a_refused_account_is_an_error_and_is_asked_for_again(tokens, status, body, kind):
    tokens.answers = [(status, body), (200, {"access_token": "t"})]
    with pytest.raises(UpstreamError, match="got no token") as raised:
        await tokens.source.headers_for(TARGET, ASKED)
    assert raised.value.kind is kind
    assert await tokens.source.headers_for(TARGET, ASKED) == {"Authorization": "Bearer t"}


async def test_a_token_server_that_is_away_is_named(key_file, unused_tcp_port):
    source = TokenSource(read_account(key_file(token_uri=f"http://127.0.0.1:{unused_tcp_port}/token")))
    with pytest.raises(UpstreamError, match=f"token server http://127.0.0.1:{unused_tcp_port}/token") as raised:
        await source.headers_for(TARGET, ASKED)
    assert raised.value.kind is Kind.CONNECT
