"""Each fault that is put into a healthy set-up is reported under its id, with what to type, and nothing else is."""

import dataclasses
import json
import socket
import time
from collections.abc import Callable
from contextlib import closing

import pytest

from gateway.core.client_key import digest_of
from gateway.doctor.kinds import KINDS
from tests.certificates import Authority
from tests.process import free_port
from tests.unit.doctor.conftest import KEY, TOKEN, HealthySetup

WEAK = "swordfish-2024"


def machine(healthy: HealthySetup, **changes: object) -> None:
    healthy.machine = dataclasses.replace(healthy.machine, **changes)  # type: ignore[arg-type]


def tls(healthy: HealthySetup, mode: int = 0o600) -> None:
    """A certificate for a day."""
    issued = Authority(healthy.folder / "tls").issue("server")
    issued.key.chmod(mode)
    pair = {"enabled": True, "certPath": str(issued.certificate), "keyPath": str(issued.key)}
    healthy.put("gateway.tls", pair)


def expired(healthy: HealthySetup) -> None:
    tls(healthy)
    later = time.time() + 30 * 86_400
    machine(healthy, now=lambda: later)
    healthy.provider.skew = 30 * 86_400


def plain_text(healthy: HealthySetup) -> None:
    healthy.put("models.providers.own.apiKey", KEY)


def expired_key(healthy: HealthySetup) -> None:
    digest = f"sha256:{digest_of('ocg_' + 'k' * 43).hex()}"
    healthy.put("gateway.keys", {"old": {"digest": digest, "expires": "2020-01-01T00:00:00Z"}})


def env_mode(healthy: HealthySetup) -> None:
    (healthy.folder / ".env").write_text(f"OTHER_KEY={KEY}\n")
    (healthy.folder / ".env").chmod(0o640)


def foreign_database(healthy: HealthySetup) -> None:
    (healthy.folder / "gateway.sqlite").mkdir()


def not_a_list(healthy: HealthySetup) -> None:
    healthy.provider.status = 404


def set_status(status: int) -> Callable[[HealthySetup], None]:
    def seed(healthy: HealthySetup) -> None:
        healthy.provider.status = status

    return seed


def put(path: str, value: object) -> Callable[[HealthySetup], None]:
    return lambda healthy: healthy.put(path, value)


def env(name: str, value: str) -> Callable[[HealthySetup], None]:
    return lambda healthy: healthy.env.update({name: value})


# Id → (the fault, a part of what to type).
FAULTS: dict[str, tuple[Callable[[HealthySetup], None], str]] = {
    "config.invalid": (put("gateway.prot", 1), "did you mean 'port'?"),
    "config.warning": (
        put("agents.entries", {"a": {}, "b": {}}),
        "name one here",
    ),
    "config.no-effect": (put("agents.defaults.heartbeat", {}), "remove agents.defaults.heartbeat from"),
    "config.not-served": (put("channels", {}), "remove channels from"),
    "config.retired": (put("gateway.reload.mode", "hot"), "hybrid"),
    "endpoints.off": (put("gateway.http.endpoints.responses.enabled", False), "responses.enabled"),
    "provider.key-missing": (
        put("agents.defaults.model", {"primary": "own/model-a", "fallbacks": ["openai/gpt-5.4"]}),
        "OPENAI_API_KEY",
    ),
    "auth.no-token": (lambda healthy: healthy.env.pop("OPENCLAW_GATEWAY_TOKEN") and None, "openclaw-gateway token"),
    "auth.weak-secret": (env("OPENCLAW_GATEWAY_TOKEN", WEAK), "openclaw-gateway token"),
    "key.expired": (expired_key, "remove gateway.keys.old"),
    "metrics.open": (lambda healthy: healthy.put("gateway.metrics", {"port": free_port(), "bind": "lan"}), "loopback"),
    "budget.no-alerts": (put("gateway.budgets", [{"tokens": 1000, "hard": False}]), "gateway.budgetAlerts.url"),
    "secret.plain-text": (plain_text, 'apiKey: "${NAME}"'),
    "files.config-mode": (lambda healthy: healthy.file.chmod(0o644), "chmod 600 "),
    "files.env-mode": (env_mode, "chmod 600 "),
    "files.key-mode": (lambda healthy: tls(healthy, 0o644), "chmod 600 "),
    "files.state-mode": (lambda healthy: healthy.folder.chmod(0o755), "chmod 700 "),
    "state.unusable": (foreign_database, "Move it away"),
    "disk.low": (lambda healthy: machine(healthy, free_bytes=lambda _: 10 * 2**20), "free some space"),
    "process.open-files": (lambda healthy: machine(healthy, open_files=lambda: 1024), "ulimit -n 65536"),
    "tls.expiring": (tls, "renew it"),
    "tls.expired": (expired, "renew it"),
    "proxy.not-used": (env("HTTPS_PROXY", "http://user:hunter22@proxy:3128"), 'proxy to { mode: "env-proxy" }'),
    "provider.unreachable": (
        lambda healthy: healthy.put("models.providers.own.baseUrl", f"http://127.0.0.1:{free_port()}/v1"),
        "models.providers.own.baseUrl",
    ),
    "provider.name-unknown": (
        put("models.providers.own.baseUrl", "http://no-such-host.invalid/v1"),
        "getent hosts no-such-host.invalid",
    ),
    "provider.tls": (
        lambda healthy: healthy.put("models.providers.own.baseUrl", healthy.provider.url.replace("http", "https")),
        "request.tls.ca",
    ),
    "provider.key-refused": (set_status(401), "models.providers.own.apiKey"),
    "provider.failing": (set_status(503), "again later"),
    "provider.no-list": (set_status(404), "models.providers.own.baseUrl"),
    "model.unknown": (put("agents.defaults.model", "own/model-c"), "it lists model-a, model-b"),
    "clock.skew": (lambda healthy: setattr(healthy.provider, "skew", -600.0), "timedatectl set-ntp true"),
}
# A certificate for a day is expiring too.
BESIDE = {"files.key-mode": {"tls.expiring"}}


