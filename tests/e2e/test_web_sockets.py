"""WebSockets of real clients: through nginx as it is deployed, and at the end of a gateway process."""

import asyncio
import signal

import aiohttp
import pytest
import pytest_asyncio

from tests.e2e.answers import chunk, does, hangs, says, streams
from tests.e2e.conftest import TOKEN
from tests.e2e.process import serving
from tests.e2e.provider import KEY
from tests.e2e.stack import stack
from tests.process import MAX_WAIT

pytestmark = pytest.mark.asyncio(loop_scope="module")

CREATE = {"type": "response.create", "model": "openclaw", "input": "hi"}
ENDS = ("error", "response.completed", "response.failed")
MiB = 2**20


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def deployed(provider, tmp_path_factory):
    more = {
        "gateway": {"drain": {"noticeMs": 0}, "retry": {"maxRetries": 0}},
        "agents": {"defaults": {"model": {"primary": "fake/unscripted"}}, "entries": {"main": {}}},
        "models": {"mode": "replace", "providers": {"fake": {"baseUrl": provider.url, "apiKey": KEY}}},
    }
    async with stack(tmp_path_factory.mktemp("stack"), more) as ready:
        yield ready


@pytest_asyncio.fixture(loop_scope="module")
async def client(deployed):
    async with deployed.client("203.0.113.1") as session:
        yield session


async def last_event(socket, **fields):
    await socket.send_json({**CREATE, **fields})
    return await end(socket)


async def end(socket):
    async with asyncio.timeout(MAX_WAIT):
        while (event := await socket.receive_json())["type"] not in ENDS:
            pass
    return event


async def test_a_conversation_goes_through_nginx(client, provider):
    model = provider.model(says("Hello"))
    async with client.ws_connect("/v1/responses", headers=model.chosen, max_msg_size=0) as socket:
        first = await last_event(socket, store=False)
        assert first["response"]["output"][0]["content"][0]["text"] == "Hello"
        second = await last_event(socket, store=False, previous_response_id=first["response"]["id"])
        assert second["type"] == "response.completed"
        large = await last_event(socket, input="x" * (8 * MiB), store=False)
        assert large["type"] == "response.completed"
    assert len(model.asked[1].body["messages"]) == 3


async def test_a_stored_response_continues_on_any_instance(client, provider):
    model = provider.model(says("Hello"))
    async with client.ws_connect("/v1/responses", headers=model.chosen) as socket:
        previous, instances = (await last_event(socket))["response"]["id"], set()
    for _ in range(6):
        async with client.ws_connect("/v1/responses", headers=model.chosen) as socket:
            instances.add(socket._response.headers["X-Request-ID"][:20])
            previous = (await last_event(socket, previous_response_id=previous))["response"]["id"]
    assert len(instances) == 3
    assert len(model.asked[-1].body["messages"]) == 13


async def test_a_handshake_is_refused_through_nginx(deployed):
    async with deployed.client("203.0.113.7", token="wrong") as client:
        with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
            await client.ws_connect("/v1/responses")
    assert caught.value.status == 401


async def test_other_upgrades_do_not_pass_nginx(client, provider):
    model = provider.model(says("Hello"))
    headers = {"Upgrade": "h2c", "Connection": "Upgrade, HTTP2-Settings", "HTTP2-Settings": "AAMAAABkAAQAAP__"}
    body = {"model": "openclaw", "input": "hi"}
    async with client.post("/v1/responses", json=body, headers={**headers, **model.chosen}) as response:
        assert response.status == 200
    sent = {name.lower(): value for name, value in model.asked[0].headers.items()}
    assert "upgrade" not in sent


async def test_a_client_that_leaves_behind_nginx_stops_its_run(client, provider):
    model = provider.model(streams(chunk({"content": "Hel"}), then=hangs))
    async with client.ws_connect("/v1/responses", headers=model.chosen) as socket:
        await socket.send_json(CREATE)
        async with asyncio.timeout(MAX_WAIT):
            while (await socket.receive_json())["type"] != "response.output_text.delta":
                pass
    await asyncio.wait_for(model.abandoned.wait(), MAX_WAIT)


@pytest_asyncio.fixture(loop_scope="module")
async def draining(config, tmp_path):
    """A gateway with a second for running answers after the signal, and a client."""
    settings = config | {"gateway": config["gateway"] | {"drain": {"noticeMs": 0, "timeoutMs": 1000}}}
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with serving(tmp_path, settings) as gateway, aiohttp.ClientSession(gateway.url, headers=headers) as session:
        yield gateway, session


async def test_the_end_of_a_process_is_an_honest_end_of_its_websockets(draining, provider):
    gateway, client = draining
    endless = provider.model(streams(chunk({"content": "Hel"}), then=hangs))
    silent = provider.model(does(hangs))
    idle = await client.ws_connect("/v1/responses")
    sockets = [await client.ws_connect("/v1/responses", headers=model.chosen) for model in (endless, silent)]
    for socket in sockets:
        await socket.send_json(CREATE)
    for model in (endless, silent):
        await asyncio.wait_for(model.arrived.wait(), MAX_WAIT)
    gateway.process.signal(signal.SIGTERM)
    async with asyncio.timeout(MAX_WAIT):
        assert (await idle.receive()).type is aiohttp.WSMsgType.CLOSE
    assert idle.close_code == aiohttp.WSCloseCode.GOING_AWAY
    failed, error = [await end(socket) for socket in sockets]
    assert (failed["type"], "stopping" in failed["response"]["error"]["message"]) == ("response.failed", True)
    assert (error["type"], error["status"], error["error"]["code"]) == ("error", 503, "unavailable")
    async with asyncio.timeout(MAX_WAIT):
        for socket in sockets:
            assert (await socket.receive()).type is aiohttp.WSMsgType.CLOSE
            assert socket.close_code == aiohttp.WSCloseCode.GOING_AWAY
    await gateway.process.ended(MAX_WAIT)
    await asyncio.wait_for(endless.abandoned.wait(), MAX_WAIT)
    assert "Traceback" not in gateway.process.errors
