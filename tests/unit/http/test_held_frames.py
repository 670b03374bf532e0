"""A request leaves no frame behind: nothing of it waits for the garbage collector, however it ends."""

import asyncio
import gc
import io
import json
import sys
import types
from pathlib import Path

import pytest
from aiohttp import web

from gateway.core.errors import Unavailable
from gateway.http.keys import SERVICES, Trace
from gateway.http.server.web_socket import ClientSocket
from gateway.http.whole_response import WholeResponse
from tests.unit.conftest import TOOL_SERVER
from tests.unit.http.conftest import TOKEN

PACKAGE = f"{Path(sys.modules['gateway'].__file__).parent}/"
CHAT, RESPONSES, EMBEDDINGS = "/v1/chat/completions", "/v1/responses", "/v1/embeddings"
MESSAGES = "/v1/messages"
ASK = {"model": "openclaw", "messages": [{"role": "user", "content": "hi"}]}
INPUT = {"model": "openclaw", "input": "hi"}
REQUESTS = {
    "chat": (CHAT, ASK),
    "streamed chat": (CHAT, ASK | {"stream": True}),
    "conversation": (CHAT, ASK | {"user": "u"}),
    "streamed conversation": (CHAT, ASK | {"user": "u", "stream": True}),
    "response": (RESPONSES, INPUT),
    "streamed response": (RESPONSES, INPUT | {"stream": True}),
    "background response": (RESPONSES, INPUT | {"background": True}),
    "streamed background response": (RESPONSES, INPUT | {"background": True, "stream": True}),
    "message": (MESSAGES, ASK | {"max_tokens": 9}),
    "streamed message": (MESSAGES, ASK | {"max_tokens": 9, "stream": True}),
    "compaction": (f"{RESPONSES}/compact", INPUT),
    "embeddings": (EMBEDDINGS, INPUT),
}
WITH_ANSWER = [name for name in REQUESTS if name != "embeddings"]
# Only a collection frees aiohttp's connection that was closed in the middle of a body, with the small response to it.
OF_CONNECTIONS = (Trace, WholeResponse, ClientSocket)


class Watch:
    """Finds frames of the gateway that only the garbage collector can free."""

    def __init__(self):
        gc.collect()
        gc.freeze()  # what existed before is of no interest
        gc.disable()

    def held(self):
        """The lines of the gateway's code whose frames are held, and the gateway's objects."""
        gc.set_debug(gc.DEBUG_SAVEALL)
        try:
            gc.collect()
            return sorted({location for one in gc.garbage if (location := _location(one)) is not None})
        finally:
            gc.set_debug(0)
            gc.garbage.clear()


def _location(one):
    frame = one.tb_frame if isinstance(one, types.TracebackType) else one
    if type(one).__module__.startswith("gateway.") and not isinstance(one, OF_CONNECTIONS):
        return f"a {type(one).__qualname__}"
    if isinstance(frame, types.AsyncGeneratorType):
        frame = frame.ag_frame
    elif isinstance(frame, types.CoroutineType):
        frame = frame.cr_frame
    if not isinstance(frame, types.FrameType) or not frame.f_code.co_filename.startswith(PACKAGE):
        return None
    return f"{frame.f_code.co_filename.removeprefix(PACKAGE)}:{frame.f_lineno} {frame.f_code.co_qualname}"


@pytest.fixture(scope="module", autouse=True)
def unfrozen():
    """Until the last test of this file, the collector examines only what the tests made: that takes milliseconds."""
    yield
    gc.unfreeze()
    gc.collect()
    gc.freeze()  # as before


@pytest.fixture
def watch(client):
    """Begins when the client is ready."""
    watch = Watch()
    yield watch
    gc.enable()


async def ask(client, path, body):
    """Send a request and wait for its end, also in the background."""
    async with client.post(path, json=body) as response:
        content = await response.read()
    if body.get("background") and not body.get("stream"):
        url = f"{RESPONSES}/{json.loads(content)['id']}"
        async with asyncio.timeout(10):
            while (await (await client.get(url)).json())["status"] in ("queued", "in_progress"):
                await asyncio.sleep(0.005)
    return response.status


async def idle():
    """Let tasks that have ended be forgotten."""
    for _ in range(20):
        await asyncio.sleep(0)


def breaks(provider):
    async def answer(request):
        response = await provider.begins(request, {"content": "a"})
        request.transport.abort()
        return response

    provider.answer = answer


def talks_nonsense(provider):
    async def answer(_request):
        return web.Response(body=b"{nonsense", content_type="application/json")

    provider.answer = answer


def fails_once(provider):
    provider.says("Hello")
    answers = provider.answer

    async def answer(request):
        if len(provider.asked) % 2:
            return web.json_response({"error": {"message": "down"}}, status=500)
        return await answers(request)

    provider.answer = answer


