"""The doctor beside a running gateway, which is no fault of the set-up."""

import json
import sys

import pytest

from tests.certificates import Authority
from tests.e2e.process import environment, serving, started
from tests.process import free_port, running

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.mark.parametrize("tls", ["none", "of the server", "of clients too"])
async def test_a_running_gateway_does_not_make_its_own_port_taken(config, tmp_path, tls):
    gateway = config["gateway"] | {"port": free_port(), "drain": {"noticeMs": 0}}
    if tls != "none":
        authority = Authority(tmp_path / "tls")
        issued = authority.issue("server")
        gateway["tls"] = {"enabled": True, "certPath": str(issued.certificate), "keyPath": str(issued.key)}
        if tls == "of clients too":
            gateway["tls"]["caPath"] = str(authority.file)
    file = tmp_path / "openclaw.json"
    file.write_text(json.dumps(config | {"gateway": gateway}), encoding="utf-8")
    command = [sys.executable, "-m", "gateway", "doctor", "--config", str(file), "--only", "port"]
    async with started("serve", "--config", str(file), state=tmp_path) as process:
        await process.wait_for_output("Listening")
        async with running(command, environment=environment(tmp_path)) as doctor:
            assert await doctor.ended() == 0, doctor.output + doctor.errors
            assert doctor.output == "no findings\n"


async def test_a_first_start_has_no_findings(tmp_path):
    async with serving(tmp_path, None) as gateway:
        words = ["--url", gateway.url, "--deep"]
        variables = {**environment(tmp_path), "OPENCLAW_GATEWAY_PORT": str(gateway.port)}
        for command in (["doctor"], ["doctor", *words]):
            async with running([sys.executable, "-m", "gateway", *command], environment=variables) as doctor:
                assert await doctor.ended() == 0, doctor.output + doctor.errors
                assert doctor.output == "no findings\n"
