"""Conversations through both endpoints, over both kinds of store."""

import asyncio
import json
from urllib.parse import quote

import pytest
from aiohttp import web
from yarl import URL

from tests.servers import redis_server

CHAT, RESPONSES = "/v1/chat/completions", "/v1/responses"
NARROW = "operator.write"


@pytest.fixture(params=["sqlite", "redis"])
async def store(request, tmp_path, config):
    if request.param == "sqlite":
        yield tmp_path
        return
    async with redis_server(tmp_path) as server:
        config["gateway"]["redis"] = {"url": server.url}
        yield server


def body(path, text, **more):
    if path == CHAT:
        return {"model": "openclaw", "messages": [{"role": "user", "content": text}], **more}
    return {"model": "openclaw", "input": text, **more}


async def say(client, path, text, *, headers=None, **more):
    async with client.post(path, json=body(path, text, **more), headers=headers) as response:
        text = await response.text()
        assert response.status == 200, text
        return text


def seen(provider):
    return [(message["role"], message.get("content")) for message in provider.asked[-1]["messages"]]


@pytest.mark.parametrize("path", [CHAT, RESPONSES])
@pytest.mark.parametrize("stream", [False, True])
async def test_a_user_continues_a_conversation(store, client, provider, path, stream):
    provider.says("a|1")
    await say(client, path, "q1", user="U1", stream=stream)
    provider.says("a2")
    await say(client, path, "q2", user=" u1 ", stream=stream)
    answered = "a|1" if not stream else "a1"
    assert seen(provider) == [("user", "q1"), ("assistant", answered), ("user", "q2")]
    await say(client, path, "q3", user="u1")
    assert len(seen(provider)) == 5


async def test_a_session_key_is_shared_by_both_endpoints_and_overrides_user(store, client, provider):
    provider.says("a1")
    key = {"x-openclaw-session-key": "app:thread"}
    await say(client, CHAT, "q1", headers=key)
    await say(client, RESPONSES, "q2", headers=key, user="zz")
    assert len(seen(provider)) == 3
    await say(client, CHAT, "q3", user="zz")
    await say(client, RESPONSES, "q4", user="zz")
    assert seen(provider) == [("user", "q4")]


async def test_a_request_without_a_session_stores_no_conversation(store, client, provider, tmp_path):
    provider.says("a")
    for path in (CHAT, RESPONSES):
        await say(client, path, "q", store=False)
        await say(client, path, "q", store=False, user="  ", stream=True)
    assert seen(provider) == [("user", "q")]
    if store is tmp_path:
        assert not list(tmp_path.rglob("gateway.sqlite*"))
    else:
        assert await store.ask("KEYS", "*session*") == []
        assert await store.ask("KEYS", "*response*") == []


@pytest.mark.parametrize("stream", [False, True])
async def test_a_failed_turn_is_not_part_of_the_conversation(store, client, provider, stream):
    provider.says("a1")
    await say(client, CHAT, "q1", user="u")
    provider.refuses(400, "no")
    async with client.post(CHAT, json=body(CHAT, "bad", user="u", stream=stream)) as response:
        assert response.status == 400
    provider.says("a3")
    await say(client, CHAT, "q3", user="u")
    assert seen(provider) == [("user", "q1"), ("assistant", "a1"), ("user", "q3")]
    async with client.get("/api/v1/sessions/agent:main:openai-user:u") as response:
        outcomes = [entry["outcome"] for entry in (await response.json())["transcript"]]
    assert outcomes == ["completed", "failed", "completed"]


async def test_a_turn_whose_client_disconnects_is_not_part_of_the_conversation(store, client, provider):
    asked = asyncio.Event()

    async def never(request):
        asked.set()
        await asyncio.Event().wait()

    provider.answer = never
    leaving = asyncio.create_task(say(client, CHAT, "q1", user="u"))
    await asked.wait()
    leaving.cancel()
    provider.says("a2")
    await say(client, CHAT, "q2", user="u")  # waits for the end of the first one
    assert seen(provider) == [("user", "q2")]
    async with client.get("/api/v1/sessions/agent:main:openai-user:u") as response:
        entries = (await response.json())["transcript"]
    assert [(entry["outcome"], len(entry["messages"])) for entry in entries] == [("cancelled", 0), ("completed", 2)]