async def test_a_healthy_set_up_has_no_findings_and_one_free_call(healthy):
    assert await healthy.findings() == []
    assert healthy.provider.asked == [("GET", "/v1/models", f"Bearer {KEY}")]


@pytest.mark.parametrize("kind", FAULTS)
async def test_a_seeded_fault_is_reported_by_its_id_with_what_to_type(healthy, kind):
    seed, advice = FAULTS[kind]
    seed(healthy)
    # That provider is a real one, so it must not be called.
    findings = await healthy.findings(*([kind] if kind == "provider.key-missing" else []))
    assert {finding.id for finding in findings} - BESIDE.get(kind, set()) == {kind}
    finding = next(one for one in findings if one.id == kind)
    assert advice in finding.fix, finding
    printed = json.dumps([one.as_dict() for one in findings])
    for secret in (TOKEN, KEY, WEAK, "hunter22"):
        assert secret not in printed
    assert all(method == "GET" and path == "/v1/models" for method, path, _ in healthy.provider.asked)


async def test_the_token_in_the_private_file_of_the_first_start_is_no_finding(healthy):
    del healthy.env["OPENCLAW_GATEWAY_TOKEN"]
    healthy.put("gateway.auth", {"mode": "token", "token": TOKEN})
    assert await healthy.findings() == []
    healthy.file.chmod(0o640)
    assert {one.id for one in await healthy.findings()} == {"files.config-mode", "secret.plain-text"}
    other = healthy.folder.parent / "deployed.json"
    other.write_bytes(healthy.file.read_bytes())
    other.chmod(0o600)
    healthy.env["OPENCLAW_CONFIG_PATH"] = str(other)
    assert [one.id for one in await healthy.findings()] == ["secret.plain-text"]


async def test_a_deep_check_alone_needs_deep(healthy):
    with pytest.raises(ValueError, match=r"redis\.rights needs --deep"):
        await healthy.findings("redis.rights")


async def test_a_port_that_another_program_has_is_reported(healthy):
    with closing(socket.create_server(("127.0.0.1", 0))) as other:
        healthy.put("gateway.port", other.getsockname()[1])
        (finding,) = await healthy.findings("port.taken")
    assert "ss -ltnp" in finding.fix


async def test_each_key_of_a_provider_is_checked(healthy):
    healthy.put("models.providers.own.apiKeys", ["second-key-of-the-provider"])
    await healthy.findings("provider")
    assert {key for _, _, key in healthy.provider.asked} == {f"Bearer {KEY}", "Bearer second-key-of-the-provider"}


async def test_a_signed_provider_is_not_called(healthy):
    healthy.env.update(AWS_ACCESS_KEY_ID="AKIAEXAMPLE", AWS_SECRET_ACCESS_KEY="a-secret-of-amazon")
    healthy.put("agents.defaults.model", "amazon-bedrock/anthropic.claude-x")
    findings = await healthy.findings("provider")
    assert [finding.id for finding in findings] == ["provider.not-checked"]


async def test_an_alias_of_a_dated_model_is_known(healthy):
    healthy.provider.models = ["model-a-20260101"]
    assert await healthy.findings() == []


async def test_a_duplicate_key_of_the_file_is_a_warning_with_both_lines(healthy):
    text = healthy.file.read_text(encoding="utf-8")
    healthy.file.write_text(f'{text[:-1]},\n"agents": {json.dumps(healthy.tree["agents"])}}}', encoding="utf-8")
    (finding,) = await healthy.findings()
    assert finding.id == "config.warning"
    assert finding.seen.startswith(f"agents: appears in line 1 and again in line 2 of {healthy.file}")
    assert finding.fix == "remove the others"


async def test_a_refused_configuration_does_not_stop_the_checks_of_files(healthy):
    healthy.put("gateway.prot", 1)
    healthy.file.chmod(0o644)
    assert {finding.id for finding in await healthy.findings()} == {"config.invalid", "files.config-mode"}


def test_every_kind_of_fault_is_seeded_here_or_in_a_test_of_its_own():
    in_other_tests = {kind for kind in KINDS if kind.startswith("redis.")}
    in_other_tests |= {"config.first-run", "port.taken", "provider.not-checked", "tls.stale"}
    in_other_tests |= {kind for kind in KINDS if kind.startswith("front.")}  # tests/e2e/test_doctor_in_front.py
    assert set(FAULTS) | in_other_tests == set(KINDS)
    assert len(FAULTS) >= 20
