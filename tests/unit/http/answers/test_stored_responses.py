"""Stored responses: fetched, listed, continued, referenced and deleted, by their owner only."""

import asyncio
import json

import openai
import pytest

from gateway.core.errors import BadRequest
from gateway.core.jsonio import loads
from gateway.core.message import Message, Text
from gateway.http.answers import stored_responses
from gateway.http.answers.stored_responses import Owner, history
from gateway.http.keys import SERVICES
from gateway.state.responses.sqlite import SqliteResponses
from gateway.state.responses.store import ResponsePolicy, StoredResponse
from gateway.state.schema import MIGRATIONS
from gateway.state.sqlite import Database
from tests.servers import redis_server

TOOL = {"type": "function", "name": "get_weather", "parameters": {"type": "object", "properties": {}}}


async def ask(official, provider, content, answer="Hello", **more):
    provider.says(answer)
    return await official.responses.create(model="openclaw", input=content, **more)


@pytest.mark.parametrize("stream", [False, True])
async def test_a_stored_response_equals_the_one_sent(official, provider, stream):
    provider.says("Hel|lo")
    if stream:
        events = [event async for event in await official.responses.create(model="openclaw", input="hi", stream=True)]
        created = events[-1].response
    else:
        created = await official.responses.create(model="openclaw", input="hi")
    assert (created.store if hasattr(created, "store") else True) is True
    assert await official.responses.retrieve(created.id) == created


async def test_store_false_stores_nothing(official, provider, tmp_path):
    created = await ask(official, provider, "hi", store=False)
    assert not list(tmp_path.glob("*.sqlite*")), "a stateless call leaves no trace"
    with pytest.raises(openai.NotFoundError):
        await official.responses.retrieve(created.id)


async def test_previous_response_id_continues_the_conversation(official, provider):
    first = await ask(official, provider, "one", "ONE", instructions="be brief")
    second = await ask(official, provider, "two", "TWO", previous_response_id=first.id, instructions="be kind")
    await ask(official, provider, "three", previous_response_id=second.id)
    assert second.previous_response_id == first.id
    sent = [[(message["role"], message["content"]) for message in asked["messages"]] for asked in provider.asked]
    assert sent[1] == [("system", "be kind"), ("user", "one"), ("assistant", "ONE"), ("user", "two")]
    assert [text for _, text in sent[2]] == ["one", "ONE", "two", "TWO", "three"]


@pytest.mark.parametrize("stream", [False, True])
async def test_a_tool_loop_continues_with_only_the_output(official, provider, stream):
    provider.says("Let me see.", ("call_1", "get_weather", '{"city":"Oslo"}'), finish="tool_calls")
    first = await official.responses.create(model="openclaw", input="weather?", tools=[TOOL], stream=stream)
    if stream:
        first = [event async for event in first][-1].response
    output = {"type": "function_call_output", "call_id": first.output[1].call_id, "output": "5C"}
    provider.says("It is cold.")
    second = await official.responses.create(
        model="openclaw", input=[output], tools=[TOOL], previous_response_id=first.id
    )
    assert second.output_text == "It is cold."
    call = {"id": "call_1", "type": "function", "function": {"name": "get_weather", "arguments": '{"city":"Oslo"}'}}
    assert provider.asked[1]["messages"] == [
        {"role": "user", "content": "weather?"},
        {"role": "assistant", "content": "Let me see.", "tool_calls": [call]},
        {"role": "tool", "content": "5C", "tool_call_id": "call_1"},
    ]


async def test_files_of_earlier_turns_remain_in_the_conversation(official, provider):
    file = {"type": "input_file", "filename": "a.txt", "file_data": "data:text/plain;base64,SGVsbG8="}
    first = await ask(official, provider, [{"role": "user", "content": [file]}])
    await ask(official, provider, "and?", previous_response_id=first.id)
    assert "Hello" in json.dumps(provider.asked[1]["messages"][:2])


