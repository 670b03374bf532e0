import aiohttp
import pytest

from tests.e2e.answers import says
from tests.e2e.process import serving

pytestmark = pytest.mark.asyncio(loop_scope="module")

BODY = {"messages": [{"role": "user", "content": "hi"}]}
USER = {"X-Forwarded-For": "203.0.113.7", "X-User": "ann"}


async def status(session, headers, path="/v1/models"):
    async with session.get(path, headers=headers) as response:
        return response.status


def with_auth(config, auth, **gateway):
    return config | {"gateway": config["gateway"] | gateway | {"auth": auth}}


async def test_a_password_is_the_bearer_of_its_mode(config, tmp_path):
    mode = with_auth(config, {"mode": "password", "password": "the password"})
    async with serving(tmp_path, mode) as gateway, aiohttp.ClientSession(gateway.url) as session:
        assert await status(session, {"Authorization": "Bearer the password"}) == 200
        assert await status(session, {"Authorization": "bearer   the password "}) == 200
        assert await status(session, {"Authorization": "Bearer the password too"}) == 401
        assert await status(session, {}) == 401


async def test_an_open_gateway_asks_browsers_where_they_come_from(config, tmp_path):
    mode = with_auth(config, {"mode": "none"}, controlUi={"allowedOrigins": ["https://chat.example"]})
    async with serving(tmp_path, mode) as gateway, aiohttp.ClientSession(gateway.url) as session:
        assert await status(session, {}) == 200
        assert await status(session, {"Authorization": "Bearer whatever"}) == 200
        for origin in ("http://localhost:3000", "http://127.0.0.1", "https://chat.example"):
            assert await status(session, {"Origin": origin}) == 200
        for origin in ("https://evil.example", "null", "https://chat.example.evil.example"):
            assert await status(session, {"Origin": origin}) == 401


async def test_declared_scopes_narrow_a_caller_without_a_secret(config, provider, tmp_path):
    mode = with_auth(config, {"mode": "none"})
    model = provider.model(says("Hello"))
    cases = [
        ({"x-openclaw-scopes": "operator.read"}, "operator.write"),
        ({"x-openclaw-scopes": ""}, "operator.write"),
        ({"x-openclaw-scopes": "operator.write"} | model.chosen, "operator.admin"),
    ]
    async with serving(tmp_path, mode) as gateway, aiohttp.ClientSession(gateway.url) as session:
        assert await status(session, {"x-openclaw-scopes": "operator.write"}) == 200
        assert await status(session, {"x-openclaw-scopes": "operator.approvals"}) == 403
        for headers, missing in cases:
            async with session.post("/v1/chat/completions", json=BODY, headers=headers) as response:
                assert response.status == 403
                assert await response.json() == {
                    "ok": False,
                    "error": {
                        "type": "forbidden",
                        "message": f"missing scope: {missing}",
                        "details": {
                            "code": "MISSING_SCOPE",
                            "missingScope": missing,
                            "requiredScopes": [missing],
                        },
                    },
                }
    assert model.asked == []


async def test_a_trusted_proxy_vouches_for_its_users(config, tmp_path):
    rules = {
        "userHeader": "X-User",
        "requiredHeaders": ["X-Forwarded-Proto"],
        "allowUsers": ["ann"],
        "allowLoopback": True,
    }
    mode = with_auth(config, {"mode": "trusted-proxy", "trustedProxy": rules}, trustedProxies=["127.0.0.1"])
    good = USER | {"X-Forwarded-Proto": "https"}
    async with serving(tmp_path, mode) as gateway, aiohttp.ClientSession(gateway.url) as session:
        assert await status(session, good) == 200
        assert await status(session, good | {"X-User": "Ann"}) == 401
        assert await status(session, good | {"X-User": " "}) == 401
        assert await status(session, USER) == 401
        assert await status(session, good | {"Origin": "https://evil.example"}) == 401
        assert await status(session, good | {"X-Forwarded-For": "127.0.0.1"}) == 403
        assert await status(session, {"X-User": "ann", "X-Forwarded-Proto": "https"}) == 403


async def test_a_proxy_on_this_machine_is_not_trusted_unless_allowed(config, tmp_path):
    auth = {"mode": "trusted-proxy", "trustedProxy": {"userHeader": "X-User"}, "password": "fallback"}
    mode = with_auth(config, auth, trustedProxies=["127.0.0.1"])
    async with serving(tmp_path, mode) as gateway, aiohttp.ClientSession(gateway.url) as session:
        assert await status(session, USER) == 401
        assert await status(session, USER | {"Authorization": "Bearer fallback"}) == 401
        assert await status(session, {"Authorization": "Bearer fallback"}) == 200


async def test_without_a_configured_secret_everybody_is_refused(config, tmp_path):
    mode = with_auth(config, {"mode": "token", "rateLimit": {"global": False}})
    async with serving(tmp_path, mode) as gateway, aiohttp.ClientSession(gateway.url) as session:
        assert await status(session, {}) == 401
        assert await status(session, {"Authorization": "Bearer undefined"}) == 401
        await gateway.process.said("no token is configured")
