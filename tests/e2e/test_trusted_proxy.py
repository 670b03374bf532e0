"""Mode `trusted-proxy` as its users run it: every recorded rule, over real connections."""

import json
import socket

import aiohttp
import pytest
import pytest_asyncio

from tests.e2e.answers import says
from tests.e2e.process import serving, started

pytestmark = pytest.mark.asyncio(loop_scope="module")

PASSWORD = "the-fallback-password-0123456789"
RULES = {
    "userHeader": "x-forwarded-user",
    "requiredHeaders": ["x-proxy-secret"],
    "allowUsers": ["alice@example.com", "Bob"],
    "allowLoopback": True,
}
FOR = ("X-Forwarded-For", "203.0.113.5")
USER = ("X-Forwarded-User", "alice@example.com")
SECRET = ("x-proxy-secret", "s")
BEARER = ("Authorization", f"Bearer {PASSWORD}")
WRONG = ("Authorization", "Bearer wrong")
ORIGIN = "https://ok.example.com"

REQUESTS = [
    # The users that the proxy may name, and the headers.
    ((FOR, USER, SECRET), 200),
    ((("X-Forwarded-For", "198.51.100.1, 203.0.113.5"), USER, SECRET), 200),
    ((("X-Forwarded-For", "2001:db8::5"), USER, SECRET), 200),
    ((FOR, ("X-FORWARDED-USER", "  Bob\t"), ("X-Proxy-Secret", "anything")), 200),
    ((FOR, USER, SECRET, WRONG), 200),
    ((FOR, ("X-Forwarded-User", "bob"), SECRET), 401),
    ((FOR, ("X-Forwarded-User", "Alice@example.com"), SECRET), 401),
    ((FOR, ("X-Forwarded-User", "mallory@example.com"), SECRET), 401),
    ((FOR, ("X-Forwarded-User", "alice@example.com, Bob"), SECRET), 401),
    ((FOR, USER, ("X-Forwarded-User", "Bob"), SECRET), 401),
    ((FOR, ("X-Forwarded-User", ""), SECRET), 401),
    ((FOR, ("X-Forwarded-User", "  "), SECRET), 401),
    ((FOR, SECRET), 401),
    ((FOR, USER), 401),
    ((FOR, USER, ("x-proxy-secret", "")), 401),
    ((FOR, USER, ("x-proxy-secret", " ")), 401),
    ((FOR, ("X_Forwarded_User", "alice@example.com"), SECRET), 401),
    # Browsers; a loopback proxy earns no leniency for loopback origins.
    ((FOR, USER, SECRET, ("Origin", ORIGIN)), 200),
    ((FOR, USER, SECRET, ("Origin", "https://evil.example.com")), 401),
    ((FOR, USER, SECRET, ("Origin", "null")), 401),
    ((FOR, USER, SECRET, ("Origin", "http://localhost:3000")), 401),
    ((FOR, USER, SECRET, ("Origin", ORIGIN), ("Origin", ORIGIN)), 401),
    # Attribution comes first.
    ((USER, SECRET), 403),
    ((USER, SECRET, ("X-Forwarded-For", "")), 403),
    ((USER, SECRET, ("X-Forwarded-For", "127.0.0.1")), 403),
    ((USER, SECRET, ("Forwarded", "for=203.0.113.5")), 403),
    ((USER, SECRET, ("X-Real-IP", "203.0.113.5")), 403),
    # The password admits direct callers on this machine, but none behind a proxy.
    ((BEARER,), 200),
    ((BEARER, ("Host", "gateway.example.com")), 200),
    ((BEARER, ("Origin", "https://evil.example.com")), 200),
    ((BEARER, ("x-openclaw-scopes", "")), 200),
    ((BEARER, FOR), 401),
    ((BEARER, FOR, SECRET), 401),
    ((BEARER, USER), 403),
    ((BEARER, ("X-Forwarded-For", "127.0.0.1")), 403),
    ((BEARER, ("X-Forwarded-Proto", "https")), 403),
    ((), 401),
    (((("Authorization", f"Basic {PASSWORD}")),), 401),
]


def proxied(config, auth=(), **gateway):
    mine = {"auth": {"mode": "trusted-proxy", **dict(auth)}, "trustedProxies": ["127.0.0.1"], **gateway}
    return config | {"gateway": config["gateway"] | mine}


async def asked(url, *headers, path="/v1/models", **sent):
    """Status and body of one request with these headers, in this order."""
    method = "POST" if sent else "GET"
    async with (
        aiohttp.ClientSession() as session,
        session.request(method, f"{url}{path}", headers=headers, **sent) as response,
    ):
        return response.status, json.loads(await response.read())


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def vouched(config, tmp_path_factory):
    auth = {"trustedProxy": RULES, "password": PASSWORD}
    mode = proxied(config, auth, controlUi={"allowedOrigins": [ORIGIN]})
    async with serving(tmp_path_factory.mktemp("state"), mode) as ready:
        yield ready


@pytest.mark.parametrize(("headers", "expected"), REQUESTS, ids=range(len(REQUESTS)))
async def test_every_rule_of_trusted_proxies_holds(vouched, headers, expected):
    status, body = await asked(vouched.url, *headers)
    assert status == expected
    if expected == 401:
        assert body["error"]["type"] == "unauthorized"
    if expected == 403:
        assert body["error"]["type"] == "proxy_attribution_required"


