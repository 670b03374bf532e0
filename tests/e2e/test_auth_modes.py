import aiohttp
import pytest

from tests.e2e.process import serving

pytestmark = pytest.mark.asyncio(loop_scope="module")

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


async def test_an_open_gateway_checks_the_origin_of_browsers(config, tmp_path):
    mode = with_auth(config, {"mode": "none"}, controlUi={"allowedOrigins": ["https://chat.example"]})
    async with serving(tmp_path, mode) as gateway, aiohttp.ClientSession(gateway.url) as session:
        assert await status(session, {}) == 200
        assert await status(session, {"Authorization": "Bearer whatever"}) == 200
        for origin in ("http://localhost:3000", "http://127.0.0.1", "https://chat.example"):
            assert await status(session, {"Origin": origin}) == 200
        for origin in ("https://evil.example", "null", "https://chat.example.evil.example"):
            assert await status(session, {"Origin": origin}) == 401


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
        await gateway.process.wait_for_output("No token is configured")
