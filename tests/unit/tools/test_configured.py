import subprocess
import sys

import pytest

from gateway.config.root import Config
from gateway.tools.configured import registry_from

SERVER = {"command": sys.executable, "args": ["-c", ""]}


def python(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)


@pytest.mark.parametrize("servers", [{}, {"s": SERVER | {"enabled": False}}])
async def test_without_servers_there_is_nothing(servers):
    async with registry_from(Config.model_validate({"mcp": {"servers": servers}})) as registry:
        assert registry is None


def test_the_sdk_is_not_loaded_where_no_servers_are_configured():
    code = "import sys, gateway.app, gateway.cli.serve; print({'mcp', 'anyio', 'httpx2'} & sys.modules.keys())"
    assert python(code).stdout == "set()\n"


def test_a_server_without_the_sdk_is_refused_with_what_to_install():
    code = f"""
import asyncio, sys
sys.modules["mcp"] = None
from gateway.config.root import Config
from gateway.core.errors import ConfigError
from gateway.tools.configured import registry_from
async def main():
    async with registry_from(Config.model_validate({{"mcp": {{"servers": {{"s": {SERVER!r}}}}}}})):
        pass
try:
    asyncio.run(main())
except ConfigError as error:
    print(error)
"""
    assert python(code).stdout == (
        "mcp.servers: the package mcp is not installed; install the extra: openclaw-gateway[mcp]\n"
    )


async def test_a_server_that_does_not_connect_does_not_delay_the_start():
    async with registry_from(Config.model_validate({"mcp": {"servers": {"s": SERVER}}})) as registry:
        assert registry is not None
        assert registry.degraded
