"""The deployment files agree with each other and with the program. `make check` lints them."""

import ipaddress
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import compose
import pytest

from gateway.config.load import load
from gateway.validation import validated

ROOT = Path(__file__).parents[1]
SECRETS = {"OPENCLAW_GATEWAY_TOKEN": "the-token-of-callers", "REDIS_PASSWORD": "thepasswordofredis"}


@pytest.fixture(scope="module")
def composed():
    """docker-compose.yml as Compose itself resolves it."""
    program = Path(compose.__file__).with_name("docker-compose")
    environment = {"PATH": os.environ["PATH"], "OPENCLAW_ENV_FILE": ".env.example", **SECRETS}
    done = subprocess.run(
        [program, "--env-file", ".env.example", "config", "--format", "json"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return json.loads(done.stdout)


def test_only_nginx_can_be_reached_from_outside_and_only_from_this_machine(composed):
    published = {name: service["ports"] for name, service in composed["services"].items() if "ports" in service}
    assert list(published) == ["nginx"]
    assert [port["host_ip"] for port in published["nginx"]] == ["127.0.0.1"]
    assert composed["networks"]["store"]["internal"] is True
    assert list(composed["services"]["redis"]["networks"]) == ["store"]
    assert "store" not in composed["services"]["nginx"]["networks"]


def test_the_gateways_trust_nginx_and_no_other_container(composed):
    address = composed["services"]["nginx"]["networks"]["front"]["ipv4_address"]
    (network,) = composed["networks"]["front"]["ipam"]["config"]
    assert ipaddress.ip_address(address) in ipaddress.ip_network(network["subnet"])
    assert ipaddress.ip_address(address) not in ipaddress.ip_network(network["ip_range"])
    gateway = composed["services"]["gateway"]
    valid = validated(ROOT / "deploy" / "gateway.json5", gateway["environment"], workers=2)
    loaded = valid.loaded
    assert loaded.config.gateway.trusted_proxies == (address,)
    assert loaded.config.gateway.auth.token.get_secret_value() == SECRETS["OPENCLAW_GATEWAY_TOKEN"]
    assert loaded.config.gateway.redis.url.get_secret_value() == "redis://:thepasswordofredis@redis:6379/0"
    assert (loaded.ignored, loaded.inert, valid.warnings) == ((), (), ())


def test_the_host_has_the_address_that_the_example_for_a_tls_proxy_on_it_names(composed):
    (network,) = composed["networks"]["front"]["ipam"]["config"]
    assert ipaddress.ip_address(network["gateway"]) not in ipaddress.ip_network(network["ip_range"])
    mounted = {volume["target"]: Path(volume["source"]) for volume in composed["services"]["nginx"]["volumes"]}
    real_ip = (mounted["/etc/nginx/gateway.d"] / "real_ip.conf").read_text(encoding="utf-8")
    lines = [line for line in real_ip.splitlines() if line]
    assert all(line.startswith("#") for line in lines)  # believes nobody unless the operator says so
    directives = [line.removeprefix("# ").partition(";")[0] for line in lines if ";" in line]
    assert directives == [f"set_real_ip_from {network['gateway']}", "real_ip_header X-Forwarded-For"]


def test_the_script_that_activates_changes_is_a_valid_program():
    script = ROOT / "deploy" / "update.sh"
    assert os.access(script, os.X_OK)
    subprocess.run(["sh", "-n", script], check=True, timeout=60)


def test_stopping_the_gateways_waits_for_their_answers(composed):
    drain = load(ROOT / "deploy" / "gateway.json5", composed["services"]["gateway"]["environment"]).config.gateway.drain
    minutes, seconds = re.fullmatch(r"(\d+)m(\d+)s", composed["services"]["gateway"]["stop_grace_period"]).groups()
    assert int(minutes) * 60 + int(seconds) > (drain.notice_ms + drain.timeout_ms) / 1000 + 5


def test_nginx_closes_idle_connections_before_a_draining_gateway_does(composed):
    nginx = (ROOT / "deploy" / "nginx.conf").read_text(encoding="utf-8")
    (idle,) = re.findall(r"^\s+keepalive_timeout (\d+)s;", nginx, re.MULTILINE)
    drain = load(ROOT / "deploy" / "gateway.json5", composed["services"]["gateway"]["environment"]).config.gateway.drain
    assert int(idle) * 1000 < drain.notice_ms


def test_no_service_starts_without_secrets():
    program = Path(compose.__file__).with_name("docker-compose")
    done = subprocess.run(
        [program, "--env-file", ".env.example", "config", "-q"],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "OPENCLAW_ENV_FILE": ".env.example"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode != 0
    assert "set it in .env" in done.stderr


def test_all_that_the_image_copies_is_there_and_sent_to_the_builder():
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", (ROOT / "Dockerfile").read_text(encoding="utf-8"), re.MULTILINE)
    sources = {source for line in copied for source in line.split()}
    sent = {
        line[1:] for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines() if line.startswith("!")
    }
    assert sources == sent
    assert all((ROOT / source).exists() for source in sources)


def test_the_image_has_no_build_tools():
    """Every package that the lock has for the build group alone is uninstalled, and nothing else is."""
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    wanted_by = {
        name: set(re.findall(r"^    #(?: via|  ) +(\S.*)$", entry, re.MULTILINE))
        for name, entry in re.findall(r"^(\S+?)==(.*?)(?=^\S|\Z)", lock, re.MULTILINE | re.DOTALL)
    }
    assert wanted_by["hatchling"] == {"openclaw-gateway (pyproject.toml:build)"}
    only_builds = {"hatchling"} | {name for name, users in wanted_by.items() if users == {"hatchling"}}
    dockerfile = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    removed = set(re.search(r"&& pip uninstall --yes (.+)", dockerfile)[1].split())
    assert removed == only_builds | {"pip"}


def test_the_container_listens_at_the_address_of_its_health_check():
    dockerfile = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    (port,) = re.findall(r"OPENCLAW_GATEWAY_PORT=(\d+)", dockerfile)
    assert f"EXPOSE {port}\n" in dockerfile
    assert f"server gateway:{port} " in (ROOT / "deploy" / "nginx.conf").read_text(encoding="utf-8")
    (arguments,) = re.findall(r'CMD \["openclaw-gateway", (.+)\]', dockerfile)
    words = json.loads(f"[{arguments}]")
    done = subprocess.run(
        [sys.executable, "-m", "gateway", *words, "--help"], capture_output=True, check=False, timeout=60
    )
    assert done.returncode == 0
