"""Traces of real gateway processes: with tools, with workers, at the end, over a reload, and with a dead collector."""

import asyncio
import json
import signal
import sys
import time
from pathlib import Path

import aiohttp
import pytest

from tests.e2e.answers import in_turn, says
from tests.e2e.conftest import TOKEN
from tests.e2e.process import serving
from tests.otlp import collecting
from tests.process import free_port
from tests.servers import redis_server

pytestmark = pytest.mark.asyncio(loop_scope="module")

TOOL_SERVER = Path(__file__).parents[1] / "tool_server.py"
ASKED = {"model": "openclaw", "messages": [{"role": "user", "content": "a secret plan"}]}
HEADERS = {"Authorization": f"Bearer {TOKEN}"}
LOST = "Traces are lost while the collector does not take them"


async def post(client, model, **more) -> None:
    async with client.post("/v1/chat/completions", json=ASKED | more, headers=HEADERS | model.chosen) as response:
        assert response.status == 200, await response.text()


async def without_degraded_parts(client) -> None:
    async with asyncio.timeout(30):
        while True:
            async with client.get("/readyz") as response:
                if not (await response.json())["degraded"]:
                    return
            await asyncio.sleep(0.05)


def named(spans, name):
    return [span for span in spans if span.name == name]


async def test_a_tool_call_is_a_span_between_two_attempts_and_all_is_exported_at_the_end(config, tmp_path, provider):
    call = ("c1", "local__weather", '{"city": "a secret city"}')
    model = provider.model(in_turn(says(None, call, finish="tool_calls"), says("Cold")))
    server = {"command": sys.executable, "args": [str(TOOL_SERVER), str(tmp_path)]}
    async with collecting() as collector:
        tracing = {"diagnostics": {"otel": {"enabled": True, "endpoint": collector.url}}}
        async with (
            serving(tmp_path, config | tracing | {"mcp": {"servers": {"local": server}}}) as gateway,
            aiohttp.ClientSession(gateway.url) as client,
        ):
            await without_degraded_parts(client)
            await post(client, model)
            gateway.process.signal(signal.SIGTERM)
            assert await gateway.process.ended() == 0
        spans = collector.spans
        (run,), (tool,) = named(spans, "invoke_agent main"), named(spans, "execute_tool local__weather")
        before, after = sorted((span for span in spans if span.kind == 3), key=lambda span: span.start)
        assert len(spans) == 5
        assert {span.parent for span in (before, tool, after)} == {run.id}
        assert before.end <= tool.start <= tool.end <= after.start + 1  # nanosecond, by rounding
        assert tool.attributes["openclaw.tool.outcome"] == "answered"
        for secret in (b"secret plan", b"secret city", TOKEN.encode(), b"Cold"):
            assert not any(secret in body for body in collector.bodies)


async def test_each_worker_exports_its_own_traces(config, tmp_path, provider):
    model = provider.model(says("Hello"))
    async with collecting() as collector, redis_server(tmp_path) as redis:
        config = config | {
            "gateway": config["gateway"] | {"redis": {"url": redis.url}},
            "diagnostics": {"otel": {"enabled": True, "endpoint": collector.url}},
        }
        async with serving(tmp_path, config, "--workers", "2") as gateway:
            for _ in range(30):
                async with aiohttp.ClientSession(gateway.url) as client:
                    await post(client, model)
            gateway.process.signal(signal.SIGTERM)
            assert await gateway.process.ended() == 0
        assert len(named(collector.spans, "POST /v1/chat/completions")) == 30
        assert len(collector.spans) == 90
        assert len({span.id for span in collector.spans}) == 90
        assert len({span.resource["service.instance.id"] for span in collector.spans}) == 2


async def test_a_reload_goes_on_with_the_traces_and_names_what_needs_a_restart(config, tmp_path, provider):
    model = provider.model(says("Hello"))
    async with collecting() as collector:
        tracing = {"diagnostics": {"otel": {"enabled": True, "endpoint": collector.url}}}
        async with serving(tmp_path, config | tracing) as gateway, aiohttp.ClientSession(gateway.url) as client:
            await post(client, model)
            assert model.asked[-1].headers.get("traceparent") is None
            await collector.received(3)
            changed = json.loads((tmp_path / "gateway.json5").read_text(encoding="utf-8"))
            changed["models"]["providers"]["fake"]["sendTraceContext"] = True
            changed["diagnostics"]["otel"]["sampleRate"] = 0.5
            other = tmp_path / "new"
            other.write_text(json.dumps(changed), encoding="utf-8")
            other.replace(tmp_path / "gateway.json5")
            gateway.process.signal(signal.SIGHUP)
            await gateway.process.wait_for_output("Configuration is reloaded")
            assert '"needs_restart":["diagnostics"]' in gateway.process.errors
            await post(client, model)
            attempt = named(await collector.received(6), f"chat {model.id}")[-1]
            assert model.asked[-1].headers["traceparent"] == f"00-{attempt.trace}-{attempt.id}-01"


async def test_a_dead_collector_is_logged_once_and_costs_no_request_anything(config, tmp_path, provider):
    model = provider.model(says("Hello"))
    tracing = {"diagnostics": {"otel": {"enabled": True, "endpoint": f"http://127.0.0.1:{free_port()}"}}}
    async with serving(tmp_path, config | tracing) as gateway, aiohttp.ClientSession(gateway.url) as client:
        for _ in range(50):
            await post(client, model)
        gateway.process.signal(signal.SIGTERM)
        began = time.monotonic()
        assert await gateway.process.ended() == 0
        assert time.monotonic() - began < 10
    lines = [json.loads(line) for line in gateway.process.errors.splitlines()]
    warnings = [line["event"] for line in lines if line["level"] in ("warning", "error")]
    assert warnings.count(LOST) <= 1
    assert [event for event in warnings if event != LOST] == ["Spans are lost: the collector did not take them"]
    (lost,) = (line["spans"] for line in lines if "spans" in line)
    assert lost == 150
