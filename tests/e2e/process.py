"""A gateway process as users run it. It is always stopped at the end."""

import json
import os
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from tests import fork_server
from tests.process import MAX_WAIT, Process, free_port, start

# What a developer's machine may have set and a test must not see.
_HIDDEN = ("OPENCLAW_", "OPENAI_", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")


def environment(state: Path) -> dict[str, str]:
    """This process's environment without keys, proxies or the developer's own gateway; state goes to `state`."""
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.upper().startswith(_HIDDEN) and not name.endswith(("_API_KEY", "_TOKEN"))
    }
    return inherited | {"OPENCLAW_STATE_DIR": str(state), "HOME": str(state)}


async def start_gateway(*arguments: str, environment: Mapping[str, str], forked: bool = True) -> Process:
    """`python -m gateway` with these arguments. In a test run it is forked where that is possible, if it may be. The
    caller must stop it.
    """
    if forked and fork_server.IS_AVAILABLE and "PYTEST_VERSION" in os.environ:
        return Process(await fork_server.SHARED.start(*arguments, environment=environment))
    return await start(sys.executable, "-m", "gateway", *arguments, environment=environment)


@asynccontextmanager
async def started(*arguments: str, state: Path, forked: bool = True) -> AsyncIterator[Process]:
    """The same with its state in `state`, stopped at the end."""
    process = await start_gateway(*arguments, environment=environment(state), forked=forked)
    try:
        yield process
    finally:
        await process.stop()


@dataclass(frozen=True)
class Gateway:
    """A gateway that is ready; `url` is its root."""

    process: Process
    port: int
    host: str = "127.0.0.1"

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"


@asynccontextmanager
async def serving(
    state: Path, config: dict[str, Any] | None, *options: str, port: int | None = None, max_wait: float = MAX_WAIT
) -> AsyncIterator[Gateway]:
    """A ready gateway with this configuration; None lets it write a first one. `options` are further options of
    `serve`, and `max_wait` the seconds until it must listen.

    Unless the configuration says otherwise it stops without waiting for proxies to notice.
    """
    port = port or free_port()
    arguments = ["serve", "--port", str(port), *options]
    if config is not None:
        file = state / "gateway.json5"
        gateway = {"drain": {"noticeMs": 0}} | config.get("gateway", {})
        file.write_text(json.dumps(config | {"gateway": gateway}), encoding="utf-8")
        arguments += ["--config", str(file)]
    async with started(*arguments, state=state, forked=config is not None) as process:
        await process.wait_for_output("Listening", max_wait)
        host = (config or {}).get("gateway", {}).get("customBindHost", "127.0.0.1")
        gateway = Gateway(process, port, host)
        async with aiohttp.ClientSession() as session, session.get(f"{gateway.url}/readyz") as response:
            assert response.status == 200, await response.text()
        yield gateway
