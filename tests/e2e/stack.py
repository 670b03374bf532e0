"""What docker-compose.yml starts, without containers: the real nginx with deploy/nginx.conf, gateways, Redis, and a
name server in the place of Docker's. Each gateway has a loopback address of its own, as each container would.
"""

import asyncio
import secrets
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pyjson5

from tests.e2e.conftest import TOKEN
from tests.e2e.names import Names, name_server
from tests.e2e.process import Gateway, serving
from tests.process import MAX_WAIT, Process, free_port
from tests.servers import Redis, nginx, redis_server

DEPLOY = Path(__file__).parents[2] / "deploy"
PORT = 18789  # in deploy/nginx.conf
IDLE = "3s"  # likewise, and shorter than a gateway's notice
PROXY = "127.0.0.1"  # the address from which nginx connects

# A load balancer in front of nginx sends the client's address, so tests choose their addresses.
_IN_FRONT = "set_real_ip_from 127.0.0.1;\nreal_ip_header X-Test-Client;\n"


def nginx_config(names: Names, port: int, idle: str) -> str:
    """deploy/nginx.conf, but for the addresses of the name server and of nginx itself, and for how long it keeps idle
    connections to gateways.
    """
    config = (DEPLOY / "nginx.conf").read_text(encoding="utf-8")
    for original, here in (
        ("resolver 127.0.0.11 ", f"resolver 127.0.0.1:{names.port} "),
        ("listen 8080;", f"listen 127.0.0.1:{port};"),
        (f"keepalive_timeout {IDLE};", f"keepalive_timeout {idle};"),
    ):
        assert config.count(original) == 1, original
        config = config.replace(original, here)
    return config


def gateway_config(host: str, redis: Redis, more: dict[str, Any]) -> dict[str, Any]:
    """deploy/gateway.json5 with `more`, on an address of this machine."""
    config: dict[str, Any] = pyjson5.loads((DEPLOY / "gateway.json5").read_text(encoding="utf-8"))
    variables = {
        "OPENCLAW_PROXY_ADDRESS": PROXY,
        "OPENCLAW_GATEWAY_TOKEN": TOKEN,
        "OPENCLAW_REDIS_URL": redis.url,
    }
    gateway = config["gateway"] | {"bind": "custom", "customBindHost": host, "drain": {}} | more.get("gateway", {})
    return config | more | {"env": {"vars": variables}, "gateway": gateway}


class Stack:
    """nginx at `url`, `gateways` behind it by address, and `redis`. `names` is the name server that nginx uses."""

    def __init__(self, folder: Path, names: Names, redis: Redis, more: dict[str, Any]) -> None:
        self.names = names
        self.redis = redis
        self.gateways: dict[str, Gateway] = {}
        self.port = free_port()
        self.nginx: Process | None = None
        self._folder = folder
        self._more = more
        self._running: dict[str, AsyncExitStack] = {}
        # Unique, because the port is always the same (and Hypothesis seeds `random`).
        self._network = f"127.{secrets.choice(range(1, 255))}.{secrets.choice(range(255))}"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def client(self, address: str, token: str | None = TOKEN, **headers: str) -> aiohttp.ClientSession:
        """A client from this address with its own connections."""
        sent = {"X-Test-Client": address, **headers}
        if token is not None:
            sent["Authorization"] = f"Bearer {token}"
        return aiohttp.ClientSession(self.url, headers=sent)

    def address(self, number: int) -> str:
        """The address of the gateway with this number."""
        return f"{self._network}.{number}"

    async def start(self, number: int) -> Gateway:
        """Start a gateway and wait until it is ready; this does not add it to nginx."""
        host = self.address(number)
        state = self._folder / f"gateway-{number}"
        state.mkdir(exist_ok=True)
        stack = self._running[host] = AsyncExitStack()
        config = gateway_config(host, self.redis, self._more)
        gateway = await stack.enter_async_context(serving(state, config, port=PORT))
        self.gateways[host] = gateway
        return gateway

    async def stop(self, number: int, within: float = MAX_WAIT) -> None:
        """Stop a gateway, if it still runs, and wait for its end."""
        host = self.address(number)
        gateway = self.gateways.pop(host)
        if gateway.process.running:
            gateway.process.signal(signal.SIGTERM)
            await gateway.process.ended(within)
        await self._running.pop(host).aclose()

    async def wait_until_listed(self) -> None:
        """Wait until nginx knows the addresses of gateways."""
        async with asyncio.timeout(MAX_WAIT), self.client("203.0.113.255") as client:
            while True:
                async with client.get("/healthz") as response:
                    if response.status == 200:
                        return
                await asyncio.sleep(0.02)

    async def close(self) -> None:
        for host in list(self._running):
            await self._running.pop(host).aclose()


@asynccontextmanager
async def stack(
    folder: Path, more: dict[str, Any], *, gateways: int = 3, idle: str = IDLE, client: str | None = None
) -> AsyncIterator[Stack]:
    """Everything, ready. `more` is merged into the gateways' configuration, section by section; nginx gives connections
    to gateways up that are `idle` for so long. With `client`, this is everybody's address: for clients that can't send
    the header of a load balancer.
    """
    for name in ("redis", "nginx/gateway.d"):
        (folder / name).mkdir(parents=True)
    (folder / "nginx" / "gateway.d" / "in_front.conf").write_text(_IN_FRONT, encoding="utf-8")
    async with name_server() as names, redis_server(folder / "redis", appendonly="yes") as redis:
        made = Stack(folder, names, redis, more)
        try:
            for number in range(1, gateways + 1):
                await made.start(number)
            names.addresses = list(made.gateways)
            config = nginx_config(names, made.port, idle)
            if client is not None:
                config = config.replace("X-Forwarded-For $remote_addr", f"X-Forwarded-For {client}")
            async with nginx(folder / "nginx", config) as made.nginx:
                await made.wait_until_listed()
                yield made
        finally:
            await made.close()
