import asyncio
import random
import string

import pytest
from aiohttp import web

from tests.process import free_port
from tests.unit.http.metrics import scraped

CHAT = "/v1/chat/completions"
ASK = {"model": "openclaw", "messages": [{"role": "user", "content": "hi"}]}
REQUESTS = "openclaw_gateway_requests_total"
ATTEMPTS = "openclaw_gateway_upstream_attempts_total"
SMALL = {"provider": "fake", "model": "small"}


async def post(client, **more) -> int:
    async with client.post(CHAT, json=ASK | more) as response:
        await response.read()
        return response.status


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
async def test_an_answer_is_counted_once_with_its_tokens(client, provider, stream):
    provider.says("Hello| there")
    assert await post(client, stream=stream) == 200
    now = await scraped(client)
    route = {"endpoint": CHAT}
    assert now[REQUESTS, route | {"status": "2xx", "outcome": "completed"}] == now[REQUESTS, route] == 1
    assert now[ATTEMPTS, SMALL] == now[ATTEMPTS, SMALL | {"wire": "openai-completions", "outcome": "answered"}] == 1
    for name in ("request_duration", "first_byte", "overhead"):
        assert now[f"openclaw_gateway_{name}_seconds_count", route] == 1
    assert now["openclaw_gateway_overhead_seconds_sum"] < now["openclaw_gateway_request_duration_seconds_sum", route]
    assert now["openclaw_gateway_upstream_duration_seconds_count", SMALL] == 1
    assert now["openclaw_gateway_upstream_first_token_seconds_count", SMALL] == (1 if stream else 0)
    tokens = {"agent": "main", "channel": "webchat"} | SMALL
    assert now["openclaw_model_tokens_total", tokens | {"token_type": "input"}] == 11
    assert now["openclaw_model_tokens_total", tokens | {"token_type": "output"}] == 7
    assert now["openclaw_gateway_requests_in_flight", route] == 0
    assert now["openclaw_gateway_requests_in_flight", {"endpoint": "/metrics"}] == 1


async def test_a_failure_of_the_provider_is_counted_with_its_reason(client, provider):
    provider.refuses(500, "broken")
    assert await post(client) == 502
    now = await scraped(client)
    assert now[REQUESTS, {"endpoint": CHAT, "status": "5xx", "outcome": "failed"}] == 1
    assert now[ATTEMPTS, SMALL | {"outcome": "failed", "reason": "server_error"}] == now[ATTEMPTS, SMALL] == 1
    assert now["openclaw_gateway_overhead_seconds_count"] == 0


async def test_a_stream_that_ends_with_an_error_is_failed_whatever_its_status(client, provider):
    async def answer(request: web.Request) -> web.StreamResponse:
        return await provider.begins(request, {"content": "Hel"})

    provider.answer = answer
    assert await post(client, stream=True) == 200
    now = await scraped(client)
    assert now[REQUESTS, {"endpoint": CHAT, "status": "2xx", "outcome": "failed"}] == now[REQUESTS, {"endpoint": CHAT}]


async def test_a_client_that_leaves_is_cancelled_everywhere(client, provider):
    asked, left = provider.hangs()
    request = asyncio.create_task(post(client))
    await asked.wait()
    request.cancel()
    await left.wait()
    await asyncio.gather(request, return_exceptions=True)
    now = await scraped(client)
    assert now[REQUESTS, {"endpoint": CHAT, "status": "4xx", "outcome": "cancelled"}] == 1
    assert now[ATTEMPTS, SMALL | {"outcome": "cancelled"}] == now[ATTEMPTS, SMALL] == 1


async def test_a_request_error_is_refused(client):
    assert await post(client, messages=[]) == 400
    now = await scraped(client)
    assert now[REQUESTS, {"endpoint": CHAT, "status": "4xx", "outcome": "refused"}] == 1
    assert now[ATTEMPTS] == 0


async def test_wrong_secrets_are_counted_by_class_and_reason(client):
    for token, status in (("Bearer wrong", 401), ("", 401)):
        async with client.get("/metrics", headers={"Authorization": token}) as response:
            assert response.status == status
            assert "openclaw_gateway" not in await response.text()
    now = await scraped(client)
    failures = "openclaw_gateway_auth_failures_total"
    assert now[failures, {"class": "token", "reason": "wrong"}] == 1
    assert now[failures, {"reason": "missing"}] == 1
    assert now[failures] == 2


async def test_openclaws_own_path_is_the_same_page(client):
    async with client.get("/api/diagnostics/prometheus") as response:
        assert response.status == 200
        assert "openclaw_gateway_build_info" in await response.text()


async def test_the_state_of_the_process_is_shown(client):
    now = await scraped(client)
    assert now["openclaw_gateway_build_info"] == 1
    assert now["openclaw_gateway_draining"] == now["openclaw_gateway_locks_active"] == 0
    assert now["openclaw_gateway_circuit_open", SMALL] == 0
    assert now["process_resident_memory_bytes"] > 10_000_000
    assert now["process_cpu_seconds_total"] > 0
    assert "openclaw_gateway_redis_up" not in now.text


