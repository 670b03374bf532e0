"""The servers that other tests stand on are the real ones and do what their switches say."""

import socket
from pathlib import Path

import aiohttp
import pytest
import redis.asyncio
from aiohttp import web

from tests.process import free_port
from tests.servers import Redis, nginx, redis_server

NGINX = """
events {{}}
http {{
  access_log off;
  server {{
    listen 127.0.0.1:{port};
    location / {{
      proxy_pass http://127.0.0.1:{behind};
      proxy_set_header X-Forwarded-For $remote_addr;
    }}
  }}
}}
"""


@pytest.fixture
async def server(tmp_path: Path):
    async with redis_server(tmp_path) as ready:
        yield ready


async def test_a_real_redis_answers_and_can_be_flushed(server: Redis):
    assert await server.ask("SET", "key", "value") is True
    assert await server.ask("GET", "key") == "value"
    assert "redis_version" in await server.ask("INFO", "server")
    await server.flush()
    assert await server.ask("GET", "key") is None


async def test_a_restarted_redis_has_the_same_address_and_nothing_in_it(server: Redis):
    await server.ask("SET", "key", "value")
    url = server.url
    await server.restart()
    assert server.url == url
    assert await server.ask("GET", "key") is None


async def test_what_redis_appends_to_its_file_survives_a_restart(tmp_path: Path):
    async with redis_server(tmp_path, appendonly="yes") as server:
        await server.ask("SET", "key", "value")
        await server.restart()
        assert await server.ask("GET", "key") == "value"


async def test_settings_reach_redis(tmp_path: Path):
    async with redis_server(tmp_path, maxmemory="3mb", maxmemory_policy="allkeys-lru") as server:
        memory = await server.ask("INFO", "memory")
        assert (memory["maxmemory"], memory["maxmemory_policy"]) == (3 * 2**20, "allkeys-lru")


async def test_a_frozen_redis_answers_again_once_it_thaws(server: Redis):
    async with redis.asyncio.Redis(port=server.port, socket_timeout=1.0, retry=None) as client:
        await client.ping()
        server.freeze()
        with pytest.raises(redis.exceptions.TimeoutError):
            await client.ping()
        server.thaw()
        assert await server.ask("PING") is True


async def test_a_killed_redis_refuses_connections_until_it_is_started(server: Redis):
    await server.kill()
    with pytest.raises(redis.exceptions.ConnectionError):
        await server.ask("PING")
    await server.start()
    assert await server.ask("PING") is True


async def test_a_frozen_redis_can_be_stopped(tmp_path: Path):
    async with redis_server(tmp_path) as server:
        server.freeze()
    with socket.socket() as probe, pytest.raises(ConnectionRefusedError):
        probe.connect(("127.0.0.1", server.port))


async def test_a_real_nginx_passes_requests_on(tmp_path: Path, aiohttp_server):
    async def answer(request: web.Request) -> web.Response:
        return web.Response(text=request.headers["X-Forwarded-For"])

    app = web.Application()
    app.router.add_get("/", answer)
    behind = await aiohttp_server(app)
    port = free_port()
    async with (
        nginx(tmp_path, NGINX.format(port=port, behind=behind.port)) as process,
        aiohttp.ClientSession() as session,
        session.get(f"http://127.0.0.1:{port}/", headers={"X-Forwarded-For": "192.0.2.1"}) as response,
    ):
        assert response.status == 200
        assert response.headers["Server"].startswith("nginx/")
        assert await response.text() == "127.0.0.1"
        assert (tmp_path / "nginx.pid").read_text(encoding="utf-8").strip() == str(process.pid)
