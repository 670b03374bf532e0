"""Large bodies: their budget, the limit of their values, and the thread that decodes them."""

import asyncio
import contextlib
import gzip
import io
import json
import threading
import time
from unittest.mock import patch

import pytest
from aiohttp import web

from gateway.conversations import transcript
from gateway.core.errors import Overloaded
from gateway.http.answers import stored_responses
from gateway.http.large_bodies import LARGE, LARGE_BODIES, MAX_VALUES, BodyReservation, LargeBodies
from gateway.media.fair_queue import FairQueue
from gateway.media.fetch import Fetcher
from gateway.state.responses import store
from gateway.wire.openai_chat.ingress import ChatIngress
from gateway.wire.openai_responses import ingress

CHAT, RESPONSES, EMBEDDINGS = "/v1/chat/completions", "/v1/responses", "/v1/embeddings"
PATHS = pytest.mark.parametrize("path", [CHAT, RESPONSES, EMBEDDINGS])
MiB = 2**20


def body(path, text="hi", **more):
    prompt = {"messages": [{"role": "user", "content": text}]} if path == CHAT else {"input": text}
    return {"model": "openclaw", **prompt, **more}


class TestBudget:
    def test_it_is_shared_by_all_callers_and_one_gets_three_quarters(self):
        bodies = LargeBodies(100)
        first, second = bodies.reserve("a"), bodies.reserve("a")
        first.grow(50)
        second.grow(25)
        with pytest.raises(Overloaded, match="Your other large requests") as refused:
            second.grow(26)
        assert refused.value.headers == {"Retry-After": "2"}
        bodies.reserve("b").grow(25)
        with pytest.raises(Overloaded, match="busy with other"):
            bodies.reserve("b").grow(1)
        assert bodies.used == 100
        bodies.close()

    def test_a_release_returns_the_bytes_once(self):
        bodies = LargeBodies(100)
        one, other = bodies.reserve("a"), bodies.reserve("b")
        one.grow(40)
        other.grow(20)
        one.release()
        one.release()
        assert bodies.used == 20
        bodies.close()

    async def test_one_piece_of_one_body_is_read_in_each_iteration_of_the_event_loop(self):
        """Else other requests wait in each iteration for the pieces of all large bodies."""
        bodies, read = LargeBodies(100), []

        async def reads(name):
            reservation = bodies.reserve(name)
            for _ in range(3):
                await reservation.turn()
                read.append(name)

        tasks = [asyncio.create_task(reads(name)) for name in "abcd"]
        while not all(task.done() for task in tasks):
            before = len(read)
            await asyncio.sleep(0)
            assert len(read) <= before + 1
        assert read == list("abcd" * 3)
        bodies.close()

    async def test_the_next_body_is_decoded_when_the_last_one_has_been_worked_on(self):
        bodies, steps = LargeBodies(100), []

        async def work(name):
            await bodies.decode(lambda: steps.append(f"decode {name}"))
            time.sleep(0.05)
            steps.append(f"use {name}")

        await asyncio.gather(*map(work, "abc"))
        assert steps == [f"{step} {name}" for name in "abc" for step in ("decode", "use")]
        bodies.close()


@pytest.mark.parametrize("coding", ["identity", "gzip"])
async def test_a_large_body_waits_for_its_turn_after_each_piece(client, provider, coding):
    provider.says("Hello")
    sent = json.dumps(body(CHAT, "x" * 8 * LARGE)).encode()
    turns = []
    turn = BodyReservation.turn

    async def counted(reservation):
        turns.append(reservation)
        await turn(reservation)

    with patch.object(BodyReservation, "turn", counted):
        data = gzip.compress(sent) if coding == "gzip" else sent
        async with client.post(CHAT, data=io.BytesIO(data), headers={"Content-Encoding": coding}) as response:
            assert response.status == 200
    assert len(turns) > 2


async def test_a_refused_large_body_is_discarded_and_its_connection_closes(client):
    client.app[LARGE_BODIES].resize(0)
    reader, writer = await asyncio.open_connection(client.host, client.port)
    writer.write(
        f"POST {CHAT} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer token-of-the-tests\r\n"
        f"Content-Length: {16 * MiB}\r\n\r\n".encode()
    )
    with contextlib.suppress(ConnectionError):
        for _ in range(16):
            writer.write(b"x" * MiB)
            await writer.drain()
    answer = await reader.read()
    assert answer.startswith(b"HTTP/1.1 503 ")
    assert b"\r\nConnection: close\r\n" in answer
    writer.close()


