import asyncio
import dataclasses
import gc
import json

import aiohttp
import pytest
from aiohttp import WSMsgType, web

from gateway.app import GENERATIONS
from gateway.http.endpoints.responses_socket import CONNECTION_LIMIT, _Session
from gateway.http.keys import CURRENT, DRAIN
from gateway.http.large_bodies import LARGE_BODIES
from gateway.http.server.web_socket import ClientSocket

CREATE = {"type": "response.create", "model": "openclaw", "input": "hi"}
WEATHER = {"type": "function", "name": "get_weather", "parameters": {"type": "object", "properties": {}}}
ENDS = ("error", "response.completed", "response.failed", "response.incomplete")
MiB = 2**20


def creating(**fields):
    return {**CREATE, **fields}


async def events_of(socket):
    """The events of one response, up to its end or an error."""
    events = []
    async with asyncio.timeout(10):
        while not events or events[-1]["type"] not in ENDS:
            events.append(await socket.receive_json())
    return events


async def last_event(socket, event):
    await socket.send_json(event)
    return (await events_of(socket))[-1]


async def close_of(socket):
    """The code with which the gateway closes the WebSocket."""
    async with asyncio.timeout(10):
        while (message := await socket.receive()).type not in (WSMsgType.CLOSE, WSMsgType.CLOSED):
            assert message.type is WSMsgType.TEXT
    return socket.close_code


async def nothing_reserved(client):
    async with asyncio.timeout(10):
        while client.app[LARGE_BODIES].used:
            await asyncio.sleep(0)


@pytest.fixture
async def socket(client):
    async with client.ws_connect("/v1/responses") as ready:
        yield ready


async def test_the_events_are_those_of_a_stream_over_http(client, socket, provider):
    provider.says("Hel|lo")
    await socket.send_json(CREATE)
    events = await events_of(socket)
    async with client.post("/v1/responses", json={"model": "openclaw", "input": "hi", "stream": True}) as response:
        text = await response.text()
    over_http = [json.loads(line[6:])["type"] for line in text.splitlines() if line.startswith("data: {")]
    assert [event["type"] for event in events] == over_http
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    assert events[-1]["response"]["output"][0]["content"][0]["text"] == "Hello"


async def test_responses_follow_one_after_the_other(socket, provider):
    provider.says("first")
    await socket.send_json(CREATE)
    await socket.send_json(CREATE)
    first, second = await events_of(socket), await events_of(socket)
    assert first[0]["type"] == second[0]["type"] == "response.created"
    assert first[-1]["response"]["id"] != second[-1]["response"]["id"]


async def test_fields_of_http_streams_have_no_effect(socket, provider):
    provider.says("Hello")
    event = creating(stream=False, stream_options={"include_obfuscation": False}, background=False)
    assert (await last_event(socket, event))["type"] == "response.completed"


@pytest.mark.parametrize("store", [False, True])
async def test_a_response_continues_on_its_own_websocket(socket, provider, store):
    provider.says("OK.")
    first = (await last_event(socket, creating(input="The word is cobalt.", store=store)))["response"]
    assert first["store"] is store
    second = await last_event(socket, creating(input="Which?", store=store, previous_response_id=first["id"]))
    assert second["response"]["previous_response_id"] == first["id"]
    third = await last_event(socket, creating(input="Why?", store=False, previous_response_id=second["response"]["id"]))
    assert third["type"] == "response.completed"
    asked = [message["content"] for message in provider.asked[2]["messages"]]
    assert asked == ["The word is cobalt.", "OK.", "Which?", "OK.", "Why?"]


async def test_a_response_that_is_not_stored_ends_with_its_websocket(client, socket, provider):
    provider.says("OK.")
    first = (await last_event(socket, creating(store=False)))["response"]
    continuing = {"model": "openclaw", "input": "more", "previous_response_id": first["id"]}
    async with client.ws_connect("/v1/responses") as other:
        error = await last_event(other, {"type": "response.create", **continuing})
    assert (error["type"], error["status"], error["error"]["param"]) == ("error", 404, "previous_response_id")
    assert error["error"]["code"] == "previous_response_not_found"
    async with client.post("/v1/responses", json=continuing) as response:
        assert response.status == 404


async def test_a_stored_response_continues_on_another_websocket_and_over_http(client, socket, provider):
    provider.says("OK.")
    first = (await last_event(socket, CREATE))["response"]
    async with client.ws_connect("/v1/responses") as other:
        second = (await last_event(other, creating(previous_response_id=first["id"])))["response"]
    continuing = {"model": "openclaw", "input": "more", "previous_response_id": second["id"]}
    async with client.post("/v1/responses", json=continuing) as response:
        assert response.status == 200
    assert len(provider.asked[2]["messages"]) == 5