@pytest.mark.parametrize("stream", [False, True])
async def test_continuing_an_unknown_response_is_refused(official, provider, stream):
    with pytest.raises(openai.NotFoundError) as caught:
        await ask(official, provider, "hi", previous_response_id="resp_nobody", stream=stream)
    assert (caught.value.code, caught.value.param) == ("previous_response_not_found", "previous_response_id")
    assert provider.asked == []


@pytest.mark.parametrize("name", ["\ud800", "r\u00e9sp_1", "x" * 100_000, "resp_\0"])
async def test_an_invalid_response_id_is_not_found(client, name):
    body = json.dumps({"model": "openclaw", "input": "hi", "previous_response_id": name})
    response = await client.post("/v1/responses", data=body)
    assert (response.status, (await response.json())["error"]["code"]) == (404, "previous_response_not_found")


async def test_a_conversation_with_a_missing_response_is_not_continued(official, provider):
    first = await ask(official, provider, "one")
    second = await ask(official, provider, "two", previous_response_id=first.id)
    await official.responses.delete(first.id)
    with pytest.raises(openai.NotFoundError, match=f"continues '{first.id}', which is not stored any more"):
        await ask(official, provider, "three", previous_response_id=second.id)


@pytest.mark.parametrize("stream", [False, True])
async def test_a_failed_response_is_stored_but_its_turn_is_not(client, official, provider, stream):
    provider.refuses(400, "too strange")
    body = {"model": "openclaw", "input": "one", "stream": stream}
    answer = await client.post("/v1/responses", json=body)
    created = await answer.json()
    assert (answer.status, created["object"], created["status"], created["output"]) == (400, "response", "failed", [])
    assert created["error"]["type"] == "invalid_request_error"
    assert (await official.responses.retrieve(created["id"])).error.message == created["error"]["message"]
    await ask(official, provider, "two", previous_response_id=created["id"])
    assert [message["content"] for message in provider.asked[1]["messages"]] == ["two"]


async def test_a_broken_stream_is_stored_as_failed(official, provider):
    async def breaks(request):
        return await provider.begins(request, {"content": "Hel"})

    provider.answer = breaks
    events = [event async for event in await official.responses.create(model="openclaw", input="hi", stream=True)]
    stored = await official.responses.retrieve(events[-1].response.id)
    assert (stored.status, stored) == ("failed", events[-1].response)


@pytest.mark.parametrize("background", [False, True])
async def test_a_stream_that_cannot_be_rendered_is_stored_as_failed(official, provider, background):
    seen = asyncio.Event()
    first, second = ({"index": index, "id": str(index), "function": {"name": "f"}} for index in range(2))
    first["function"]["arguments"] = "{}"

    async def goes_on(request):
        """Two calls, one after the other, and then more arguments of the first one."""
        response = await provider.begins(request, {"tool_calls": [first]}, {"tool_calls": [second]})
        await seen.wait()
        more = {"index": 0, "function": {"arguments": "{}"}}
        await provider.send(response, {"choices": [{"index": 0, "delta": {"tool_calls": [more]}}]})
        return response

    provider.answer = goes_on
    events = []
    async for event in await official.responses.create(
        model="openclaw", input="hi", stream=True, tools=[TOOL], background=background
    ):
        events.append(event)
        if event.type == "response.output_item.added":
            seen.set()
    assert (events[-1].type, events[-1].response.status) == ("response.failed", "failed")
    assert await official.responses.retrieve(events[-1].response.id) == events[-1].response


@pytest.mark.parametrize("stream", [False, True])
async def test_a_call_without_a_name_fails_and_a_call_without_an_id_gets_one(official, provider, stream):
    provider.says(None, (" ", "get_weather", "{}"), finish="tool_calls")
    created = await official.responses.create(model="openclaw", input="hi", stream=stream, tools=[TOOL])
    if stream:
        created = [event async for event in created][-1].response
    assert created.output[0].call_id.strip()
    assert await official.responses.retrieve(created.id) == created
    provider.says(None, ("a", " ", "{}"), finish="tool_calls")
    with pytest.raises(openai.InternalServerError, match="no name"):
        await official.responses.create(model="openclaw", input="hi", stream=stream, tools=[TOOL])


