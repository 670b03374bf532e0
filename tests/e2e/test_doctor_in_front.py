"""`doctor --url --deep` through real front ends: each fault of theirs is reported under its id, and nothing else."""

import asyncio
import json
import secrets
import ssl
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import TestServer

from gateway.doctor.finding import Finding
from gateway.doctor.front import check_front
from tests.certificates import Authority
from tests.e2e.conftest import TOKEN
from tests.e2e.process import Gateway, environment, serving
from tests.process import free_port, running
from tests.servers import nginx, redis_server

pytestmark = pytest.mark.asyncio(loop_scope="module")

CLIENT = "9.9.9.9"  # a public address, as any router between has one
PROXY = "127.0.0.9"
_CONFIG = """
events {{ worker_connections 512; }}
http {{
  access_log off;
  server {{
    listen 127.0.0.1:{port} {listen};
    {server}
    location / {{
      proxy_pass http://127.0.0.1:{gateway};
      proxy_http_version {version};
      {location}
    }}
  }}
}}
"""
GOOD = f"proxy_set_header X-Forwarded-For {CLIENT}; proxy_bind {PROXY};"
FAULTS = {
    "front.attribution": f"proxy_set_header X-Forwarded-For {CLIENT}; proxy_bind 127.0.0.10;",
    "front.spoofable": f"proxy_set_header X-Forwarded-For $spoofable; proxy_bind {PROXY};",
    "front.client-hidden": "proxy_bind 127.0.0.11;",
    "front.buffers": f"{GOOD} proxy_ignore_headers X-Accel-Buffering; proxy_buffering on;",
    "front.unreachable": "return 404;",
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def gateway(config: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Gateway]:
    trusting = {**config["gateway"], "trustedProxies": [PROXY]}
    async with serving(tmp_path_factory.mktemp("state"), config | {"gateway": trusting}) as ready:
        yield ready


@asynccontextmanager
async def front(
    gateway: Gateway, folder: Path, location: str, server: str = "", listen: str = ""
) -> AsyncIterator[int]:
    """The port of an nginx with these lines."""
    port = free_port()
    if "$spoofable" in location:  # what a client sends, else its address
        server = f'set $spoofable $http_x_forwarded_for; if ($spoofable = "") {{ set $spoofable {CLIENT}; }}'
    version = "1.0" if "proxy_buffering on" in location else "1.1"  # nginx passes each chunk of HTTP/1.1 on
    text = _CONFIG.format(
        version=version, port=port, gateway=gateway.port, location=location, server=server, listen=listen
    )
    async with nginx(folder, text):
        yield port


async def findings(url: str, authority: Path | None = None) -> list[Finding]:
    """What the check reports; `authority` signs the only good certificates."""
    context = ssl.create_default_context(cafile=authority)
    headers = {"Authorization": f"Bearer {TOKEN}"}
    return await asyncio.to_thread(lambda: list(check_front(url, headers, context, time.time())))


async def test_the_command_joins_the_gateways_report_and_that_of_the_front_end(gateway, tmp_path):
    async with front(gateway, tmp_path, GOOD) as port:
        url = f"http://127.0.0.1:{port}"
        command = [sys.executable, "-m", "gateway", "doctor", "--url", url, "--deep", "--json"]
        variables = {**environment(tmp_path), "OPENCLAW_GATEWAY_TOKEN": TOKEN}
        async with running(command, environment=variables) as process:
            assert await process.ended() == 0, process.output + process.errors
    assert TOKEN not in process.output + process.errors
    reported = {finding["id"] for finding in json.loads(process.output)["findings"]}
    assert "secret.plain-text" in reported  # of the gateway's file, which the command can't read
    assert not any(one.startswith("front.") for one in reported)


@pytest_asyncio.fixture(loop_scope="module")
async def listing() -> AsyncIterator[TestServer]:
    """A provider that lists its model."""

    async def models(_request: web.Request) -> web.Response:
        return web.json_response({"object": "list", "data": [{"id": "good", "object": "model"}]})

    app = web.Application()
    app.router.add_get("/v1/models", models)
    async with TestServer(app) as server:
        yield server


async def test_a_healthy_set_up_of_gateway_redis_and_nginx_has_no_findings(config, listing, tmp_path):
    token, key = secrets.token_hex(32), secrets.token_hex(32)
    row = {"baseUrl": str(listing.make_url("/v1")), "apiKey": "${KEY}"}
    private = config | {
        "gateway": config["gateway"] | {"trustedProxies": [PROXY], "auth": {"mode": "token"}},
        "agents": {"defaults": {"model": "fake/good"}},
        "models": {"mode": "replace", "providers": {"fake": row}},
    }
    for name in ("gateway.json5", ".env"):
        (tmp_path / name).touch(mode=0o600)
    (tmp_path / ".env").write_text(f"OPENCLAW_GATEWAY_TOKEN={token}\nKEY={key}\n", encoding="utf-8")
    (tmp_path / "redis").mkdir()
    (tmp_path / "nginx").mkdir()
    async with redis_server(tmp_path / "redis") as redis:
        private["gateway"]["redis"] = {"url": redis.url}
        async with serving(tmp_path, private) as gateway, front(gateway, tmp_path / "nginx", GOOD) as port:
            config_file = ["--config", str(tmp_path / "gateway.json5")]
            here = [*config_file, "--port", str(gateway.port), "--deep", "--strict"]
            for options in (here, [*config_file, "--url", f"http://127.0.0.1:{port}", "--deep", "--strict"]):
                command = [sys.executable, "-m", "gateway", "doctor", *options]
                async with running(command, environment=environment(tmp_path)) as doctor:
                    assert (await doctor.ended(), doctor.output, doctor.errors) == (0, "no findings\n", "")


async def test_without_a_front_end_there_are_no_findings(gateway):
    assert await findings(gateway.url) == []


@pytest.mark.parametrize("kind", FAULTS)
async def test_a_fault_of_the_front_end_is_reported(gateway, tmp_path, kind):
    async with front(gateway, tmp_path, FAULTS[kind]) as port:
        (finding,) = await findings(f"http://127.0.0.1:{port}")
    assert finding.id == kind
    assert TOKEN not in str(finding.as_dict())


async def test_the_certificate_of_the_front_end_is_examined(gateway, tmp_path):
    authority = Authority(tmp_path / "tls")
    issued = authority.issue("front")
    server = f"ssl_certificate {issued.certificate}; ssl_certificate_key {issued.key};"
    async with front(gateway, tmp_path, GOOD, server, "ssl") as port:
        url = f"https://127.0.0.1:{port}"
        (unknown,) = await findings(url)
        (expiring,) = await findings(url, authority.file)
    assert unknown.id == "front.tls"
    assert (expiring.id, expiring.seen) == ("front.tls-expiring", f"{url}: the certificate expires in 0 days")


async def test_nobody_at_the_address_is_one_finding():
    (finding,) = await findings(f"http://127.0.0.1:{free_port()}")
    assert finding.id == "front.unreachable"