async def test_a_failed_turn_ends_the_chain_that_it_continued(socket, provider):
    provider.says("OK.")
    first = (await last_event(socket, creating(store=False)))["response"]
    continuing = creating(store=False, previous_response_id=first["id"])
    provider.refuses(400, "too strange")
    assert (await last_event(socket, continuing))["status"] == 400
    provider.says("OK.")
    assert (await last_event(socket, continuing))["error"]["code"] == "previous_response_not_found"


async def test_a_turn_that_fails_in_its_answer_ends_the_chain_too(socket, provider):
    provider.says("OK.")
    first = (await last_event(socket, creating(store=False)))["response"]
    continuing = creating(store=False, previous_response_id=first["id"])

    async def breaks(request):
        response = await provider.begins(request, {"content": "Hel"})
        request.transport.close()
        return response

    provider.answer = breaks
    failed = await last_event(socket, continuing)
    assert (failed["type"], failed["response"]["status"]) == ("response.failed", "failed")
    assert failed["response"]["error"]["message"]
    provider.says("OK.")
    assert (await last_event(socket, continuing))["error"]["code"] == "previous_response_not_found"


async def test_a_result_without_its_call_is_refused_in_a_continued_conversation(client, provider):
    provider.says("OK.")
    async with client.post("/v1/responses", json={"model": "openclaw", "input": "hi"}) as response:
        first = await response.json()
    output = {"type": "function_call_output", "call_id": "call_missing", "output": "x"}
    body = {"model": "openclaw", "input": [output], "previous_response_id": first["id"]}
    async with client.post("/v1/responses", json=body) as response:
        error = (await response.json())["error"]
    assert (response.status, error["param"], error["code"]) == (400, "input", "tool_call_not_found")
    assert "call_missing" in error["message"]


async def test_a_result_follows_its_call_in_the_previous_response(socket, provider):
    provider.says(None, ("call_1", "get_weather", "{}"), finish="tool_calls")
    first = (await last_event(socket, creating(store=False, tools=[WEATHER])))["response"]
    output = {"type": "function_call_output", "call_id": "call_1", "output": "5C"}
    provider.says("Cold.")
    second = await last_event(
        socket, creating(store=False, tools=[WEATHER], input=[output], previous_response_id=first["id"])
    )
    assert second["type"] == "response.completed"
    assert [message["role"] for message in provider.asked[1]["messages"]] == ["user", "assistant", "tool"]


@pytest.mark.parametrize("store", [False, True])
async def test_an_event_can_prepare_a_conversation_without_an_answer(socket, provider, store):
    await socket.send_json(creating(input="The word is slate.", generate=False, store=store))
    events = await events_of(socket)
    assert [event["type"] for event in events] == ["response.created", "response.in_progress", "response.completed"]
    assert events[-1]["response"]["output"] == []
    assert not provider.asked
    provider.says("slate")
    prepared = events[-1]["response"]["id"]
    answer = await last_event(socket, creating(input="Which?", store=False, previous_response_id=prepared))
    assert answer["type"] == "response.completed"
    assert [message["content"] for message in provider.asked[0]["messages"]] == ["The word is slate.", "Which?"]


@pytest.mark.parametrize(
    ("event", "param", "code"),
    [
        ({"type": "response.cancel"}, "type", "unknown_event"),
        ({"model": "openclaw", "input": "hi"}, "type", "unknown_event"),
        (creating(background=True), "background", "invalid_request_error"),
        (creating(input=7), "input", "invalid_request_error"),
        (creating(temperature="hot"), "temperature", "invalid_type"),
        (creating(model="nobody-knows"), "model", "invalid_request_error"),
    ],
)
async def test_a_wrong_event_is_an_error_and_the_websocket_stays_open(socket, provider, event, param, code):
    error = await last_event(socket, event)
    assert (error["type"], error["status"], error["error"]["param"]) == ("error", 400, param)
    assert error["error"]["code"] == code
    provider.says("Hello")
    assert (await last_event(socket, CREATE))["type"] == "response.completed"


@pytest.mark.parametrize("sent", [b"{", b"[]", b"\xff\xfe", b'"text"', b""])
async def test_a_message_that_is_no_object_is_an_error(socket, sent):
    await socket.send_bytes(sent)
    (error,) = await events_of(socket)
    assert (error["type"], error["status"]) == ("error", 400)