async def test_who_has_the_password_is_the_owner_and_a_user_as_narrow_as_declared(vouched, provider):
    model = provider.model(says("Hello"))
    chosen = next(iter(model.chosen.items()))
    body = {"messages": [{"role": "user", "content": "hi"}]}
    ask = {"path": "/v1/chat/completions", "json": body}
    narrow = ("x-openclaw-scopes", "operator.write")
    assert (await asked(vouched.url, BEARER, narrow, chosen, **ask))[0] == 200
    assert (await asked(vouched.url, FOR, USER, SECRET, chosen, **ask))[0] == 200
    status, body = await asked(vouched.url, FOR, USER, SECRET, narrow, chosen, **ask)
    assert (status, body["error"]["message"]) == (403, "missing scope: operator.admin")
    assert len(model.asked) == 2


async def test_failed_identities_lock_nobody_out_and_guessed_passwords_do(config, tmp_path):
    limits = {"maxAttempts": 2, "exemptLoopback": False}
    auth = {"trustedProxy": RULES, "password": PASSWORD, "rateLimit": limits}
    async with serving(tmp_path, proxied(config, auth)) as gateway:
        for _ in range(5):
            assert (await asked(gateway.url, FOR, SECRET, ("X-Forwarded-User", "mallory"), WRONG))[0] == 401
        assert (await asked(gateway.url, BEARER))[0] == 200
        assert [(await asked(gateway.url, WRONG))[0] for _ in range(3)] == [401, 401, 429]
        assert (await asked(gateway.url, BEARER))[0] == 429
        assert (await asked(gateway.url, FOR, USER, SECRET))[0] == 200


@pytest.mark.parametrize("applies", [False, True])
async def test_identity_scopes_apply_when_configured(config, provider, tmp_path, applies):
    only_with_scopes = 403 if applies else 200
    auth = {
        "trustedProxy": {"userHeader": "X-Auth-User", "allowLoopback": True},
        "identityScopes": {"alice": ["operator.read"], "zoe": []},
        "identityScopesApplyToHttp": applies,
    }
    chat = {
        "path": "/v1/chat/completions",
        "json": {"model": "openclaw", "messages": [{"role": "user", "content": "hi"}]},
        "headers": provider.model(says("Hello")).chosen,
    }
    alice, bob, zoe = (("X-Auth-User", name) for name in ("alice", "bob", "zoe"))
    everything = ("x-openclaw-scopes", "operator.admin,operator.write,operator.read")
    async with serving(tmp_path, proxied(config, auth)) as gateway:
        model = next(iter(chat.pop("headers").items()))
        assert (await asked(gateway.url, FOR, alice))[0] == 200
        assert (await asked(gateway.url, FOR, alice, everything))[0] == 200
        assert (await asked(gateway.url, FOR, alice, ("x-openclaw-scopes", "")))[0] == 403
        for headers in ((alice,), (alice, everything)):
            assert (await asked(gateway.url, FOR, *headers, model, **chat))[0] == only_with_scopes
        for user in (bob, zoe, ("X-Auth-User", "Alice")):
            assert (await asked(gateway.url, FOR, user))[0] == only_with_scopes
            assert (await asked(gateway.url, FOR, user, everything))[0] == only_with_scopes


async def test_another_own_address_of_this_machine_is_no_proxy(config, tmp_path):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as unsent:
        try:
            unsent.connect(("192.0.2.1", 9))  # picks a route, sends nothing
        except OSError:
            pytest.skip("this machine has no address but loopback")
        own = unsent.getsockname()[0]
    auth = {"trustedProxy": {"userHeader": "X-Auth-User", "allowLoopback": True}}
    mode = proxied(config, auth, trustedProxies=["127.0.0.1", own], bind="lan")
    user = ("X-Auth-User", "alice")
    async with serving(tmp_path, mode) as gateway:
        assert (await asked(gateway.url, FOR, user))[0] == 200
        assert (await asked(f"http://{own}:{gateway.port}", FOR, user))[0] == 401
        await gateway.process.wait_for_output("the proxy's address is one of this machine's own")


@pytest.mark.parametrize(
    ("auth", "proxies", "named"),
    [
        ({"trustedProxy": {"userHeader": "X-User"}}, [], "gateway.trustedProxies: is empty"),
        ({"trustedProxy": {"userHeader": " "}}, ["127.0.0.1"], "gateway.auth.trustedProxy.userHeader: is empty"),
        ({}, ["127.0.0.1"], "gateway.auth.trustedProxy.userHeader: is empty"),
        (
            {"trustedProxy": {"userHeader": "X-User"}, "token": "t0ken-t0ken"},
            ["127.0.0.1"],
            "gateway.auth.token: is set",
        ),
        (
            {"trustedProxy": {"userHeader": "X-User"}},
            ["proxy.local"],
            "gateway.trustedProxies[0]: is not an IP address",
        ),
    ],
)
async def test_an_unsafe_configuration_does_not_start(config, tmp_path, auth, proxies, named):
    file = tmp_path / "gateway.json5"
    file.write_text(json.dumps(proxied(config, auth, trustedProxies=proxies)), encoding="utf-8")
    async with started("serve", "--config", str(file), "--port", "18790", state=tmp_path) as process:
        assert await process.ended() == 78
        assert named in process.errors
        assert "t0ken" not in process.errors