FAULTS = {
    "refuses": lambda provider: provider.refuses(400, "This prompt is too long."),
    "fails": lambda provider: provider.refuses(500, "down"),
    "overflows": lambda provider: provider.refuses(400, "maximum context length is 10 tokens"),
    "breaks": breaks,
    "talks nonsense": talks_nonsense,
    "fails once": fails_once,
}


@pytest.fixture
def chain(request, config):
    """What follows a failed attempt. Tests name it before `client`."""
    config["memory"] = {"search": {"provider": "fake", "model": "small"}}
    gateway, model = config["gateway"], config["agents"]["defaults"]["model"]
    if request.param in ("retried", "rescued"):
        gateway["retry"] = {"maxRetries": 2, "backoffMs": 1}
    if request.param == "rescued":
        gateway["stream"] = {"rescue": True}
    if request.param in ("with a fallback", "hedged"):
        model["fallbacks"] = ["fake/blind"]
    if request.param == "hedged":
        gateway["retry"]["hedgeAfterMs"] = 1
    return request.param


FOLLOWED = ("retried", "with a fallback", "rescued", "hedged")


@pytest.mark.parametrize(
    ("chain", "failure"),
    [("alone", (name, fault)) for name in REQUESTS for fault in ("refuses", "breaks", "talks nonsense")]
    + [
        (chain, (name, fault))
        for chain in FOLLOWED
        for name in ("chat", "streamed conversation", "background response")
        for fault in ("fails", "overflows", "breaks", "fails once")
    ],
    indirect=["chain"],
)
async def test_a_failure_of_the_provider_holds_no_frame(chain, client, provider, watch, failure):
    request_name, fault = failure
    FAULTS[fault](provider)
    path, body = REQUESTS[request_name]
    for _ in range(2):
        await ask(client, path, body)
    await idle()
    assert watch.held() == []


async def left(client, path, body, arrived):
    """Send a request on a connection of its own, and close it when `arrived` is set."""
    payload = json.dumps(body).encode()
    reader, writer = await asyncio.open_connection(client.host, client.port)
    writer.write(
        f"POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\n"
        f"Content-Length: {len(payload)}\r\n\r\n".encode()
    )
    writer.write(payload)
    await arrived.wait()
    writer.close()
    del reader


@pytest.mark.parametrize("request_name", [name for name in WITH_ANSWER if "background" not in name])
async def test_a_client_that_disconnects_holds_no_frame(client, provider, watch, request_name):
    path, body = REQUESTS[request_name]
    for _ in range(2):
        asked, abandoned = provider.hangs()
        await left(client, path, body, asked)
        await abandoned.wait()
    await idle()
    assert watch.held() == []


async def test_a_run_that_is_cancelled_in_the_background_holds_no_frame(client, provider, watch):
    for _ in range(2):
        asked, abandoned = provider.hangs()
        async with client.post(RESPONSES, json=INPUT | {"background": True}) as response:
            name = (await response.json())["id"]
        await asked.wait()
        async with client.post(f"{RESPONSES}/{name}/cancel") as response:
            assert (await response.json())["status"] == "cancelled"
        await abandoned.wait()
    await idle()
    assert watch.held() == []