async def test_input_items_are_listed_page_by_page(official, provider):
    content = [{"role": "user", "content": str(number)} for number in range(30)]
    created = await ask(official, provider, content)
    items = [item async for item in official.responses.input_items.list(created.id)]
    assert [item.content[0].text for item in items] == [str(number) for number in reversed(range(30))]
    first = await official.responses.input_items.list(created.id, order="asc", limit=2, after=items[-1].id)
    assert [item.content[0].text for item in first.data] == ["1", "2"]
    assert (first.has_more, first.first_id, first.last_id) == (True, first.data[0].id, first.data[1].id)


@pytest.mark.parametrize(
    ("query", "param"),
    [
        *(
            ("limit=0", "limit"),
            ("limit=101", "limit"),
            ("limit=x", "limit"),
            ("order=up", "order"),
            ("after=x", "after"),
        ),
        *(("limit=000000001" + "9" * 5000, "limit"), ("limit=0000000001", "limit"), ("limit=-1", "limit")),
    ],
)
async def test_invalid_page_parameters_are_refused(client, official, provider, query, param):
    created = await ask(official, provider, "hi")
    response = await client.get(f"/v1/responses/{created.id}/input_items?{query}")
    assert (response.status, (await response.json())["error"]["param"]) == (400, param)


async def test_items_can_be_referenced_by_id(official, provider):
    created = await ask(official, provider, "one", "ONE")
    (asked,) = (await official.responses.input_items.list(created.id)).data
    await ask(
        official,
        provider,
        [{"type": "item_reference", "id": asked.id}, {"id": created.output[0].id}, {"role": "user", "content": "two"}],
    )
    assert [message["content"] for message in provider.asked[1]["messages"]] == ["one", "ONE", "two"]


@pytest.mark.parametrize("name", ["x", "msg_0b0c0d0e-0000-4000-8000-000000000000_0"])
async def test_a_reference_to_an_unknown_item_is_not_found(official, provider, name):
    content = [{"type": "item_reference", "id": name}, {"role": "user", "content": "two"}]
    with pytest.raises(openai.NotFoundError) as caught:
        await ask(official, provider, content)
    assert (caught.value.param, caught.value.code) == ("input[0]", "item_not_found")


async def test_references_to_more_than_a_request_may_hold_are_refused(client, official, provider):
    created = await ask(official, provider, "x" * 2**20)
    (item,) = (await official.responses.input_items.list(created.id)).data
    references = [{"type": "item_reference", "id": item.id}]
    async with client.post("/v1/responses", json={"model": "openclaw", "input": references * 21}) as response:
        assert response.status == 400, await response.text()
        error = (await response.json())["error"]
    assert (error["param"], error["code"]) == ("input", "context_length_exceeded")
    assert len(provider.asked) == 1
    await ask(official, provider, references * 18)
    assert len(provider.asked[1]["messages"]) == 18


async def test_a_stored_response_is_decoded_once_for_all_references_to_it(official, provider, monkeypatch):
    created = await ask(official, provider, [{"role": "user", "content": f"text {index}"} for index in range(100)])
    items = (await official.responses.input_items.list(created.id, limit=100)).data
    decoded = []
    monkeypatch.setattr(stored_responses, "loads", lambda document: decoded.append(len(document)) or loads(document))
    await ask(official, provider, [{"type": "item_reference", "id": item.id} for item in reversed(items)])
    assert [message["content"] for message in provider.asked[1]["messages"]] == [f"text {n}" for n in range(100)]
    assert len(decoded) == 1