@PATHS
@pytest.mark.parametrize("stream", [False, True])
async def test_a_full_budget_is_a_503_with_retry_after_before_the_body_is_sent(client, provider, path, stream):
    provider.says("Hello")
    bodies = client.app[LARGE_BODIES]
    bodies.reserve("others").grow(192 * MiB)
    bodies.reserve("more").grow(64 * MiB)
    sent = json.dumps(body(path, stream=stream)).encode()
    reader, writer = await asyncio.open_connection(client.host, client.port)
    writer.write(
        f"POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer token-of-the-tests\r\n"
        f"Content-Length: {LARGE + 1}\r\nExpect: 100-continue\r\n\r\n".encode()
    )
    head = await reader.readuntil(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 503 ")
    assert b"Retry-After: 2\r\n" in head
    writer.close()
    async with client.post(path if path != EMBEDDINGS else CHAT, data=sent) as response:
        assert response.status == (200 if path != EMBEDDINGS else 400)  # small bodies need no budget


@pytest.mark.parametrize("answer", ["answers", "refuses", "hangs"])
@pytest.mark.parametrize("path", [CHAT, RESPONSES])
async def test_the_budget_is_free_again_when_the_request_ends(client, provider, path, answer):
    bodies = client.app[LARGE_BODIES]
    sent = body(path, "x" * 2 * LARGE)
    if answer == "hangs":
        asked, abandoned = provider.hangs()
        request = asyncio.create_task(client.post(path, json=sent))
        await asked.wait()
        assert bodies.used > 2 * LARGE
        request.cancel()
        await abandoned.wait()
    else:
        provider.says("Hello") if answer == "answers" else provider.refuses(400, "no")
        await (await client.post(path, json=sent)).read()
    async with asyncio.timeout(30):
        while bodies.used:
            await asyncio.sleep(0)


async def test_a_background_run_keeps_its_bytes_until_it_ends(client, provider):
    bodies = client.app[LARGE_BODIES]
    asked, _ = provider.hangs()
    async with client.post(RESPONSES, json=body(RESPONSES, "x" * 2 * LARGE, background=True)) as response:
        name = (await response.json())["id"]
    await asked.wait()
    assert bodies.used > 2 * LARGE
    await (await client.post(f"{RESPONSES}/{name}/cancel")).read()
    assert bodies.used == 0


async def test_a_chunked_body_reserves_what_has_arrived(client, provider):
    provider.says("Hello")
    bodies = client.app[LARGE_BODIES]
    sent = json.dumps(body(CHAT, "x" * 3 * LARGE)).encode()
    used = []

    async def chunks():
        for start in range(0, len(sent), LARGE // 2):
            yield sent[start : start + LARGE // 2]
            await asyncio.sleep(0.01)
            used.append(bodies.used)

    async with client.post(CHAT, data=chunks()) as response:
        assert response.status == 200
    assert used[0] == 0
    assert used == sorted(used)
    assert used[-2] > 2 * LARGE


MANY = {
    "messages": (CHAT, "messages", [{"role": "user", "content": "hi"}] * (MAX_VALUES // 3 + 1)),
    "parts": (CHAT, "messages", [{"role": "user", "content": [{"type": "text", "text": ""}] * (MAX_VALUES // 3)}]),
    "fields": (CHAT, "x", {f"field-{index}": 1 for index in range(MAX_VALUES)}),
    "items": (RESPONSES, "input", [{"role": "user", "content": "hi"}] * (MAX_VALUES // 3 + 1)),
    "inputs": (EMBEDDINGS, "input", ["a"] * MAX_VALUES),
}


@pytest.mark.parametrize("kind", MANY)
async def test_too_many_values_are_a_413_that_says_so(client, kind):
    path, field, value = MANY[kind]
    sent = json.dumps(body(path) | {field: value}).encode()
    async with client.post(path, data=io.BytesIO(sent)) as response:
        assert response.status == 413, await response.text()
        error = (await response.json())["error"]
    assert f"more than {MAX_VALUES} JSON values" in error["message"]


SMALL = {"x-openclaw-model": "fake/small"}
TOKENS = 300_000 // 2048  # of one input, at OpenAI's limits


@pytest.fixture
def embedding_config(config):
    compat = {"supportsEmbeddingTokens": True}
    config["models"]["providers"]["fake"]["models"].append({"id": "vectors", "compat": compat})
    config["memory"] = {"search": {"provider": "fake", "model": "vectors"}}


def token_ids(inputs, length):
    return json.dumps({"model": "openclaw", "input": [list(range(100_000, 100_000 + length))] * inputs}).encode()


@pytest.mark.usefixtures("embedding_config")
async def test_as_many_token_ids_as_openai_embeds_are_accepted(client, provider):
    async def answer(_request):
        data = [{"index": index, "embedding": [0.5]} for index in range(2048)]
        return web.json_response({"data": data, "usage": {"prompt_tokens": 1, "total_tokens": 1}})

    provider.answer = answer
    async with client.post(EMBEDDINGS, data=io.BytesIO(token_ids(2048, TOKENS))) as response:
        assert response.status == 200, await response.text()
        assert len((await response.json())["data"]) == 2048
    (asked,) = provider.asked
    assert [len(one) for one in asked["input"]] == [TOKENS] * 2048
    assert client.app[LARGE_BODIES].used == 0


@pytest.mark.usefixtures("embedding_config")
@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(token_ids(5, 90_000), id="more token ids"),
        pytest.param(json.dumps({"model": "m", "x": {f"k{n}": n for n in range(MAX_VALUES + 1)}}).encode(), id="names"),
        pytest.param(b'{"model":"m","input":[' + b"[]," * MAX_VALUES + b"[]]}", id="arrays"),
        pytest.param(b'{"model":"m","input":[' + b'"a",' * MAX_VALUES + b'"a"]}', id="texts"),
        pytest.param(
            b'{"x":[' + b"1," * 250_000 + b'1],"input":[' + b'"a",' * MAX_VALUES + b'"a"]}', id="texts behind numbers"
        ),
    ],
)
async def test_other_values_are_as_few_as_ever_where_token_ids_are_accepted(client, sent):
    async with client.post(EMBEDDINGS, data=io.BytesIO(sent)) as response:
        assert response.status == 413, await response.text()
    assert client.app[LARGE_BODIES].used == 0


async def test_numbers_count_where_no_token_ids_are_expected(client):
    async with client.post(CHAT, data=io.BytesIO(token_ids(2048, TOKENS))) as response:
        assert response.status == 413


@pytest.mark.usefixtures("embedding_config")
async def test_token_ids_for_a_model_without_them_are_a_400(client):
    async with client.post(EMBEDDINGS, data=io.BytesIO(token_ids(2048, TOKENS)), headers=SMALL) as response:
        assert response.status == 400, await response.text()
        assert (await response.json())["error"]["code"] == "tokens_unsupported"


async def test_a_large_body_is_decoded_outside_the_event_loop_and_a_small_one_inside(client, provider):
    provider.says("Hello")
    threads = []
    read = ChatIngress.read

    def reads(sent):
        threads.append(threading.current_thread())
        return read(sent)

    with patch.object(ChatIngress, "read", reads):
        for text in ("x" * (LARGE + 1), "hi"):
            async with client.post(CHAT, json=body(CHAT, text)) as response:
                assert response.status == 200
    assert [thread is threading.main_thread() for thread in threads] == [False, True]
    assert provider.asked[0]["messages"][0]["content"] == "x" * (LARGE + 1)


@pytest.mark.parametrize(("count", "on_loop"), [(4000, {False}), (1, {True})])
async def test_what_is_stored_of_a_large_request_is_encoded_and_decoded_outside_the_event_loop(
    client, provider, monkeypatch, count, on_loop
):
    provider.says("Hello")
    seen = {}

    def watch(module, name):
        original = getattr(module, name)

        def watched(*arguments):
            seen.setdefault(name, set()).add(threading.current_thread() is threading.main_thread())
            return original(*arguments)

        monkeypatch.setattr(module, name, watched)

    messages = [{"role": "user", "content": "some words " * 8}] * count
    watch(transcript, "write_messages")
    async with client.post(CHAT, json=body(CHAT, user="u") | {"messages": messages}) as response:
        assert response.status == 200, await response.text()
    assert seen == {"write_messages": on_loop}
    seen.clear()
    for module, name in [(store, "write_messages"), (store, "read_messages"), (ingress, "input_items")]:
        watch(module, name)
    watch(stored_responses, "loads")
    async with client.post(RESPONSES, json=body(RESPONSES, messages)) as response:
        assert response.status == 200, await response.text()
        name = (await response.json())["id"]
    async with client.get(f"{RESPONSES}/{name}/input_items") as response:
        assert response.status == 200, await response.text()
    assert seen == dict.fromkeys(("write_messages", "read_messages", "input_items", "loads"), on_loop)


async def sent_at_each_route(client, name, item):
    """Use a stored response in every way. Returns the statuses, and the values of `Retry-After`."""
    more = {"previous_response_id": name}, {"input": [{"type": "item_reference", "id": item}]}
    got = []
    for path in (f"{RESPONSES}/{name}", f"{RESPONSES}/{name}/input_items", f"{RESPONSES}/{name}?stream=true"):
        async with client.get(path) as response:
            got.append((response.status, response.headers.get("Retry-After")))
            await response.read()
    for fields in more:
        async with client.post(RESPONSES, json=body(RESPONSES, store=False) | fields) as response:
            got.append((response.status, response.headers.get("Retry-After")))
            await response.read()
    return got


async def test_large_stored_data_that_requests_hold_have_the_same_budget(client, provider):
    """Else any number of clients that read slowly, or that continue one large response, fill the memory."""
    provider.says("x" * 5 * LARGE)
    async with client.post(RESPONSES, json=body(RESPONSES, background=True)) as response:
        name = (await response.json())["id"]
    async with client.get(f"{RESPONSES}/{name}?stream=true") as response:
        events = await response.text()
    assert "response.completed" in events
    item = json.loads(events.rpartition("event: response.completed\ndata: ")[2].partition("\n")[0])["response"][
        "output"
    ]
    bodies = client.app[LARGE_BODIES]
    assert await sent_at_each_route(client, name, item[0]["id"]) == [(200, None)] * 5
    assert bodies.used == 0
    others = [bodies.reserve("others"), bodies.reserve("more")]
    others[0].grow(192 * MiB)
    others[1].grow(64 * MiB)
    assert await sent_at_each_route(client, name, item[0]["id"]) == [(503, "2")] * 5
    for one in others:
        one.release()
    assert await sent_at_each_route(client, name, item[0]["id"]) == [(200, None)] * 5
    assert bodies.used == 0


async def test_a_stream_that_reads_a_large_log_reserves_what_it_has_rendered(client, provider):
    provider.says("|".join(["x" * LARGE] * 8))
    async with client.post(RESPONSES, json=body(RESPONSES, background=True, stream=True)) as response:
        first = await response.content.readany()
        assert b"response.created" in first
        text = (first + await response.read()).decode()
    assert "response.completed" in text
    bodies = client.app[LARGE_BODIES]
    name = json.loads(text.partition("data: ")[2].partition("\n")[0])["response"]["id"]
    other = bodies.reserve("others")
    other.grow(192 * MiB)
    more = bodies.reserve("more")
    more.grow(64 * MiB - 22 * LARGE)  # the stored response fits, and a part of its events
    async with client.get(f"{RESPONSES}/{name}?stream=true") as response:
        assert response.status == 200
        text = await response.text()
    assert '"code":"overloaded"' in text
    assert text.endswith("data: [DONE]\n\n")
    assert "response.completed" not in text
    number = int(text.rpartition('"sequence_number":')[2].partition("}")[0])
    more.release()
    async with client.get(f"{RESPONSES}/{name}?stream=true&starting_after={number}") as response:
        text += await response.text()
    assert "response.completed" in text
    assert bodies.used == 192 * MiB
    other.release()


IMAGE = {"type": "image_url", "image_url": {"url": "https://pictures.test/a"}}
BY_URL = {
    "chat": (CHAT, {"messages": [{"role": "user", "content": [IMAGE]}]}),
    "response, image": (RESPONSES, {"input": [{"role": "user", "content": [
        {"type": "input_image", "image_url": "https://pictures.test/a"}]}]}),
    "response, file": (RESPONSES, {"input": [{"role": "user", "content": [
        {"type": "input_file", "file_url": "https://pictures.test/a"}]}]}),
    "message, image": ("/v1/messages", {"max_tokens": 9, "messages": [{"role": "user", "content": [
        {"type": "image", "source": {"type": "url", "url": "https://pictures.test/a"}}]}]}),
}  # fmt: skip


@pytest.fixture
def urls_config(config):
    endpoints = config["gateway"]["http"]["endpoints"]
    endpoints["chatCompletions"]["images"] = {"allowUrl": True}


@pytest.mark.usefixtures("urls_config")
@pytest.mark.parametrize("kind", BY_URL)
async def test_what_urls_bring_has_the_same_budget(client, monkeypatch, kind):
    callers, enter = [], FairQueue._enter

    async def entered(queue, caller):
        callers.append(caller)
        await enter(queue, caller)

    async def follow(_fetcher, _url, _max_bytes, hold):
        hold(2 * LARGE)
        raise AssertionError("the budget is full")

    monkeypatch.setattr(FairQueue, "_enter", entered)
    monkeypatch.setattr(Fetcher, "_follow", follow)
    client.app[LARGE_BODIES].resize(LARGE)
    path, fields = BY_URL[kind]
    async with client.post(path, json={"model": "openclaw"} | fields) as response:
        assert response.status == (529 if kind.startswith("message") else 503), await response.text()
        assert response.headers["Retry-After"] == "2"
    assert callers == ["owner"]