WRONG = {
    "not JSON": (CHAT, b"{nonsense", 400),
    "an integer without an end": (CHAT, b'{"messages":' + b"1" * 5000 + b"}", 400),
    "wrong fields": (CHAT, b'{"messages":[{"role":"user","content":7}]}', 400),
    "too large": (EMBEDDINGS, b'{"input":"' + b"x" * 6 * 2**20 + b'"}', 413),
    "a picture that is none": (
        CHAT,
        json.dumps(
            {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:,x"}}]}]}
        ).encode(),
        400,
    ),
    "a message with wrong fields": (MESSAGES, b'{"model":"openclaw","max_tokens":9,"messages":[{"role":"user"}]}', 400),
    "a count of wrong messages": (f"{MESSAGES}/count_tokens", b'{"model":"openclaw","messages":[{"role":"x"}]}', 400),
    "a count of a wrong input": (f"{RESPONSES}/input_tokens", b'{"model":"openclaw","input":[{"role":"x"}]}', 400),
    "an unknown item": (RESPONSES, b'{"model":"openclaw","input":[{"type":"item_reference","id":"msg_x"}]}', 404),
    "an unknown response": (RESPONSES, b'{"model":"openclaw","input":"hi","previous_response_id":"resp_x"}', 404),
}


@pytest.mark.parametrize("wrong", WRONG)
async def test_a_wrong_request_holds_no_frame(client, watch, wrong):
    path, content, status = WRONG[wrong]
    for _ in range(2):
        async with client.post(path, data=io.BytesIO(content)) as response:
            assert response.status == status, await response.text()
    await idle()
    assert watch.held() == []


@pytest.mark.parametrize("fault", ["refuses", "fails", "breaks", "talks nonsense"])
async def test_a_failed_response_of_a_websocket_holds_no_frame(client, provider, watch, fault):
    FAULTS[fault](provider)
    async with client.ws_connect(RESPONSES) as socket, asyncio.timeout(30):
        for _ in range(2):
            await socket.send_json(INPUT | {"type": "response.create"})
            while (await socket.receive_json())["type"] not in ("error", "response.failed"):
                pass
        await idle()
        assert watch.held() == []  # nor while the connection stays open


@pytest.mark.parametrize("waiting", [0, 2])
@pytest.mark.parametrize("leaves", ["closes", "aborts"])
async def test_a_client_of_a_websocket_that_leaves_holds_no_frame(client, provider, watch, leaves, waiting):
    for _ in range(2):
        asked, abandoned = provider.hangs()
        async with client.ws_connect(RESPONSES) as socket:
            for _ in range(waiting + 1):
                await socket.send_json(INPUT | {"type": "response.create"})
            await asked.wait()
            if leaves == "aborts":
                socket._response.connection.transport.abort()
        await abandoned.wait()
    async with asyncio.timeout(30):
        while any(task.get_coro().__qualname__.startswith("_Session.") for task in asyncio.all_tasks()):
            await asyncio.sleep(0.01)
    await idle()
    assert watch.held() == []


@pytest.mark.parametrize("case", [(name, says) for name in WITH_ANSWER for says in ("an answer", "a refusal")])
async def test_an_unavailable_store_holds_no_frame(client, provider, watch, monkeypatch, case):
    request_name, says = case
    stores = client.app[SERVICES].stores

    async def unavailable(*_arguments, **_options):
        raise Unavailable("The store is full.")

    provider.says("Hello") if says == "an answer" else provider.refuses(400, "no")
    for method in ("append", "release", "renew"):
        monkeypatch.setattr(stores.sessions, method, unavailable)
    monkeypatch.setattr(stores.responses, "put", unavailable)
    path, body = REQUESTS[request_name]
    for user in "ab":
        async with client.post(path, json=body | ({"user": user} if "user" in body else {})) as response:
            await response.read()
    await idle()
    assert watch.held() == []
    monkeypatch.undo()


async def test_an_error_of_the_gateway_holds_no_frame(client, provider, watch, monkeypatch):
    async def fails(*_arguments):
        raise ZeroDivisionError

    monkeypatch.setattr(client.app[SERVICES].stores.sessions, "acquire", fails)
    for _ in range(2):
        async with client.post(CHAT, json=ASK | {"user": "u"}) as response:
            assert response.status == 500
    await idle()
    assert watch.held() == []


TOOLS = ("weather", "fail", "hang", "unknown")


def fails_after(provider, tool):
    """Call this tool of the agent, and fail in the round that has its result."""
    arguments = {"weather": '{"city":"Oslo"}', "fail": '{"secret":"x"}'}.get(tool, "{}")
    provider.says(None, ("c1", f"far__{tool}", arguments), finish="tool_calls")
    calls = provider.answer

    async def answer(request):
        if provider.asked[-1]["messages"][-1]["role"] == "tool":
            return web.json_response({"error": {"message": "This prompt is too long."}}, status=400)
        return await calls(request)

    provider.answer = answer


class TestTools:
    @pytest.fixture
    def config(self, config, tool_server):
        config["mcp"] = {"servers": {"far": {"url": tool_server.url, "requestTimeoutMs": 300}}}
        return config

    @pytest.mark.parametrize("tool", TOOLS)
    @pytest.mark.parametrize("request_name", ["chat", "streamed conversation", "background response"])
    async def test_a_failure_in_a_later_round_holds_no_frame(self, client, provider, watch, request_name, tool):
        fails_after(provider, tool)
        path, body = REQUESTS[request_name]
        for _ in range(2):
            await ask(client, path, body)
        await idle()
        assert watch.held() == []


class TestStartedTools:
    @pytest.fixture
    def config(self, config, tmp_path):
        arguments = [str(TOOL_SERVER), str(tmp_path)]
        config["mcp"] = {"servers": {"far": {"command": sys.executable, "args": arguments, "requestTimeoutMs": 300}}}
        return config

    async def test_a_failure_in_a_later_round_holds_no_frame(self, client, provider, watch):
        for tool in TOOLS:
            fails_after(provider, tool)
            for request_name in ("chat", "streamed conversation", "background response"):
                await ask(client, *REQUESTS[request_name])
            await idle()
            assert watch.held() == [], tool