async def test_requests_of_one_conversation_run_one_after_the_other(store, client, provider):
    provider.says("a")
    await asyncio.gather(*(say(client, CHAT, f"q{number}", user="u") for number in range(8)))
    asked = sorted(len(request["messages"]) for request in provider.asked)
    assert asked == [1, 3, 5, 7, 9, 11, 13, 15]


async def test_tool_calls_and_results_are_stored_in_the_conversation(store, client, provider):
    provider.says(None, ("call_1", "f", '{"a":1}'), finish="tool_calls")
    tools = [{"type": "function", "function": {"name": "f", "parameters": {}}}]
    await say(client, CHAT, "q1", user="u", tools=tools)
    provider.says("42")
    answer = {
        "model": "openclaw",
        "user": "u",
        "messages": [{"role": "tool", "tool_call_id": "call_1", "content": "r"}],
    }
    async with client.post(CHAT, json=answer) as response:
        assert response.status == 200
    await say(client, CHAT, "q2", user="u")
    assert [message["role"] for message in provider.asked[-1]["messages"]] == [
        "user", "assistant", "tool", "assistant", "user",
    ]  # fmt: skip
    assert provider.asked[-1]["messages"][1]["tool_calls"][0]["function"] == {"name": "f", "arguments": '{"a":1}'}


async def test_the_turn_of_a_filtered_answer_is_not_continued(store, client, provider):
    provider.says("half", finish="content_filter")
    await say(client, CHAT, "q1", user="u")
    provider.says("a2")
    await say(client, CHAT, "q2", user="u")
    assert seen(provider) == [("user", "q2")]


