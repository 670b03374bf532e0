"""A gateway that speaks TLS: its own commands trust exactly its certificate, also after that was replaced."""

import json
import sys

import pytest

from tests.certificates import Authority
from tests.e2e.process import environment, started
from tests.process import free_port, running

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_the_commands_reach_the_gateway_and_no_other_certificate_is_trusted(config, tmp_path):
    authority, port = Authority(tmp_path / "tls"), free_port()
    served = authority.issue("server")
    tls = {"enabled": True, "certPath": str(served.certificate), "keyPath": str(served.key)}
    file = tmp_path / "openclaw.json"
    gateway = config["gateway"] | {"tls": tls, "port": port, "drain": {"noticeMs": 0}}
    file.write_text(json.dumps(config | {"gateway": gateway}), encoding="utf-8")

    async def says(*words: str, status: int, **variables: str) -> str:
        command = [sys.executable, "-m", "gateway", *words]
        async with running(command, environment=environment(tmp_path) | variables) as process:
            assert await process.ended() == status, process.output + process.errors
            return process.output + process.errors

    async with started("serve", "--config", str(file), state=tmp_path) as process:
        await process.wait_for_output("Listening")
        assert '"ready":true' in await says("status", "--ready", status=0, OPENCLAW_GATEWAY_PORT=str(port))
        authority.issue("server")
        # The watch may have been faster, so it is "accepted" or "unchanged".
        assert ", last reload " in await says("reload", status=0)
        assert "agents     openclaw" in await says("status", status=0)
        # Another program on this port would show another certificate, and must not get the token.
        other = authority.issue("another")
        file.write_text(file.read_text(encoding="utf-8").replace(str(served.certificate), str(other.certificate)))
        file.write_text(file.read_text(encoding="utf-8").replace(str(served.key), str(other.key)))
        assert "CERTIFICATE_VERIFY_FAILED" in await says("reload", status=1)