async def test_requests_can_not_add_series(client, provider):
    """Random paths, agents, models, session keys, channels and request ids, of an administrator too."""
    provider.says("Hello")
    chars = random.Random(15)  # noqa: S311  # no secret

    def word() -> str:
        return "".join(chars.choices(string.ascii_letters + string.digits, k=12))

    async def strange() -> None:
        async with client.post(
            CHAT,
            json=ASK | {"user": word()},
            headers={
                "x-openclaw-model": f"fake/{word()}",
                "x-openclaw-session-key": word(),
                "x-openclaw-message-channel": word(),
                "x-request-id": word(),
            },
        ) as response:
            assert response.status == 200
        for method, path in (("GET", f"/{word()}"), ("PURGE", CHAT), ("GET", f"/v1/models/openclaw%2F{word()}")):
            async with client.request(method, path) as response:
                assert response.status in (400, 404, 405)
        async with client.post(CHAT, json=ASK | {"model": f"openclaw/{word()}"}) as response:
            assert response.status == 400

    for _ in range(3):
        await strange()
    await scraped(client)  # its own series
    before = (await scraped(client)).series
    for _ in range(40):
        await strange()
    now = await scraped(client)
    assert now.series == before
    assert now[ATTEMPTS, {"provider": "fake", "model": "other"}] == 43
    assert now["openclaw_prometheus_series_dropped_total"] == 0


class TestFailover:
    @pytest.fixture
    def config(self, config):
        config["agents"]["defaults"]["model"] = {"primary": "fake/small", "fallbacks": ["fake/blind"]}
        config["gateway"]["stream"] = {"rescue": True}
        return config

    async def test_another_model_is_counted_under_openclaws_name(self, client, provider):
        async def answer(request: web.Request) -> web.StreamResponse:
            if provider.asked[-1]["model"] == "small":
                return web.json_response({"error": {"message": "no"}}, status=503)
            provider.says("Hello")
            return await provider.answer(request)

        provider.answer = answer
        assert await post(client) == 200
        now = await scraped(client)
        (labels,) = now.labels("openclaw_model_failover_total")
        assert labels == {
            "from_provider": "fake",
            "from_model": "small",
            "to_provider": "fake",
            "to_model": "blind",
            "reason": "overloaded",
            "lane": "main",
            "suspended": "false",
        }
        assert now["openclaw_gateway_rescues_total"] == 0

    async def test_a_rescue_is_counted_with_its_end(self, client, provider):
        async def answer(request: web.Request) -> web.StreamResponse:
            if provider.asked[-1]["model"] == "small":
                return await provider.begins(request, {"content": "Hel"})
            provider.says("Hello")
            return await provider.answer(request)

        provider.answer = answer
        assert await post(client, stream=True) == 200
        assert (await scraped(client))["openclaw_gateway_rescues_total", {"outcome": "answered"}] == 1


class TestOwnListener:
    @pytest.fixture
    def config(self, config):
        config["gateway"]["metrics"] = {"port": free_port()}
        return config

    async def test_it_asks_for_no_credential_and_shows_the_same(self, client, config):
        await post(client, messages=[])
        url = f"http://127.0.0.1:{config['gateway']['metrics']['port']}/metrics"
        async with client.session.get(url, headers={"Authorization": ""}) as response:
            assert response.status == 200
            assert f'{REQUESTS}{{endpoint="{CHAT}",status="4xx",outcome="refused"}} 1' in await response.text()

    async def test_a_web_page_can_not_read_it_through_dns_rebinding(self, client, config):
        url = f"http://127.0.0.1:{config['gateway']['metrics']['port']}/metrics"
        async with client.session.get(url, headers={"Host": "evil.example"}) as response:
            assert response.status == 403

    @pytest.mark.parametrize(
        ("start", "status"),
        [
            ("GET /metrics HTTP/1.1\r\nHost: localhost\r\n", 200),
            ("GET /nowhere HTTP/1.1\r\nHost: localhost\r\n", 404),
            ("GET /metrics HTTP/1.1\r\nHost: localhost\r\nX-Secret: " + "s3cret" * 20_000 + "\r\n", 431),
            ("GET /metrics HTTP/1.1\r\nHost: localhost\r\n" + "X: y\r\n" * 3_500, 431),
            ("GET /metrics HTTP/1.1\r\nHost: localhost\r\ns3cret\r\n", 400),
        ],
        ids=["good", "elsewhere", "a long line", "many lines", "no colon"],
    )
    @pytest.mark.usefixtures("client")
    async def test_no_request_without_a_credential_fills_the_log_or_learns_the_software(
        self, config, caplog, start, status
    ):
        reader, writer = await asyncio.open_connection("127.0.0.1", config["gateway"]["metrics"]["port"])
        writer.write(f"{start}Connection: close\r\n\r\n".encode())
        async with asyncio.timeout(10):
            answer = (await reader.read()).decode()
        writer.close()
        assert int(answer.split()[1]) == status
        assert not any(word in answer for word in ("s3cret", "Server:", "aiohttp"))
        assert [record for record in caplog.records if record.levelname == "ERROR"] == []


class TestDisabled:
    @pytest.fixture
    def config(self, config):
        config["gateway"]["metrics"] = {"enabled": False, "port": free_port()}
        return config

    async def test_there_is_no_page_and_no_listener(self, client, config):
        async with client.get("/metrics") as response:
            assert response.status == 404
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", config["gateway"]["metrics"]["port"])