async def test_a_deleted_response_is_gone(client, official, provider):
    created = await ask(official, provider, "hi")
    response = await client.delete(f"/v1/responses/{created.id}")
    assert await response.json() == {"id": created.id, "object": "response", "deleted": True}
    for method, path in (("GET", ""), ("DELETE", ""), ("GET", "/input_items")):
        response = await client.request(method, f"/v1/responses/{created.id}{path}")
        assert (response.status, (await response.json())["error"]["code"]) == (404, "response_not_found")


async def test_a_damaged_response_can_be_deleted_by_its_owner_only(client, official, provider):
    created = await ask(official, provider, "hi")
    database = client.app[SERVICES].stores.responses._database
    await database.write(lambda connection: connection.execute("UPDATE responses SET body = x'00'").rowcount)
    path = f"/v1/responses/{created.id}"
    async with client.get(path) as response:
        assert response.status == 503
    async with client.delete(path, headers={"Authorization": "Bearer of-somebody-else"}) as response:
        assert response.status == 401
    async with client.delete(path) as response:
        assert (response.status, (await response.json())["deleted"]) == (200, True)
    for used in (client.get, client.delete):
        async with used(path) as response:
            assert response.status == 404


async def test_a_conversation_larger_than_a_request_is_refused():
    database = Database(None, MIGRATIONS)
    store = SqliteResponses(database, ResponsePolicy(), clock=lambda: 0.0)
    messages = (Message("user", (Text("x" * 7_000_000),)),)
    body, previous = b'{"status":"completed","background":false,"output":[]}', None
    try:
        for name in ("resp_1", "resp_2", "resp_3"):
            await store.put(StoredResponse(name, None, "main", 1.0, body, b"[]", messages, previous=previous))
            previous = name
        assert len(await history(store, Owner(None, None), "main", "resp_2")) == 2
        with pytest.raises(BadRequest) as caught:
            await history(store, Owner(None, None), "main", "resp_3")
    finally:
        await database.close()
    assert (caught.value.code, caught.value.param) == ("context_length_exceeded", "previous_response_id")


async def test_a_conversation_belongs_to_its_agent_and_explicit_session(client, official, provider, config):
    key = {"x-openclaw-session-key": "mine"}
    provider.says("x")
    created = await (await client.post("/v1/responses", json={"model": "openclaw", "input": "hi"}, headers=key)).json()
    goes_on = {"model": "openclaw", "input": "hi", "previous_response_id": created["id"]}
    assert (await client.post("/v1/responses", json=goes_on, headers=key)).status == 200
    for headers in ({}, {"x-openclaw-session-key": "other"}):
        assert (await client.post("/v1/responses", json=goes_on, headers=headers)).status == 404
    for headers, status in (({}, 200), (key, 200), ({"x-openclaw-session-key": "other"}, 404)):
        assert (await client.get(f"/v1/responses/{created['id']}", headers=headers)).status == status
    other = goes_on | {"model": "openclaw/other"}
    assert (await client.post("/v1/responses", json=other, headers=key)).status in (400, 404)


class TestUsersOfAProxy:
    @pytest.fixture
    def config(self, config):
        config["gateway"]["auth"] = {
            "mode": "trusted-proxy",
            "trustedProxy": {"userHeader": "x-user", "allowLoopback": True},
        }
        config["gateway"]["trustedProxies"] = ["127.0.0.1"]
        return config

    async def test_a_response_belongs_to_its_user(self, client, provider):
        provider.says("x")
        ann, bob = ({"x-user": name, "X-Forwarded-For": "203.0.113.9"} for name in ("ann", "bob"))
        body = {"model": "openclaw", "input": "secret"}
        created = await (await client.post("/v1/responses", json=body, headers=ann)).json()
        goes_on = body | {"previous_response_id": created["id"]}
        refers = body | {"input": [{"type": "item_reference", "id": created["output"][0]["id"]}]}
        for headers, status in ((bob, 404), (ann, 200)):
            assert (await client.get(f"/v1/responses/{created['id']}", headers=headers)).status == status
            assert (await client.get(f"/v1/responses/{created['id']}/input_items", headers=headers)).status == status
            assert (await client.post("/v1/responses", json=goes_on, headers=headers)).status == status
            assert (await client.post("/v1/responses", json=refers, headers=headers)).status == status
        for headers, status in ((bob, 404), (ann, 200)):
            assert (await client.delete(f"/v1/responses/{created['id']}", headers=headers)).status == status


