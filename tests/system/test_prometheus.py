"""The dashboard and the alert rules, against a real Prometheus that scrapes a real gateway with a real Redis.

`make system-test` gets Prometheus from Debian's archive; `make test` does not collect this folder.
"""

import asyncio
import json
import subprocess
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from gateway.metrics.catalog import FAMILIES
from tests.e2e.answers import refuses, says
from tests.e2e.conftest import TOKEN
from tests.e2e.process import Gateway, serving
from tests.e2e.provider import KEY, Provider
from tests.servers import Redis
from tests.system.prometheus import Prometheus

ROOT = Path(__file__).parents[2]
BOARD = json.loads((ROOT / "deploy" / "grafana" / "openclaw-gateway.json").read_text(encoding="utf-8"))
RULES = ROOT / "deploy" / "prometheus" / "rules.yml"
TARGETS = [target for panel in BOARD["panels"] for target in panel["targets"]]
QUERIES = [target["expr"].replace("$__rate_interval", "30s") for target in TARGETS]
CHAT = {"messages": [{"role": "user", "content": "hi"}]}

# Series that this gateway has no reason to make: it runs no tools, and no price is configured.
WITHOUT_DATA = ("openclaw_model_cost_usd_total", "openclaw_gateway_tool_calls_total", "openclaw_gateway_rescues_total")

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def gateway(tmp_path_factory):
    redis = Redis(tmp_path_factory.mktemp("redis"), {})
    await redis.start()
    try:
        async with Provider().serving() as provider:
            provider.model(says(), "good")
            provider.model(refuses(500), "broken")
            models = [{"id": "good"}, {"id": "broken"}]
            config: dict[str, Any] = {
                "gateway": {
                    "auth": {"mode": "token", "token": TOKEN, "rateLimit": {"exemptLoopback": False}},
                    "http": {"endpoints": {"chatCompletions": {"enabled": True}}},
                    "retry": {"maxRetries": 0},
                    "redis": {"url": redis.url},
                    "budgets": [{"name": "team", "tokens": 10**9}],
                },
                "agents": {
                    "default": "main",
                    "defaults": {"model": {"primary": "fake/good"}},
                    "entries": {
                        "main": {},
                        "failing": {"model": {"primary": "fake/broken", "fallbacks": ["fake/good"]}},
                    },
                },
                "models": {
                    "mode": "replace",
                    "providers": {"fake": {"baseUrl": provider.url, "apiKey": KEY, "models": models}},
                },
            }
            async with serving(tmp_path_factory.mktemp("state"), config) as ready:
                yield ready
    finally:
        await redis.stop()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def prometheus(gateway: Gateway, tmp_path_factory):
    """A Prometheus that has scraped the gateway several times while it had requests of every kind."""
    directory = tmp_path_factory.mktemp("prometheus")
    async with Prometheus(directory, gateway.url, TOKEN, RULES).running() as ready:
        async with aiohttp.ClientSession(gateway.url) as session:
            await traffic(session, ready)
        yield ready


async def traffic(session: aiohttp.ClientSession, prometheus: Prometheus) -> None:
    """Requests of every kind between several scrapes: a rate needs two samples."""
    headers = {"Authorization": f"Bearer {TOKEN}"}
    for _ in range(3):
        for agent in ("openclaw/main", "openclaw/failing"):
            for stream in (False, True):
                async with session.post(
                    "/v1/chat/completions", json=CHAT | {"model": agent, "stream": stream}, headers=headers
                ) as response:
                    assert response.status == 200, await response.text()
        broken = headers | {"x-openclaw-model": "fake/broken"}  # has no fallback
        async with session.post("/v1/chat/completions", json=CHAT, headers=broken) as response:
            assert response.status == 502
        async with session.post("/v1/chat/completions", json={}, headers=headers) as response:
            assert response.status == 400
        async with session.get("/v1/models", headers={"Authorization": "Bearer wrong"}) as response:
            assert response.status == 401
        await prometheus.scraped_again()
    await prometheus.scraped_again()


@pytest.mark.parametrize("query", QUERIES)
async def test_every_query_of_the_dashboard_shows_something(prometheus: Prometheus, query: str):
    result = await prometheus.query(query)
    if any(name in query for name in WITHOUT_DATA):
        return
    assert result, query


async def test_the_names_in_queries_without_data_exist(prometheus: Prometheus):
    assert {family.name for family in FAMILIES} >= set(WITHOUT_DATA)


async def test_the_alert_rules_are_loaded_and_evaluated(prometheus: Prometheus):
    rules = await prometheus.rules()
    assert {rule["name"] for rule in rules} == set(names_of_alerts())
    assert [(rule["name"], rule.get("lastError")) for rule in rules if rule["health"] != "ok"] == []


async def test_alerts_ask_for_series_that_exist(prometheus: Prometheus):
    """Each alert's expression without its threshold returns something."""
    for rule in await prometheus.rules():
        expression = rule["query"]
        for threshold in (" > ", " == "):
            expression = expression.split(threshold)[0]
        if "auth|billing" not in expression:  # no key was refused
            assert await prometheus.query(expression), rule["name"]


async def test_only_the_alert_about_failures_of_the_provider_would_fire(prometheus: Prometheus):
    firing = [
        rule["name"]
        for rule in await prometheus.rules()
        if await prometheus.query(rule["query"].replace("[10m]", "[1m]").replace("[15m]", "[1m]"))
    ]
    assert set(firing) <= {"OpenClawProviderFails", "OpenClawModelCoolsDown"}


def names_of_alerts() -> list[str]:
    lines = RULES.read_text(encoding="utf-8").splitlines()
    return [line.split("alert: ")[1] for line in lines if "alert: " in line]


async def test_promtool_finds_nothing_wrong_with_rules_and_metrics(gateway: Gateway):
    await asyncio.to_thread(subprocess.run, ["promtool", "check", "rules", str(RULES)], check=True)
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with aiohttp.ClientSession(headers=headers) as session, session.get(f"{gateway.url}/metrics") as response:
        text = await response.read()
    checked = await asyncio.to_thread(
        subprocess.run, ["promtool", "check", "metrics"], input=text, capture_output=True, check=False
    )
    assert (checked.returncode, checked.stderr.decode()) == (0, "")


async def test_the_alerts_about_budgets_and_the_ledger_fire_when_they_should():
    words = ["promtool", "test", "rules", str(Path(__file__).with_name("rules.test.yml"))]
    done = await asyncio.to_thread(subprocess.run, words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


async def test_a_scrape_takes_less_than_20_milliseconds(prometheus: Prometheus):
    (result,) = await prometheus.query("min_over_time(scrape_duration_seconds[1m])")
    assert float(result["value"][1]) < 0.020
