"""Cooldowns, probes and keys: runs use what earlier runs learnt, and no client harms another."""

import asyncio
import json
import ssl
import time
from pathlib import Path

import pytest
import pytest_asyncio

from tests.fault.acts import closes, cuts, hangs, later, refuses, says, sends
from tests.fault.canonical import TEXT
from tests.fault.conftest import BACKOFF, CONNECT, COOLDOWN, LIMIT, SLACK, TIMER_DELAY
from tests.fault.provider import FaultProvider
from tests.process import free_port

pytestmark = pytest.mark.asyncio(loop_scope="module")

AGENTS = (
    "reused",
    "outage",
    "recovery",
    "stampede",
    "silent",
    "override",
    "limited",
    "deep",
    "trace",
    "all",
    "poison",
    "hanging",
)
HALF_HEAD = sends(b"HTTP/1.1 200 OK\r\n", then=closes)
KEYS = ("key-one-of-the-fault-tests", "key-two-of-the-fault-tests", "key-three-of-the-fault-tests")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def other(provider):
    """A second provider, independent of an outage of the first."""
    async with FaultProvider().serving() as ready:
        yield ready


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def untrusted():
    """A provider with an untrusted certificate."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(Path(__file__).with_name("untrusted.pem"))
    async with FaultProvider().serving(tls) as ready:
        yield ready


@pytest.fixture(scope="module")
def providers(providers, provider, other, untrusted):
    return providers | {
        "other": {"baseUrl": other.url, "apiKey": "key-of-the-other"},
        "untrusted": {"baseUrl": untrusted.url},
        "plain": {"baseUrl": provider.url.replace("http:", "https:")},
        "refusing": {"baseUrl": f"http://127.0.0.1:{free_port()}/v1"},
        "keyed": {"baseUrl": provider.url, "apiKey": KEYS[0], "apiKeys": KEYS[1:]},
    }


@pytest.fixture(scope="module")
def agents():
    chains = {name: [f"fake/{name}", f"other/{name}"] for name in AGENTS}
    chains |= {name: [f"{name}/x", f"other/{name}"] for name in ("untrusted", "plain", "refusing", "keyed")}
    chains |= {name: [f"fake/{name}"] for name in ("alone", "hinted")}
    return {name: {"model": {"primary": chain[0], "fallbacks": chain[1:]}} for name, chain in chains.items()}


async def ask(client, agent, status=200, **options):
    """The headers of an answer, or an error and its headers."""
    body = {"model": f"openclaw/{agent}", "messages": [{"role": "user", "content": "hi"}]}
    async with client.post("/v1/chat/completions", json=body, **options) as response:
        payload = json.loads(await response.read())
        assert response.status == status, payload
        if status != 200:
            return payload["error"], response.headers
        assert payload["choices"][0]["message"]["content"] == TEXT
        return response.headers


async def outage(client, agent):
    """Three runs fail at the first model, which opens its cooldown."""
    for _ in range(3):
        await ask(client, agent)


async def cooled_down(model):
    """Wait until the cooldown of this model is over."""
    end = model.calls[-1].at + COOLDOWN + TIMER_DELAY
    while asyncio.get_running_loop().time() < end:
        await asyncio.sleep(0.01)


@pytest.mark.parametrize(("name", "attempts"), [("untrusted", "2"), ("plain", "2"), ("refusing", "4")])
async def test_an_unreachable_provider_is_replaced_by_the_fallback(client, other, name, attempts):
    other.model(name, says())
    started = time.monotonic()
    headers = await ask(client, name)
    assert time.monotonic() - started < CONNECT + 3 * BACKOFF + SLACK
    assert headers["x-openclaw-model"] == f"other/{name}"
    assert headers["x-openclaw-attempts"] == attempts
    assert len(other.models[name].calls) == 1


async def test_during_a_cooldown_no_run_asks_until_one_probe(client, provider, other):
    first, second = provider.model("outage", refuses(503)), other.model("outage", says())
    await outage(client, "outage")
    for _ in range(5):
        await ask(client, "outage")
    assert (len(first.calls), len(second.calls)) == (9, 8)
    await cooled_down(first)
    await asyncio.gather(*(ask(client, "outage") for _ in range(20)))
    assert (len(first.calls), len(second.calls)) == (10, 28), "twenty at once made one probe, and it is not retried"


async def test_a_recovered_model_is_used_again(client, provider, other):
    first, second = provider.model("recovery", *[refuses(503)] * 9, says()), other.model("recovery", says())
    await outage(client, "recovery")
    await cooled_down(first)
    for _ in range(3):
        await ask(client, "recovery")
    assert (len(first.calls), len(second.calls)) == (12, 3)


async def test_during_a_slow_probe_other_runs_use_the_fallback(client, provider, other):
    first = provider.model("stampede", *[refuses(503)] * 9, later(LIMIT / 2, says()), says())
    second = other.model("stampede", says())
    await outage(client, "stampede")
    await cooled_down(first)
    started = time.monotonic()
    probe = asyncio.create_task(ask(client, "stampede"))
    first.arrived.clear()
    await first.arrived.wait()
    await asyncio.gather(*(ask(client, "stampede") for _ in range(20)))
    assert time.monotonic() - started < LIMIT / 2 + SLACK
    assert (await probe)["x-openclaw-model"] == "fake/stampede"
    assert (len(first.calls), len(second.calls)) == (10, 23)


async def test_a_silent_model_costs_three_clients_its_limit_and_no_other(client, provider, other):
    first, second = provider.model("silent", hangs), other.model("silent", says())
    await asyncio.gather(*(ask(client, "silent") for _ in range(3)))
    started = time.monotonic()
    await asyncio.gather(*(ask(client, "silent") for _ in range(10)))
    assert time.monotonic() - started < LIMIT
    assert (len(first.calls), len(second.calls)) == (3, 13)


MISTAKES = {
    "unknown": refuses(404, code="model_not_found"),
    "odd": refuses(400),
    "long": refuses(413, "too many tokens"),
}


@pytest.mark.parametrize("name", MISTAKES)
async def test_an_invalid_model_of_one_caller_opens_no_cooldown(client, provider, other, name):
    first, second = provider.model("override", says()), other.model("override", says())
    wrong = provider.model(name, MISTAKES[name])
    status = {"unknown": 404, "odd": 400, "long": 413}[name]
    for _ in range(10):
        await ask(client, "override", status, headers={"x-openclaw-model": f"fake/{name}"})
    assert len(wrong.calls) == 10, "the model itself does not rest either"
    await ask(client, "override")
    assert (len(first.calls), len(second.calls)) == (1, 0)


async def test_a_key_that_is_refused_for_one_model_serves_the_others(client, provider, other):
    first, forbidden = provider.model("deep", says()), provider.model("forbidden", refuses(401, "not for you"))
    other.model("deep", says())
    for _ in range(3):
        error, _ = await ask(client, "deep", 502, headers={"x-openclaw-model": "fake/forbidden"})
        assert error["type"] == "upstream_auth_error"
    assert len(forbidden.calls) == 3, "a run without an alternative gets the error of the provider"
    assert (await ask(client, "deep"))["x-openclaw-model"] == "fake/deep"
    assert len(first.calls) == 1


async def test_keys_are_used_in_turn_and_a_refused_one_cools_down(client, provider, other):
    async def particular(call):
        await (refuses(401, f"bad key {call.key}") if call.key == KEYS[1] else says())(call)

    first, second = provider.model("x", particular), other.model("keyed", says())
    for _ in range(9):
        await ask(client, "keyed")
    used = [call.key for call in first.calls]
    assert used.count(KEYS[1]) == 2
    assert min(used.count(KEYS[0]), used.count(KEYS[2])) >= 3
    assert len(second.calls) == 0


async def test_without_a_fallback_a_cooldown_refuses_nobody(client, provider):
    model = provider.model("alone", *[cuts] * 9, says())
    for _ in range(3):
        await ask(client, "alone", 502)
    headers = await ask(client, "alone")
    assert headers["x-openclaw-attempts"] == "1"
    assert "backoff;dur=" not in headers["Server-Timing"]
    assert len(model.calls) == 10


async def test_without_a_fallback_a_run_obeys_retry_after(client, provider):
    model = provider.model("hinted", refuses(429, headers="Retry-After: 1\r\n"), says())
    first = asyncio.create_task(ask(client, "hinted"))
    await model.arrived.wait()
    await asyncio.sleep(0.1)
    started = time.monotonic()
    headers = await ask(client, "hinted")
    assert 0.5 < time.monotonic() - started < 1.0 + SLACK
    assert "backoff;dur=" in headers["Server-Timing"]
    await first
    assert len(model.calls) == 3


async def test_while_all_providers_ask_to_wait_no_candidate_is_asked_and_the_client_gets_429(client, provider, other):
    hour = refuses(429, "org-of-another-client is over its limit", headers="Retry-After: 300\r\n")
    first, second = provider.model("all", hour), other.model("all", hour)
    await ask(client, "all", 429)
    error, headers = await ask(client, "all", 429)
    assert error["type"] == "upstream_rate_limited"
    assert "was not asked" in error["message"]
    assert "another-client" not in error["message"]
    assert 290 <= int(headers["Retry-After"]) <= 300
    assert (len(first.calls), len(second.calls)) == (1, 1)


TIMED_OUT = sends(b"HTTP/1.1 408 Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", then=closes)


@pytest.mark.parametrize("stale", [closes, cuts, TIMED_OUT], ids=["closed", "reset", "408"])
async def test_a_stale_connection_is_replaced_at_once_and_counted(client, provider, stale):
    model = provider.model("reused", says(), stale, says())
    await ask(client, "reused")
    headers = await ask(client, "reused")
    assert headers["x-openclaw-attempts"] == "2"
    assert "backoff;dur=" not in headers["Server-Timing"]
    assert len(model.calls) == 3
    assert model.calls[1].body == model.calls[2].body


async def closes_at_once(call):
    await says()(call)
    call.finish()


async def ends_idle_connections(call):
    """An unsolicited 408 at about the moment when the connection is reused."""
    await says()(call)
    await asyncio.sleep(0.001)
    await call.send(b"HTTP/1.1 408 Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
    call.finish()


@pytest.mark.parametrize("act", [closes_at_once, ends_idle_connections])
async def test_a_provider_that_closes_idle_connections_fails_no_request_under_load(client, provider, act):
    provider.model("alone", act)

    async def several():
        for _ in range(6):
            headers = await ask(client, "alone")
            attempts.append(int(headers["x-openclaw-attempts"]))
            assert "backoff;dur=" not in headers["Server-Timing"]

    attempts = []
    await asyncio.gather(*(several() for _ in range(20)))
    assert len(attempts) == 120
    assert max(attempts) <= 2


async def test_few_of_many_clients_wait_for_a_silent_model_before_it_cools_down(client, provider, other):
    first, second = provider.model("hanging", hangs), other.model("hanging", says())
    started = time.monotonic()
    took = []

    async def one():
        began = time.monotonic()
        await ask(client, "hanging")
        took.append(time.monotonic() - began)

    async with asyncio.TaskGroup() as group:
        while time.monotonic() - started < 3.0:
            group.create_task(one())
            await asyncio.sleep(0.05)
    early = LIMIT / 0.05  # sent before the first one could have failed
    assert len(second.calls) == len(took)
    assert len(first.calls) < early + 10, "then a probe now and then"
    assert max(took) < LIMIT + TIMER_DELAY + SLACK


async def test_a_provider_that_resets_every_request_gets_three_per_answer_and_all_are_in_the_trace(
    client, provider, other
):
    first, second = provider.model("poison", says()), other.model("poison", says())
    await ask(client, "poison")  # leaves a reusable connection
    first.acts[:] = [cuts]
    headers = await ask(client, "poison", headers={"X-Request-ID": "poisoned"})
    assert (len(first.calls) - 1, len(second.calls)) == (3, 1)
    assert headers["x-openclaw-attempts"] == "4"
    async with client.get("/api/v1/runs/poisoned") as response:
        attempts = (await response.json())["attempts"]
    assert [one["outcome"] for one in attempts] == ["stale_connection", "transport", "transport", "answered"]


async def test_a_reused_connection_that_breaks_within_an_answer_is_a_failed_attempt(client, provider):
    model = provider.model("reused", says(), HALF_HEAD, says())
    await ask(client, "reused")
    headers = await ask(client, "reused")
    assert headers["x-openclaw-attempts"] == "2"
    assert len(model.calls) == 3


async def test_a_run_has_a_trace_for_operators_and_in_the_log(gateway, client, provider, other):
    provider.model("trace", refuses(429, headers="retry-after-ms: 100\r\n"), HALF_HEAD, refuses(500, f"key {KEYS[0]}"))
    other.model("trace", says())
    await ask(client, "trace", headers={"X-Request-ID": "trace/of:one@run=1"})
    async with client.get("/api/v1/runs/trace/of:one@run=1") as response:
        assert (response.status, response.headers["Cache-Control"]) == (200, "no-store")
        trace = await response.json()
    assert (trace["request_id"], trace["agent"], trace["outcome"]) == ("trace/of:one@run=1", "trace", "answered")
    assert [(one["model"], one["status"], one["outcome"], one["key_id"]) for one in trace["attempts"]] == [
        ("fake/trace", 429, "rate_limited", "apiKey"),
        ("fake/trace", None, "transport", "apiKey"),
        ("fake/trace", 500, "server_error", "apiKey"),
        ("other/trace", 200, "answered", "apiKey"),
    ]
    assert trace["attempts"][1]["waited"] >= 0.1
    lines = [json.loads(line) for line in gateway.process.errors.splitlines() if '"event":"Run ended"' in line]
    (line,) = (line for line in lines if line["request_id"] == "trace/of:one@run=1")
    assert line["attempts"] == trace["attempts"]
    assert all(secret not in gateway.process.errors for secret in (*KEYS, "key-of-the-other", TEXT[:20]))


async def test_an_unknown_run_is_a_404_and_needs_authentication(client, gateway):
    async with client.get("/api/v1/runs/nobody") as response:
        assert (response.status, (await response.json())["error"]["code"]) == (404, "run_not_found")
    async with client.get("/api/v1/runs/nobody", headers={"Authorization": "Bearer wrong"}) as response:
        assert response.status == 401
