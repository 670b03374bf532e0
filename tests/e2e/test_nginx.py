"""Callers → nginx as it is deployed → three gateways that share one Redis."""

import asyncio
import io
import json
import signal

import pytest
import pytest_asyncio

from tests.e2e.answers import DONE, SEEN, chunk, does, hangs, refuses, says, streams
from tests.e2e.provider import KEY
from tests.e2e.stack import stack
from tests.process import MAX_WAIT

pytestmark = pytest.mark.asyncio(loop_scope="module")

CHAT = "/v1/chat/completions"
MiB = 2**20


def asking(text: str = "hi", **fields):
    return {"model": "openclaw", "messages": [{"role": "user", "content": text}], **fields}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def deployed(provider, tmp_path_factory):
    more = {
        "gateway": {"drain": {"noticeMs": 0}, "retry": {"maxRetries": 0}},
        "agents": {"defaults": {"model": {"primary": "fake/unscripted"}}, "entries": {"main": {}}},
        "models": {"mode": "replace", "providers": {"fake": {"baseUrl": provider.url, "apiKey": KEY}}},
    }
    more["gateway"]["auth"] = {
        "mode": "token",
        "token": "${OPENCLAW_GATEWAY_TOKEN}",
        "rateLimit": {"maxAttempts": 3},
    }
    async with stack(tmp_path_factory.mktemp("stack"), more) as ready:
        yield ready


@pytest_asyncio.fixture(loop_scope="module")
async def client(deployed):
    async with deployed.client("203.0.113.1") as session:
        yield session


async def who_answers(deployed, times: int) -> set[str]:
    """The processes that answer; their request ids have different prefixes."""
    instances = set()
    async with deployed.client("203.0.113.1") as client:
        for _ in range(times):
            async with client.get("/healthz") as response:
                assert response.status == 200
                instances.add(response.headers["x-request-id"][:20])
    return instances


async def finds(deployed, right) -> bool:
    return right(await who_answers(deployed, 30))


async def until(check, what: str) -> None:
    try:
        async with asyncio.timeout(MAX_WAIT):
            while not await check():
                await asyncio.sleep(0.05)
    except TimeoutError:
        raise AssertionError(f"still not: {what}") from None


async def test_all_gateways_get_requests(deployed):
    assert len(await who_answers(deployed, 30)) == 3


async def test_an_event_arrives_before_the_next_is_made(client, provider):
    model = provider.model(streams(chunk({"content": "Hel"}), SEEN, chunk({"content": "lo"}), chunk({}, "stop"), DONE))
    async with client.post(CHAT, json=asking(stream=True), headers=model.chosen) as response:
        assert response.headers["Content-Type"].startswith("text/event-stream")
        await response.content.readuntil(b'"Hel"')
        model.seen.set()
        assert (await response.text()).endswith("data: [DONE]\n\n")


@pytest.mark.parametrize("streamed", [True, False])
async def test_a_disconnect_aborts_the_request_to_the_provider(deployed, provider, streamed):
    answer = streams(chunk({"content": "Hel"}), then=hangs) if streamed else does(hangs)
    model = provider.model(answer)
    async with deployed.client("203.0.113.1") as client:
        asked = asyncio.create_task(client.post(CHAT, json=asking(stream=streamed), headers=model.chosen).__aenter__())
        await model.arrived.wait()
        if streamed:
            response = await asked
            await response.content.readuntil(b'"Hel"')
            response.close()
        asked.cancel()
    await asyncio.wait_for(model.abandoned.wait(), MAX_WAIT)


async def test_forwarded_headers_of_callers_have_no_effect(deployed, provider):
    model = provider.model(says("Hello"))
    victim = "198.51.100.7"
    lies = {
        "Forwarded": f"for={victim}",
        "X-Real-IP": victim,
        "X-Forwarded-Host": "evil.example",
        "X-Forwarded-User": "admin",
        "Tailscale-User-Login": "admin@example.com",
    }
    async with deployed.client("203.0.113.66", "wrong") as attacker:
        statuses = []
        for number in range(6):
            forwarded = {"X-Forwarded-For": f"{victim}, 192.0.2.{number}"}
            async with attacker.get("/v1/models", headers=lies | forwarded) as response:
                statuses.append(response.status)
    assert statuses == [401, 401, 401, 429, 429, 429]
    async with deployed.client("203.0.113.66") as attacker, attacker.get("/v1/models") as response:
        assert response.status == 429  # locked out on whichever gateway it is
    for number in range(6):
        async with deployed.client(victim, **lies) as other:
            forwarded = {"X-Forwarded-For": "203.0.113.66", "X-Forwarded-For-": str(number)}
            async with other.post(CHAT, json=asking(), headers=model.chosen | forwarded) as response:
                assert response.status == 200, await response.text()


