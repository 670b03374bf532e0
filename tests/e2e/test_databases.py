"""Gateways on two databases of one Redis know nothing of each other."""

import aiohttp
import pytest

from tests.e2e.conftest import TOKEN
from tests.e2e.process import serving
from tests.servers import redis_server

pytestmark = pytest.mark.asyncio(loop_scope="module")

ATTACKER = {"X-Forwarded-For": "203.0.113.9"}
RIGHT, WRONG = {"Authorization": f"Bearer {TOKEN}"}, {"Authorization": "Bearer wrong"}


async def test_a_lock_in_one_database_is_none_in_the_other(config, tmp_path):
    def on_database(number, server):
        auth = {"mode": "token", "token": TOKEN, "rateLimit": {"maxAttempts": 3, "global": False}}
        redis = {"url": f"redis://127.0.0.1:{server.port}?db={number}"}
        return config | {"gateway": config["gateway"] | {"auth": auth, "trustedProxies": ["127.0.0.1"], "redis": redis}}

    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    async with (
        redis_server(tmp_path) as server,
        serving(tmp_path / "one", on_database(8, server)) as one,
        serving(tmp_path / "two", on_database(9, server)) as two,
        aiohttp.ClientSession() as session,
    ):

        async def ask(gateway, path, headers):
            async with session.get(gateway.url + path, headers=ATTACKER | headers) as response:
                return response.status

        assert [await ask(one, "/v1/models", WRONG) for _ in range(5)] == [401, 401, 401, 429, 429]
        assert await ask(one, "/v1/models", RIGHT) == 429
        assert await ask(two, "/v1/models", RIGHT) == 200
        keys = await server.ask("INFO", "keyspace")
        assert keys["db8"]["keys"] > 0
        assert "messages of other instances were lost" not in one.process.errors + two.process.errors
        assert not any("Redis is not available" in each.process.output + each.process.errors for each in (one, two))