async def test_an_error_has_the_headers_that_it_has_over_http(client, provider):
    async def answer(request):
        refusal = {"error": {"message": "slow down", "type": "x"}}
        return web.json_response(refusal, status=429, headers={"Retry-After": "77"})

    provider.answer = answer
    async with client.ws_connect("/v1/responses", headers={"X-Request-ID": "mine"}) as socket:
        error = await last_event(socket, CREATE)
        assert (error["status"], error["error"]["type"]) == (429, "upstream_rate_limited")
        assert error["headers"]["retry-after"] == "77"
        assert error["headers"]["x-request-id"] == "mine.1"


async def test_a_client_that_closes_stops_its_run(client, provider):
    asked, left = provider.hangs()
    async with client.ws_connect("/v1/responses") as socket:
        await socket.send_json(CREATE)
        async with asyncio.timeout(10):
            await asked.wait()
    async with asyncio.timeout(10):
        await left.wait()
    assert client.app[LARGE_BODIES].used == 0


async def test_a_lost_connection_stops_its_run(client, provider):
    asked, left = provider.hangs()
    socket = await client.ws_connect("/v1/responses")
    await socket.send_json(CREATE)
    async with asyncio.timeout(10):
        await asked.wait()
        socket._response.connection.transport.abort()
        await left.wait()


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Authorization": "Bearer wrong"}, 401),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
    ],
)
async def test_a_handshake_is_refused_like_a_request(client, headers, status):
    with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
        await client.ws_connect("/v1/responses", headers=headers)
    assert caught.value.status == status


async def test_a_page_of_the_gateway_itself_may_open_a_websocket(client, provider):
    provider.says("Hello")
    origin = str(client.make_url("/")).rstrip("/")
    async with client.ws_connect("/v1/responses", headers={"Origin": origin}) as socket:
        assert (await last_event(socket, CREATE))["type"] == "response.completed"


async def test_the_credential_is_checked_for_each_event(client, socket, provider):
    provider.says("Hello")
    assert (await last_event(socket, CREATE))["type"] == "response.completed"
    snapshot = client.app[CURRENT].snapshot

    class Revoked:
        def authenticate(self, client, _headers, credential):
            return snapshot.authenticator.authenticate(client, {"Authorization": "Bearer old"}, credential)

    client.app[CURRENT].snapshot = dataclasses.replace(snapshot, authenticator=Revoked())
    error = await last_event(socket, CREATE)
    assert (error["status"], error["error"]["code"]) == (401, "unauthorized")
    assert await close_of(socket) == aiohttp.WSCloseCode.POLICY_VIOLATION
    assert len(provider.asked) == 1


async def test_a_get_without_a_websocket_is_a_405(client):
    async with client.get("/v1/responses") as response:
        assert (response.status, response.headers["Allow"]) == (405, "POST")


async def test_a_message_above_the_limit_of_bodies_ends_the_websocket(client, socket):
    error = await last_event(socket, creating(input="x" * (20 * MiB)))
    assert (error["status"], error["error"]["message"]) == (413, "Payload too large")
    assert await close_of(socket) == aiohttp.WSCloseCode.MESSAGE_TOO_BIG
    await nothing_reserved(client)


async def test_a_large_message_that_is_read_while_the_websocket_ends_stays_not_reserved(client, monkeypatch):
    ending = asyncio.Event()
    next_message, end = ClientSocket.next_message, _Session._end

    async def held_up(socket):
        await ending.wait()
        return await next_message(socket)

    async def noticed(session, *tasks):
        ending.set()
        await end(session, *tasks)

    monkeypatch.setattr(ClientSocket, "next_message", held_up)
    monkeypatch.setattr(_Session, "_end", noticed)
    async with client.ws_connect("/v1/responses") as socket:
        await socket.send_str(json.dumps(creating(input="x" * MiB)))
        async with asyncio.timeout(10):
            while client.app[LARGE_BODIES].used < MiB:
                await asyncio.sleep(0.01)
        client.app[DRAIN].close()
        assert await close_of(socket) == aiohttp.WSCloseCode.GOING_AWAY
    await nothing_reserved(client)


class TestBudget:
    @pytest.fixture
    def config(self, config):
        config["gateway"]["http"]["maxBodyBytesInFlight"] = 40 * MiB
        return config

    async def test_a_large_message_without_room_ends_the_websocket(self, client, socket):
        bodies = client.app[LARGE_BODIES]
        bodies.take("owner", 29 * MiB)
        error = await last_event(socket, creating(input="x" * (2 * MiB)))
        assert (error["status"], error["error"]["code"]) == (503, "overloaded")
        assert await close_of(socket) == aiohttp.WSCloseCode.TRY_AGAIN_LATER
        bodies.give_back("owner", 29 * MiB)
        await nothing_reserved(client)

    async def test_a_large_message_reserves_its_bytes_until_its_response_ends(self, client, provider):
        bodies = client.app[LARGE_BODIES]
        asked, left = provider.hangs()
        async with client.ws_connect("/v1/responses") as socket:
            await socket.send_str(json.dumps(creating(input="x" * (2 * MiB))))
            async with asyncio.timeout(10):
                await asked.wait()
            assert 2 * MiB <= bodies.used <= 3 * MiB
        async with asyncio.timeout(10):
            await left.wait()
        await nothing_reserved(client)

    async def test_a_message_with_too_many_values_is_an_error(self, socket):
        error = await last_event(socket, creating(metadata={str(number): "x" for number in range(110_000)}))
        assert (error["status"], "JSON values" in error["error"]["message"]) == (413, True)


