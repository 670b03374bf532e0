import asyncio

import pytest

from gateway.http.keys import DEGRADED, DRAIN


async def ready(client):
    response = await client.get("/readyz")
    assert response.headers["Cache-Control"] == "no-store"
    return response.status, {name: value for name, value in (await response.json()).items() if name != "uptimeMs"}


async def test_a_healthy_gateway_is_ready(client):
    assert await ready(client) == (200, {"ready": True, "failing": [], "degraded": []})


async def test_a_degraded_part_is_named_and_the_gateway_stays_ready(client):
    out_of_order = True
    client.app[DEGRADED]["redis"] = lambda: out_of_order
    assert await ready(client) == (200, {"ready": True, "failing": [], "degraded": ["redis"]})
    out_of_order = False
    assert await ready(client) == (200, {"ready": True, "failing": [], "degraded": []})


async def test_a_draining_gateway_is_not_ready_but_live(client):
    client.app[DRAIN].started = True
    assert await ready(client) == (503, {"ready": False, "failing": ["draining"], "degraded": []})
    assert (await client.get("/healthz")).status == 200


@pytest.mark.parametrize(("draining", "connection"), [(False, None), (True, "close")])
async def test_only_a_draining_gateway_closes_connections(client, draining, connection):
    client.app[DRAIN].started = draining
    assert (await client.get("/v1/models")).headers.get("Connection") == connection


class TestUnusableStore:
    @pytest.fixture
    def config(self, config, tmp_path):
        (tmp_path / "gateway.sqlite").write_bytes(b"a letter to grandma " * 100)
        return config

    async def test_it_is_degraded_from_the_start_and_fails_only_what_needs_it(self, client, provider, tmp_path):
        provider.says("Hello")
        async with asyncio.timeout(30):
            while (await ready(client))[1]["degraded"] != ["store"]:
                await asyncio.sleep(0.01)
        chat = {"model": "openclaw", "messages": [{"role": "user", "content": "hi"}]}
        assert (await client.post("/v1/chat/completions", json=chat)).status == 200
        async with client.post("/v1/responses", json={"model": "openclaw", "input": "hi"}) as response:
            assert (response.status, (await response.json())["store"]) == (200, False)
        async with client.post("/v1/chat/completions", json=chat | {"user": "u"}) as response:
            assert response.status == 503
            message = (await response.json())["error"]["message"]
        assert "file is not a database" in message
        assert str(tmp_path) not in message
        (tmp_path / "gateway.sqlite").unlink()
        assert (await client.post("/v1/chat/completions", json=chat | {"user": "u"})).status == 200
        assert (await ready(client))[1]["degraded"] == []