async def test_a_background_response_locks_its_conversation_until_it_ends(store, client, provider):
    asked, going = asyncio.Event(), asyncio.Event()

    async def slowly(request):
        asked.set()
        response = await provider.begins(request, {"content": "a1"})
        await going.wait()
        await provider.send(response, {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
        await response.write(b"data: [DONE]\n\n")
        return response

    provider.answer = slowly
    await say(client, RESPONSES, "q1", user="u", background=True)
    await asked.wait()
    waiting = asyncio.create_task(say(client, RESPONSES, "q2", user="u"))
    await asyncio.sleep(0.1)
    assert len(provider.asked) == 1
    going.set()
    provider.says("a2")
    await waiting
    assert seen(provider) == [("user", "q1"), ("assistant", "a1"), ("user", "q2")]


async def test_disconnecting_from_a_background_stream_does_not_release_its_conversation(store, client, provider):
    going = asyncio.Event()

    async def slowly(request):
        response = await provider.begins(request, {"content": "a1"})
        await going.wait()
        await provider.send(response, {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
        await response.write(b"data: [DONE]\n\n")
        return response

    provider.answer = slowly
    asked = body(RESPONSES, "q1", user="u", background=True, stream=True)
    async with client.post(RESPONSES, json=asked) as leaving:
        while b"output_text.delta" not in (line := await leaving.content.readline()):
            assert line
    waiting = asyncio.create_task(say(client, RESPONSES, "q2", user="u"))
    await asyncio.sleep(0.5)  # nothing happens
    assert len(provider.asked) == 1
    going.set()
    provider.says("a2")
    await waiting
    assert seen(provider) == [("user", "q1"), ("assistant", "a1"), ("user", "q2")]


async def test_a_cancelled_background_response_releases_its_conversation(store, client, provider):
    async def never(request):
        await asyncio.Event().wait()

    provider.answer = never
    response = json.loads(await say(client, RESPONSES, "q1", user="u", background=True))
    async with client.post(f"{RESPONSES}/{response['id']}/cancel") as cancelled:
        assert cancelled.status == 200
    provider.says("a2")
    await say(client, RESPONSES, "q2", user="u")
    assert seen(provider) == [("user", "q2")]


async def test_a_previous_response_in_the_same_session_is_not_repeated(store, client, provider):
    provider.says("a1")
    first = json.loads(await say(client, RESPONSES, "q1", user="u"))
    await say(client, RESPONSES, "q2", user="u", previous_response_id=first["id"])
    assert seen(provider) == [("user", "q1"), ("assistant", "a1"), ("user", "q2")]


@pytest.mark.parametrize(("path", "stream"), [(CHAT, False), (RESPONSES, True)])
async def test_deleting_a_conversation_ends_its_running_request_with_an_error(store, client, provider, path, stream):
    asked, left = asyncio.Event(), asyncio.Event()

    async def never(request):
        response = await provider.begins(request, {"content": "a"}) if stream else None
        asked.set()
        try:
            await asyncio.Event().wait()
        finally:
            left.set()
        return response

    provider.says("a1")
    await say(client, path, "q1", user="u")
    provider.answer = never
    asking = asyncio.create_task(client.post(path, json=body(path, "q2", user="u", stream=stream)))
    await asked.wait()
    endpoint = "openai" if path == CHAT else "openresponses"
    async with client.delete(f"/api/v1/sessions/agent:main:{endpoint}-user:u") as response:
        assert response.status == 200
    async with asyncio.timeout(8):
        response = await asking
        text = await response.text()
        await left.wait()
    assert response.status == (200 if stream else 409)
    assert "session_changed" in text
    provider.says("a3")
    await say(client, path, "q3", user="u")
    assert seen(provider) == [("user", "q3")]


@pytest.fixture(params=[False, True], ids=["undeclared", "declared"])
def refused(request, config, provider):
    """The requests that a model refuses because its window of 2000 characters is exceeded, declared or not."""
    if request.param:
        config["models"]["providers"]["fake"]["models"][0]["contextWindow"] = 500
    provider.says("a" * 100)
    answer, too_long = provider.answer, []

    async def answers(request):
        if sum(len(content) for _, content in seen(provider)) <= 2000:
            return await answer(request)
        too_long.append(provider.asked.pop())
        error = {"message": "maximum context length is 500 tokens", "code": "context_length_exceeded"}
        return web.json_response({"error": error}, status=400)

    provider.answer = answers
    yield too_long
    assert len(too_long) <= (1 if request.param else 8)  # one is the last message of the test, too long by itself


@pytest.mark.usefixtures("store", "refused")
@pytest.mark.parametrize("path", [CHAT, RESPONSES])
@pytest.mark.parametrize("stream", [False, True])
async def test_a_conversation_continues_beyond_the_context_window(client, provider, path, stream):
    for number in range(20):
        await say(client, path, f"q{number:02} {'x' * 100}", user="u", stream=stream)
        assert seen(provider)[-1][1].startswith(f"q{number:02}")
    assert len(seen(provider)) >= 7
    endpoint = "openai" if path == CHAT else "openresponses"
    async with client.get(f"/api/v1/sessions/agent:main:{endpoint}-user:u") as response:
        assert len((await response.json())["transcript"]) == 20
    async with client.post(path, json=body(path, "x" * 3000, user="u", stream=stream)) as response:
        assert response.status == 400
        assert "context_length_exceeded" in await response.text()


@pytest.fixture
def summarising(config):
    """Conversations of more than 3 kB are summarised, and tokens are counted."""
    config["session"] = {"compaction": "summarize", "maxBytes": 4096}
    config["gateway"]["limits"] = [{"tokensPerMinute": 100_000}]


@pytest.mark.usefixtures("store", "summarising")
async def test_a_summary_counts_against_the_callers_limit(client, provider):
    provider.says("a")
    for _ in range(4):
        await say(client, CHAT, "x" * 1000, user="u")
    assert ["Summarise" in asked["messages"][-1]["content"] for asked in provider.asked] == [*[False] * 3, True, False]
    spent = 18 * len(provider.asked)  # as the provider counts each answer
    async with client.post(CHAT, json=body(CHAT, "hi", max_tokens=99)) as response:
        assert int(response.headers["x-ratelimit-remaining-tokens"]) == 100_000 - spent - 100


@pytest.mark.parametrize("store", ["redis"], indirect=True)
async def test_an_answer_whose_turn_cannot_be_stored_is_an_error(store, client, provider):
    provider.says("a1")
    answer = provider.answer

    async def freezes(request):
        store.freeze()
        return await answer(request)

    provider.answer = freezes
    try:
        async with client.post(CHAT, json=body(CHAT, "q1", user="u")) as response:
            assert (response.status, (await response.json())["error"]["type"]) == (503, "unavailable")
    finally:
        store.thaw()


@pytest.mark.parametrize("store", ["redis"], indirect=True)
async def test_a_stream_whose_turn_cannot_be_stored_ends_with_an_error_and_no_finish_reason(store, client, provider):
    go_on = asyncio.Event()

    async def freezes(request):
        response = await provider.begins(request, {"content": "a1"})
        await go_on.wait()
        store.freeze()
        await provider.send(response, {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
        await response.write(b"data: [DONE]\n\n")
        return response

    provider.answer = freezes
    try:
        async with client.post(CHAT, json=body(CHAT, "q1", user="u", stream=True)) as response:
            text = await response.content.readany()
            go_on.set()
            text += await response.read()
    finally:
        store.thaw()
    assert response.status == 200
    assert b"not available" in text
    assert b'"finish_reason":"stop"' not in text
    assert text.endswith(b"data: [DONE]\n\n")


@pytest.mark.parametrize("store", ["redis"], indirect=True)
async def test_an_unavailable_store_fails_only_requests_of_conversations(store, client, provider):
    provider.says("a1")
    await store.stop()
    await say(client, CHAT, "alone")
    async with client.post(CHAT, json=body(CHAT, "q", user="u")) as response:
        assert (response.status, (await response.json())["error"]["type"]) == (503, "unavailable")
    await store.start()
    await say(client, CHAT, "q", user="u")


@pytest.fixture
def proxied(config):
    config["gateway"]["auth"] = {
        "mode": "trusted-proxy",
        "trustedProxy": {"userHeader": "x-user", "allowLoopback": True, "admins": ["root"]},
    }
    config["gateway"]["trustedProxies"] = ["127.0.0.1"]


def as_user(name, scopes=NARROW, **more):
    return {"x-user": name, "x-forwarded-for": "203.0.113.9", "x-openclaw-scopes": scopes, **more}


@pytest.mark.parametrize("path", [CHAT, RESPONSES])
@pytest.mark.parametrize("asked", [{"user": "u1"}, {}])
@pytest.mark.usefixtures("store", "proxied")
async def test_two_verified_users_never_see_each_others_turns(client, provider, path, asked):
    provider.says("a")
    key = {} if asked else {"x-openclaw-session-key": "agent:main:openai-user:u1"}
    for name in ("alice", "Alice", "bob"):
        await say(client, path, f"secret of {name}", headers=as_user(name, **key), **asked)
        assert seen(provider) == [("user", f"secret of {name}")]
    await say(client, path, "q2", headers=as_user("alice", **key), **asked)
    assert seen(provider)[0] == ("user", "secret of alice")
    assert len(seen(provider)) == 3


async def test_only_an_admin_reaches_another_users_conversation(store, proxied, client, provider):
    provider.says("a")
    await say(client, CHAT, "secret", headers=as_user("alice"), user="u1")
    theirs = {"x-openclaw-session-key": "user:alice:agent:main:openai-user:u1"}
    async with client.post(CHAT, json=body(CHAT, "q"), headers=as_user("bob", **theirs)) as response:
        assert response.status == 403
    await say(client, CHAT, "q", headers=as_user("root", "operator.admin", **theirs))
    assert seen(provider)[0] == ("user", "secret")


async def test_operators_list_read_export_and_delete_conversations(store, client, provider):
    provider.says("a1")
    await say(client, CHAT, "q1", user="u/1 %")
    await say(client, CHAT, "q2", user="u/1 %")
    await say(client, RESPONSES, "q", user="other")
    async with client.get("/api/v1/sessions") as response:
        sessions = (await response.json())["data"]
    assert [one["key"] for one in sessions] == ["agent:main:openresponses-user:other", "agent:main:openai-user:u/1 %"]
    assert sessions[1]["entries"] == 2
    assert sessions[1]["updated_at"] >= sessions[1]["created_at"] > 0
    async with client.get("/api/v1/sessions?limit=1") as response:
        assert len((await response.json())["data"]) == 1
    path = "/api/v1/sessions/agent:main:openai-user:u%2F1%20%25"
    async with client.get(path) as response:
        session = await response.json()
    assert session["key"] == sessions[1]["key"]
    async with client.get(path.replace("user:u", "USER:U")) as response:
        assert (await response.json())["key"] == session["key"]  # as in a request, letters are folded
    assert [entry["messages"][0]["parts"] for entry in session["transcript"]] == [
        [{"type": "text", "text": "q1"}],
        [{"type": "text", "text": "q2"}],
    ]
    async with client.get(f"{path}/export") as response:
        assert response.content_type == "application/jsonl"
        assert [json.loads(line) for line in (await response.text()).splitlines()] == session["transcript"]
    async with client.delete(path) as response:
        assert (response.status, (await response.json())["deleted"]) == (200, True)
    for method, target in (("GET", path), ("GET", f"{path}/export"), ("DELETE", path)):
        async with client.request(method, target) as response:
            assert (response.status, (await response.json())["error"]["code"]) == (404, "session_not_found")
    await say(client, CHAT, "q3", user="u/1 %")
    assert seen(provider) == [("user", "q3")]


async def test_scopes_limit_what_an_operator_sees_and_changes(store, proxied, client, provider):
    provider.says("a")
    await say(client, CHAT, "secret", headers=as_user("alice"), user="u1")
    path = "/api/v1/sessions/user:alice:agent:main:openai-user:u1"
    reader = as_user("bob", "operator.read")
    async with client.get("/api/v1/sessions", headers=reader) as response:
        assert (await response.json())["data"] == []
    for target in (path, f"{path}/export"):
        async with client.get(target, headers=reader) as response:
            assert response.status == 404
    async with client.delete(path, headers=as_user("alice", "operator.read,operator.write")) as response:
        assert response.status == 403
    async with client.get("/api/v1/sessions", headers=as_user("alice", "operator.read")) as response:
        assert [one["key"] for one in (await response.json())["data"]] == [path.rpartition("/")[2]]
    async with client.get("/api/v1/sessions/agent:main:openai-user:u1", headers=as_user("alice")) as response:
        assert response.status == 200  # the owner's own key needs no user
    admin = as_user("root", "operator.admin")
    async with client.get("/api/v1/sessions", headers=admin) as response:
        assert len((await response.json())["data"]) == 1
    async with client.get(path, headers=admin) as response:
        assert response.status == 200
    async with client.delete(path, headers=admin) as response:
        assert response.status == 200


async def test_conversations_are_listed_page_by_page(store, client, provider):
    provider.says("a")
    for number in range(5):
        await say(client, CHAT, "q", user=f"u{number}")
    seen, after = [], {}
    while after is not None:
        async with client.get("/api/v1/sessions", params={"limit": "2", **after}) as response:
            page = await response.json()
        assert len(page["data"]) <= 2
        seen += [one["key"].rpartition(":")[2] for one in page["data"]]
        after = page["next"] and {"after": page["next"]}
    assert seen == ["u4", "u3", "u2", "u1", "u0"]


@pytest.mark.parametrize(
    "after", ["", "x", "1", "nan:agent:main:a", "inf:agent:main:a", "1e300:agent:main:a", "1:main"]
)
async def test_an_invalid_page_is_a_bad_request(store, client, after):
    async with client.get("/api/v1/sessions", params={"after": after}) as response:
        assert (response.status, (await response.json())["error"]["param"]) == (400, "after")


@pytest.mark.parametrize("limit", ["0", "1001", "x", "-1", "1.5", "0000001000000", "9" * 5000])
async def test_an_invalid_limit_is_a_bad_request(store, client, limit):
    async with client.get(f"/api/v1/sessions?limit={limit}") as response:
        assert (response.status, (await response.json())["error"]["param"]) == (400, "limit")


async def test_an_invalid_key_is_not_found(store, client):
    async with client.get("/api/v1/sessions/nonsense") as response:
        assert response.status == 404


@pytest.mark.parametrize("name", ["{{user_id}}", "a{b}c", "{", "a b", "50%", "a/b", "\u2603"])
async def test_a_conversation_with_any_characters_in_its_name_can_be_read_and_deleted(store, client, provider, name):
    provider.says("a1")
    await say(client, CHAT, "q1", user=name)
    async with client.get("/api/v1/sessions") as response:
        (key,) = [session["key"] for session in (await response.json())["data"]]
    path = f"/api/v1/sessions/{quote(key, safe='')}"
    for method, way in (("GET", path), ("GET", f"{path}/export"), ("DELETE", path)):
        async with client.request(method, URL(way, encoded=True)) as response:
            assert response.status == 200, await response.text()


@pytest.mark.parametrize("request_id", ["a/b", "a:b", "a@b+c=d"])
async def test_a_run_with_any_accepted_request_id_can_be_read(client, provider, request_id):
    provider.says("a1")
    await say(client, CHAT, "q1", headers={"X-Request-ID": request_id})
    for path in (quote(request_id), quote(request_id, safe="")):
        async with client.get(URL(f"/api/v1/runs/{path}", encoded=True)) as response:
            assert response.status == 200, path