async def test_a_body_up_to_the_gateways_limit_passes_and_larger_ones_get_its_error(client, provider):
    model = provider.model(says("Hello"))
    headers = model.chosen | {"Content-Type": "application/json"}

    def large(size: int) -> io.BytesIO:
        return io.BytesIO(json.dumps(asking("x" * size)).encode())

    async with client.post(CHAT, data=large(19 * MiB), headers=headers) as response:
        assert response.status == 200
    assert len(model.body["messages"][-1]["content"]) == 19 * MiB
    for size, by_the_gateway in ((21 * MiB, True), (26 * MiB, False)):
        async with client.post(CHAT, data=large(size), headers=headers) as response:
            assert response.status == 413
            assert ("x-request-id" in response.headers) is by_the_gateway
            error = (await response.json())["error"]
            assert (error["type"], error["message"]) == ("invalid_request_error", "Payload too large")


async def test_the_gateways_errors_are_the_ones_that_callers_see(deployed, client, provider):
    async with (
        deployed.client("203.0.113.2", "wrong") as unauthenticated,
        unauthenticated.get("/v1/models") as response,
    ):
        assert response.status == 401
        assert response.headers["WWW-Authenticate"] == "Bearer"
        assert (await response.json())["error"]["type"] == "unauthorized"
    for status, passed in ((500, 502), (503, 503), (429, 429)):
        model = provider.model(refuses(status, "the provider's own words"))
        async with client.post(CHAT, json=asking(), headers=model.chosen) as response:
            assert response.status == passed
            assert response.headers["x-request-id"]
            assert (await response.json())["error"]["type"].startswith("upstream_")


async def test_nginx_never_repeats_a_post_that_it_has_sent(deployed, client, provider):
    model = provider.model(does(hangs))
    asked = asyncio.create_task(client.post(CHAT, json=asking(), headers=model.chosen).__aenter__())
    await model.arrived.wait()
    for number in (1, 2, 3):
        deployed.gateways[deployed.address(number)].process.signal(signal.SIGKILL)
    response = await asked
    assert response.status == 503
    assert (await response.json())["error"]["type"] == "unavailable"
    for number in (1, 2, 3):
        await deployed.stop(number)
        await deployed.start(number)
    assert len(model.asked) == 1


async def test_while_a_gateway_is_down_the_others_get_its_requests(deployed, provider):
    model = provider.model(says("Hello"))
    await deployed.stop(2)
    try:
        for _ in range(20):
            async with (
                deployed.client("203.0.113.1") as client,
                client.post(CHAT, json=asking(), headers=model.chosen) as response,
            ):
                assert response.status == 200
        assert len(model.asked) == 20
    finally:
        await deployed.start(2)


async def test_gateways_that_come_and_go_are_found_without_a_reload(deployed):
    first = await who_answers(deployed, 30)
    await deployed.start(4)
    deployed.names.addresses.append(deployed.address(4))
    await until(lambda: finds(deployed, lambda instances: len(instances - first) == 1), "the new gateway gets requests")
    deployed.names.addresses.remove(deployed.address(4))
    await until(lambda: finds(deployed, lambda instances: instances == first), "the new gateway gets none any more")
    await deployed.stop(4)


async def test_without_any_gateway_nginx_answers_with_an_error_object(deployed, client):
    deployed.names.addresses = [deployed.address(250)]
    try:

        async def unavailable() -> bool:
            async with client.get("/v1/models?token=sk-of-a-query") as response:
                return response.status == 503

        await until(unavailable, "nginx knows of no gateway")
        async with client.get("/v1/models") as response:
            assert response.headers["Retry-After"] == "1"
            assert response.headers["Content-Type"].startswith("application/json")
            error = (await response.json())["error"]
            assert (error["type"], error["param"], error["code"]) == ("unavailable", None, None)
    finally:
        deployed.names.addresses = [deployed.address(number) for number in (1, 2, 3)]


async def test_the_log_of_requests_names_clients_and_no_secret(deployed, client):
    async with client.get("/v1/models?key=sk-secret") as response:
        await response.read()
    await deployed.nginx.wait_for_output('"path":"/v1/models"')
    lines = [json.loads(line) for line in deployed.nginx.output.splitlines() if '"path":"/v1/models"' in line]
    assert {"203.0.113.1", "203.0.113.66"} <= {line["client"] for line in lines}
    assert any("502" in line["upstream_status"] for line in lines), "a gateway that failed"
    for secret in ("sk-secret", "sk-of-a-query"):
        assert secret not in deployed.nginx.output + deployed.nginx.errors
