"""The effect of a stop signal on running requests and new connections."""

import asyncio
import json
import signal

import aiohttp
import pytest

from tests.e2e.answers import DONE, SEEN, chunk, does, hangs, says, streams
from tests.e2e.conftest import TOKEN
from tests.e2e.process import serving

HI = [{"role": "user", "content": "hi"}]
LONG = 60_000  # milliseconds, longer than any test


@pytest.fixture
def start(config, tmp_path):
    """Start a gateway with these limits: `async with start(noticeMs=…, timeoutMs=…) as (gateway, client)`."""

    class Started:
        def __init__(self, **drain):
            settings = config | {"gateway": config["gateway"] | {"drain": drain}}
            self.serving = serving(tmp_path, settings)

        async def __aenter__(self):
            gateway = await self.serving.__aenter__()
            self.client = aiohttp.ClientSession(gateway.url, headers={"Authorization": f"Bearer {TOKEN}"})
            return gateway, self.client

        async def __aexit__(self, *exc_info):
            await self.client.close()
            await self.serving.__aexit__(*exc_info)

    return Started


pytestmark = pytest.mark.asyncio(loop_scope="module")


def asked(client, model, path="/v1/chat/completions", **fields):
    input_field = {"messages": HI} if path.endswith("completions") else {"input": "hi"}
    return client.post(path, json={"model": "openclaw", **input_field, **fields}, headers=model.chosen)


async def readiness(client) -> tuple[int, dict]:
    async with client.get("/readyz") as response:
        return response.status, await response.json()


async def draining(client) -> None:
    """Wait until readiness reports the drain."""
    async with asyncio.timeout(10):
        while (await readiness(client))[1]["failing"] != ["draining"]:
            await asyncio.sleep(0.01)


async def refusing(gateway) -> None:
    """Wait until the port is closed."""
    async with asyncio.timeout(10):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
            except ConnectionRefusedError:
                return
            writer.close()
            await asyncio.sleep(0.01)


def events(text: str) -> list[str]:
    return [line.removeprefix("data: ") for line in text.splitlines() if line.startswith("data: ")]


async def test_readiness_fails_first_while_new_connections_are_still_served(start, provider):
    model = provider.model(says("Hello"))
    async with start(noticeMs=LONG) as (gateway, client):
        status, ready = await readiness(client)
        assert (status, ready["ready"], ready["failing"], ready["degraded"]) == (200, True, [], [])
        gateway.process.signal(signal.SIGTERM)
        await draining(client)
        status, ready = await readiness(client)
        assert (status, ready["ready"]) == (503, False)
        async with aiohttp.ClientSession(gateway.url, headers=client.headers) as new_client:
            async with asked(new_client, model) as response:
                assert response.status == 200
                assert response.headers["Connection"] == "close"
            async with new_client.get("/healthz") as response:
                assert response.status == 200
        gateway.process.signal(signal.SIGTERM)
        assert await gateway.process.ended() == 0


async def test_a_running_stream_is_finished_while_new_connections_are_refused(start, provider):
    model = provider.model(streams(chunk({"content": "Hel"}), SEEN, chunk({"content": "lo"}), chunk({}, "stop"), DONE))
    async with start(noticeMs=0, timeoutMs=LONG) as (gateway, client), asked(client, model, stream=True) as response:
        await response.content.readuntil(b"Hel")
        gateway.process.signal(signal.SIGTERM)
        await refusing(gateway)
        model.seen.set()
        payloads = events(await response.text())
        assert payloads[-1] == "[DONE]"
        assert json.loads(payloads[-2])["choices"][0]["finish_reason"] == "stop"
        assert await gateway.process.ended() == 0
    assert "Traceback" not in gateway.process.errors


async def test_requests_beyond_the_drain_limit_get_an_error_and_are_cancelled_at_the_provider(start, provider):
    streaming = provider.model(streams(chunk({"content": "Hel"}), then=hangs))
    unanswered = provider.model(does(hangs))
    unopened = provider.model(does(hangs))
    failed = provider.model(streams(chunk({"content": "Hel"}), then=hangs))
    async with start(noticeMs=0, timeoutMs=200) as (gateway, client):
        asking = [
            asyncio.create_task(asked(client, model, **fields).__aenter__())
            for model, fields in (
                (streaming, {"stream": True}),
                (unanswered, {}),
                (unopened, {"stream": True}),
                (failed, {"stream": True, "path": "/v1/responses"}),
            )
        ]
        for model in (streaming, unanswered, unopened, failed):
            await model.arrived.wait()
        broken, refused, unopened_stream, failed_response = asking
        await (await broken).content.readuntil(b"\n\n")
        await (await failed_response).content.readuntil(b"output_text.delta")
        gateway.process.signal(signal.SIGTERM)
        payloads = events(await (await broken).text())
        assert json.loads(payloads[-2])["error"]["type"] == "unavailable"
        assert payloads[-1] == "[DONE]"
        for response in (await refused, await unopened_stream):
            assert response.status == 503
            assert response.headers["Connection"] == "close"
            error = (await response.json())["error"]
            assert error["type"] == "unavailable"
            assert "stopping" in error["message"]
        last = json.loads(events(await (await failed_response).text())[-2])
        assert last["type"] == "response.failed"
        for model in (streaming, unanswered, unopened, failed):
            await asyncio.wait_for(model.abandoned.wait(), 10)
        assert await gateway.process.ended() == 0
    assert "Answers are cancelled" in gateway.process.errors
    assert "Traceback" not in gateway.process.errors