class TestTooLargeToKeep:
    @pytest.fixture
    def config(self, config):
        config["gateway"]["state"] = {"maxResponseBytes": 100}
        return config

    @pytest.mark.parametrize("stream", [False, True])
    async def test_an_answer_too_large_to_store_has_store_false(self, client, provider, stream):
        provider.says("Hello")
        response = await client.post("/v1/responses", json={"model": "openclaw", "input": "hi", "stream": stream})
        text = await response.text()
        last = json.loads([line for line in text.split("\n") if '"output_text"' in line][-1].removeprefix("data: "))
        created = last.get("response", last)
        assert (created["status"], created["store"]) == ("completed", False)


class TestRedisThatGoesAway:
    @pytest.fixture
    async def redis(self, config, tmp_path):
        async with redis_server(tmp_path) as server:
            config["gateway"]["redis"] = {"url": server.url}
            yield server

    @pytest.mark.parametrize("stream", [False, True])
    async def test_an_answer_is_sent_with_store_false_while_the_store_is_unavailable(
        self, redis, official, provider, stream
    ):
        stored = await ask(official, provider, "one", "ONE")
        await redis.stop()
        created = await ask(official, provider, "two", stream=stream)
        if stream:
            created = [event async for event in created][-1].response
        assert (created.status, created.output_text, created.store) == ("completed", "Hello", False)
        for more in ({"previous_response_id": stored.id}, {"background": True}):
            with pytest.raises(openai.InternalServerError) as caught:
                await ask(official, provider, "three", **more)
            assert (caught.value.status_code, caught.value.type) == (503, "unavailable")
        with pytest.raises(openai.InternalServerError):
            await official.responses.retrieve(stored.id)
        assert len(provider.asked) == 2


class TestCallers:
    @pytest.fixture
    def config(self, config):
        config["gateway"]["auth"] = {
            "mode": "trusted-proxy",
            "trustedProxy": {"userHeader": "x-user", "allowLoopback": True},
        }
        config["gateway"]["trustedProxies"] = ["127.0.0.1"]
        return config

    @staticmethod
    def as_user(name):
        return {"x-user": name, "x-forwarded-for": "203.0.113.9"}

    @pytest.mark.parametrize("background", [False, True])
    async def test_another_user_cannot_reach_a_response_in_any_way(self, client, provider, background):
        provider.says("my secret")

        async def ask(user, method, path, **body):
            response = await client.request(method, path, json=body or None, headers=self.as_user(user))
            return response.status, await response.text()

        fields = {"model": "openclaw", "input": "mine"}
        _, text = await ask("alice", "POST", "/v1/responses", **fields, background=background)
        name = json.loads(text)["id"]
        path = f"/v1/responses/{name}"
        item = f"msg_{name.removeprefix('resp_')}_0"
        attempts = [
            ("GET", path, {}),
            ("GET", f"{path}?stream=true", {}),
            ("GET", f"{path}/input_items", {}),
            ("POST", f"{path}/cancel", {}),
            ("DELETE", path, {}),
            ("POST", "/v1/responses", {**fields, "previous_response_id": name}),
            ("POST", "/v1/responses", {**fields, "input": [{"type": "item_reference", "id": item}]}),
        ]
        for user in ("bob", "Alice"):
            for method, url, body in attempts:
                status, text = await ask(user, method, url, **body)
                assert status == 404, (method, url)
                assert "secret" not in text
        async with asyncio.timeout(10):
            while "my secret" not in (created := await ask("alice", "GET", path))[1]:
                assert created[0] == 200
                await asyncio.sleep(0.02)
