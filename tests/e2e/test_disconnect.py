import asyncio
import json

import pytest

from tests.e2e.answers import chunk, does, hangs, streams
from tests.e2e.conftest import TOKEN

pytestmark = pytest.mark.asyncio(loop_scope="module")

CHAT = "/v1/chat/completions"
HI = {"messages": [{"role": "user", "content": "hi"}]}
RESPONSE = {"model": "openclaw", "input": "hi"}
AT_ONCE = 1.0  # seconds, on a busy machine
HELLO = chunk({"content": "Hello"})

WAITING = {
    "a whole answer": (CHAT, HI),
    "the first event": (CHAT, HI | {"stream": True}),
    "a whole response": ("/v1/responses", RESPONSE),
    "the first event of a response": ("/v1/responses", RESPONSE | {"stream": True}),
    "embeddings": ("/v1/embeddings", {"model": "openclaw", "input": "hi"}),
}


@pytest.fixture(scope="module")
def config(config):
    config["gateway"]["stream"]["openingHeartbeatMs"] = 100
    return config


async def calling(gateway, model, path, body):
    """A client connection whose request has reached the provider."""
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    payload = json.dumps(body).encode()
    head = [f"POST {path} HTTP/1.1", "Host: gateway", f"Authorization: Bearer {TOKEN}"]
    head += [f"x-openclaw-model: {model.chosen['x-openclaw-model']}", f"Content-Length: {len(payload)}", "", ""]
    writer.write("\r\n".join(head).encode() + payload)
    async with asyncio.timeout(10):
        await model.arrived.wait()
    return reader, writer


async def abandoned(provider, model):
    """The provider's request is aborted at once, and no connection to the provider is open."""
    async with asyncio.timeout(AT_ONCE):
        await model.abandoned.wait()
    assert provider.open_connections == 0


@pytest.mark.parametrize("name", WAITING)
async def test_a_disconnect_before_the_answer_aborts_the_request_to_the_provider(gateway, provider, name):
    model = provider.model(does(hangs))
    _, writer = await calling(gateway, model, *WAITING[name])
    assert provider.open_connections == 1
    writer.close()
    await abandoned(provider, model)


@pytest.mark.parametrize("name", ["a whole answer", "the first event"])
async def test_a_broken_client_connection_aborts_the_request_to_the_provider(gateway, provider, name):
    model = provider.model(does(hangs))
    _, writer = await calling(gateway, model, *WAITING[name])
    writer.transport.abort()
    await abandoned(provider, model)


async def test_a_disconnect_after_a_heartbeat_aborts_the_request_to_the_provider(gateway, provider):
    model = provider.model(streams(then=hangs))
    reader, writer = await calling(gateway, model, CHAT, HI | {"stream": True})
    async with asyncio.timeout(10):
        await reader.readuntil(b": waiting for the model\n\n")
    writer.close()
    await abandoned(provider, model)


@pytest.mark.parametrize("path", [CHAT, "/v1/responses"])
async def test_a_disconnect_within_a_stream_aborts_the_request_to_the_provider(gateway, provider, path):
    model = provider.model(streams(HELLO, then=hangs))
    body = HI if path == CHAT else RESPONSE
    reader, writer = await calling(gateway, model, path, body | {"stream": True})
    async with asyncio.timeout(10):
        await reader.readuntil(b"Hello")
    writer.close()
    await abandoned(provider, model)


async def test_a_client_that_stops_reading_slows_the_provider_and_its_disconnect_aborts_the_request(gateway, provider):
    stuck = asyncio.Event()

    async def floods(request):
        # Written without waiting, so data that the gateway does not read accumulates here.
        while request.transport.get_write_buffer_size() < 2**23:
            request.transport.write(b"%x\r\n%b\r\n" % (len(flood), flood))
            await asyncio.sleep(0)
        stuck.set()
        await hangs(request)

    flood = chunk({"content": "x" * 100_000})
    model = provider.model(streams(HELLO, then=floods))
    reader, writer = await calling(gateway, model, CHAT, HI | {"stream": True})
    async with asyncio.timeout(10):
        await reader.readuntil(b"Hello")
        writer.transport.pause_reading()
        await stuck.wait()
    writer.transport.abort()
    await abandoned(provider, model)


async def test_the_gateway_serves_requests_after_many_disconnects(gateway, client, provider):
    models = [provider.model(does(hangs)) for _ in range(30)]
    calls = await asyncio.gather(*(calling(gateway, model, CHAT, HI) for model in models))
    assert provider.open_connections == 30
    for _, writer in calls:
        writer.close()
    await asyncio.gather(*(asyncio.wait_for(model.abandoned.wait(), AT_ONCE * 2) for model in models))
    assert provider.open_connections == 0
    async with client.get("/v1/models") as response:
        assert response.status == 200