async def test_events_that_wait_for_a_response_are_bounded(client, socket, provider):
    asked, left = provider.hangs()
    await socket.send_json(CREATE)
    async with asyncio.timeout(10):
        await asked.wait()
    for _ in range(5):
        await socket.send_json(CREATE)
    (error,) = await events_of(socket)
    assert (error["status"], error["error"]["code"]) == (429, "too_many_waiting_events")
    assert await close_of(socket) == aiohttp.WSCloseCode.POLICY_VIOLATION
    async with asyncio.timeout(10):
        await left.wait()


async def test_a_websocket_ends_at_its_time_limit(client, provider):
    client.app._state[CONNECTION_LIMIT] = 0.05
    provider.says("Hello")
    async with client.ws_connect("/v1/responses") as socket:
        (error,) = await events_of(socket)
        assert (error["status"], error["error"]["code"]) == (400, "websocket_connection_limit_reached")
        assert await close_of(socket) == aiohttp.WSCloseCode.OK


async def test_a_drain_ends_an_idle_websocket(client, socket, provider):
    provider.says("Hello")
    await last_event(socket, CREATE)
    client.app[DRAIN].close()
    assert await close_of(socket) == aiohttp.WSCloseCode.GOING_AWAY


async def test_a_drain_lets_a_response_end(client, socket, provider):
    go_on = asyncio.Event()
    asked = asyncio.Event()

    async def answer(request):
        response = await provider.begins(request, {"content": "Hel"})
        asked.set()
        await go_on.wait()
        await provider.send(response, {"choices": [{"index": 0, "delta": {"content": "lo"}, "finish_reason": "stop"}]})
        await response.write(b"data: [DONE]\n\n")
        return response

    provider.answer = answer
    await socket.send_json(CREATE)
    await asked.wait()
    client.app[DRAIN].close()
    go_on.set()
    assert (await events_of(socket))[-1]["type"] == "response.completed"
    assert await close_of(socket) == aiohttp.WSCloseCode.GOING_AWAY


async def test_a_handshake_during_a_drain_is_still_a_handshake(client, provider):
    client.app[DRAIN].started = True
    provider.says("Hello")
    async with client.ws_connect("/v1/responses") as socket:
        assert (await last_event(socket, CREATE))["type"] == "response.completed"


class TestPings:
    @pytest.fixture
    def config(self, config):
        config["gateway"]["stream"]["heartbeatMs"] = 1000
        return config

    async def test_an_idle_websocket_gets_pings(self, client):
        async with client.ws_connect("/v1/responses", autoping=False) as socket, asyncio.timeout(10):
            assert (await socket.receive()).type is WSMsgType.PING


class TestLimits:
    @pytest.fixture
    def config(self, config):
        config["gateway"]["limits"] = [{"requestsPerMinute": 1}]
        return config

    async def test_limits_count_each_event(self, socket, provider):
        provider.says("Hello")
        assert (await last_event(socket, CREATE))["type"] == "response.completed"
        error = await last_event(socket, CREATE)
        assert (error["status"], error["error"]["code"]) == (429, "rate_limit_exceeded")
        assert int(error["headers"]["retry-after"]) > 0


async def test_an_idle_websocket_holds_no_replaced_configuration(client, socket, provider):
    provider.says("Hello")
    await last_event(socket, CREATE)
    generations = client.app[GENERATIONS]
    await generations.prepare(generations.config, {})
    generations.commit()
    assert (await last_event(socket, CREATE))["type"] == "response.completed"
    async with asyncio.timeout(10):
        while generations.in_use > 1:
            gc.collect()
            await asyncio.sleep(0)


class TestDisabled:
    @pytest.fixture
    def config(self, config):
        config["gateway"]["http"]["endpoints"]["responses"]["enabled"] = False
        return config

    async def test_a_disabled_endpoint_has_no_websocket(self, client):
        with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
            await client.ws_connect("/v1/responses")
        assert caught.value.status == 404