async def test_a_second_signal_ends_all_requests_at_once_with_errors(start, provider):
    model = provider.model(streams(chunk({"content": "Hel"}), then=hangs))
    async with start(noticeMs=LONG, timeoutMs=LONG) as (gateway, client), asked(client, model, stream=True) as response:
        await response.content.readuntil(b"\n\n")
        gateway.process.signal(signal.SIGTERM)
        await draining(client)
        gateway.process.signal(signal.SIGTERM)
        payloads = events(await response.text())
        assert json.loads(payloads[-2])["error"]["type"] == "unavailable"
        assert payloads[-1] == "[DONE]"
        assert await gateway.process.ended() == 0


async def test_an_interrupt_from_the_terminal_waits_for_no_proxy(start):
    async with start(noticeMs=LONG) as (gateway, _client):
        gateway.process.signal(signal.SIGINT)
        assert await gateway.process.ended() == 0


async def test_an_idle_connection_may_be_used_until_the_notice_is_over(start, provider):
    model = provider.model(says("Hello"))
    async with start(noticeMs=1000) as (gateway, client):
        # Waits for an answer, so the connection stays open.
        async with asked(client, model) as response:
            await response.read()
            assert "Connection" not in response.headers
        reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
        writer.write(b"GET /healthz HTTP/1.1\r\nHost: gateway\r\n\r\n")
        await reader.readuntil(b'"live"}')
        gateway.process.signal(signal.SIGTERM)
        await draining(client)
        writer.write(b"GET /healthz HTTP/1.1\r\nHost: gateway\r\n\r\n")
        answer = await reader.read()  # to the end: the gateway closes the connection after this answer
        assert answer.startswith(b"HTTP/1.1 200 ")
        assert b"Connection: close" in answer
        writer.close()
        assert await gateway.process.ended() == 0


async def test_a_connection_ends_with_the_stream_that_was_running_on_it_when_the_port_closed(start, provider):
    model = provider.model(streams(chunk({"content": "Hel"}), SEEN, chunk({}, "stop"), DONE))
    body = json.dumps({"model": "openclaw", "messages": HI, "stream": True}).encode()
    head = [
        "POST /v1/chat/completions HTTP/1.1",
        "Host: gateway",
        f"Authorization: Bearer {TOKEN}",
        f"Content-Length: {len(body)}",
        *(f"{name}: {value}" for name, value in model.chosen.items()),
    ]
    async with start(noticeMs=0, timeoutMs=LONG) as (gateway, _client):
        reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
        writer.write("\r\n".join([*head, "", ""]).encode() + body)
        assert b"Connection: close" not in await reader.readuntil(b"Hel")
        gateway.process.signal(signal.SIGTERM)
        await refusing(gateway)
        model.seen.set()
        remaining = await asyncio.wait_for(reader.read(), 30)
        assert remaining.endswith(b"data: [DONE]\n\n\r\n0\r\n\r\n")
        writer.close()
        assert await gateway.process.ended() == 0


async def test_a_background_run_is_finished_too(start, provider):
    model = provider.model(streams(chunk({"content": "Hel"}), SEEN, chunk({"content": "lo"}), chunk({}, "stop"), DONE))
    async with start(noticeMs=0, timeoutMs=LONG) as (gateway, client):
        async with asked(client, model, "/v1/responses", background=True) as response:
            created = await response.json()
            assert created["status"] in ("queued", "in_progress"), created
        await model.arrived.wait()
        gateway.process.signal(signal.SIGTERM)
        await refusing(gateway)
        model.seen.set()
        assert await gateway.process.ended() == 0
    async with start(noticeMs=0) as (gateway, client), client.get(f"/v1/responses/{created['id']}") as response:
        response_object = await response.json()
    assert response_object["status"] == "completed"
    assert response_object["output"][0]["content"][0]["text"] == "Hello"


async def test_signals_that_ask_for_nothing_end_nothing(start, provider):
    model = provider.model(streams(chunk({"content": "Hel"}), SEEN, chunk({"content": "lo"}), chunk({}, "stop"), DONE))
    async with start() as (gateway, client), asked(client, model, stream=True) as response:
        await response.content.readuntil(b"Hel")
        for name in ("SIGHUP", "SIGUSR1", "SIGUSR2", "SIGALRM", "SIGVTALRM", "SIGPROF", "SIGIO", "SIGPWR"):
            number = signal.Signals[name]
            gateway.process.signal(number)
            await gateway.process.wait_for_output(number.name)
        model.seen.set()
        assert events(await response.text())[-1] == "[DONE]"
        assert (await readiness(client))[0] == 200


async def test_sigquit_finishes_running_answers_like_sigterm(start, provider):
    model = provider.model(streams(chunk({"content": "Hel"}), SEEN, chunk({"content": "lo"}), chunk({}, "stop"), DONE))
    async with start(noticeMs=0, timeoutMs=LONG) as (gateway, client), asked(client, model, stream=True) as response:
        await response.content.readuntil(b"Hel")
        gateway.process.signal(signal.SIGQUIT)
        await refusing(gateway)
        model.seen.set()
        assert events(await response.text())[-1] == "[DONE]"
        assert await gateway.process.ended() == 0
