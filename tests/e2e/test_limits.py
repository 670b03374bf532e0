"""`gateway.limits` over real connections: one gateway, and three that share a real Redis."""

import asyncio
import time
from contextlib import AsyncExitStack

import aiohttp
import openai
import pytest
import pytest_asyncio

from tests.e2e.answers import SEEN, chunk, cuts, does, embeds, hangs, refuses, says, streams
from tests.e2e.conftest import TOKEN
from tests.e2e.process import serving
from tests.servers import redis_server

pytestmark = pytest.mark.asyncio(loop_scope="module")

CHAT = "/v1/chat/completions"
HI = {"messages": [{"role": "user", "content": "hi"}], "max_tokens": 99}  # 1 + 99 tokens are reserved
WHOLE, STREAM = (CHAT, HI), (CHAT, HI | {"stream": True})
RESPONSE = ("/v1/responses", {"model": "openclaw", "input": "hi", "max_output_tokens": 99})
RESPONSE_STREAM = (RESPONSE[0], RESPONSE[1] | {"stream": True})
EMBEDDING = ("/v1/embeddings", {"model": "openclaw", "input": "hi"})
FORMS = {"whole": WHOLE, "stream": STREAM, "response": RESPONSE, "streamed response": RESPONSE_STREAM}
HEADERS = {"Authorization": f"Bearer {TOKEN}"}
LIMITS = [
    {"name": "few", "per": ["model"], "models": ["fake/few*"], "requestsPerMinute": 5},
    {"name": "tokens", "per": ["model"], "models": ["fake/tokens*"], "tokensPerMinute": 1000},
    {"name": "single", "per": ["model"], "models": ["fake/single*"], "concurrentRuns": 1},
]


@pytest.fixture(scope="module")
def config(config):
    config["gateway"]["limits"] = LIMITS
    return config


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def redis(tmp_path_factory):
    async with redis_server(tmp_path_factory.mktemp("redis")) as ready:
        yield ready


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def three(config, redis, tmp_path_factory):
    """Three gateways on one Redis."""
    shared = config | {"gateway": config["gateway"] | {"redis": {"url": redis.url}}}
    async with AsyncExitStack() as stack:
        folders = [tmp_path_factory.mktemp("state") for _ in range(3)]
        yield [await stack.enter_async_context(serving(folder, shared)) for folder in folders]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def clients(three):
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(aiohttp.ClientSession(one.url, headers=HEADERS)) for one in three]


async def ask(client, model, form=WHOLE):
    """The response, read to its end."""
    path, body = form
    async with client.post(path, json=body, headers=model.chosen) as response:
        await response.read()
        return response


async def statuses(*asked):
    return sorted(response.status for response in await asyncio.gather(*asked))


async def remaining(client, model):
    return int((await ask(client, model)).headers["x-ratelimit-remaining-tokens"])


async def until_let_through(client, model):
    """Wait until the gateway has noticed the disconnect."""
    async with asyncio.timeout(30):
        while (await ask(client, model)).status == 429:
            pass


@pytest.mark.parametrize("name", FORMS)
async def test_of_many_concurrent_requests_exactly_the_limit_is_admitted(client, provider, name):
    model = provider.model(says(), f"few {name}")
    assert await statuses(*(ask(client, model, FORMS[name]) for _ in range(60))) == [200] * 5 + [429] * 55
    assert len(model.asked) == 5


async def test_all_endpoints_count_together(client, provider):
    chat, vectors = provider.model(says(), "few-all"), embeds([1.0])

    async def answer(request, model):
        return await (vectors if request.path.endswith("/embeddings") else says())(request, model)

    chat.answer = answer
    forms = [*FORMS.values(), EMBEDDING] * 4
    assert await statuses(*(ask(client, chat, form) for form in forms)) == [200] * 5 + [429] * 15
    refused = await ask(client, chat, EMBEDDING)
    assert (refused.status, int(refused.headers["Retry-After"]) > 0) == (429, True)


async def test_requests_without_a_limit_have_no_limit_headers(client, provider):
    response = await ask(client, provider.model(says()))
    assert response.status == 200
    assert not [name for name in response.headers if "ratelimit" in name.lower()]


async def test_the_official_client_obeys_retry_after(official, provider):
    model = provider.model(says(), "single-official")
    model.answer = does(hangs)
    async with asyncio.timeout(20):
        held = asyncio.create_task(
            official.chat.completions.create(model="openclaw", messages=HI["messages"], extra_headers=model.chosen)
        )
        await model.arrived.wait()
        with pytest.raises(openai.RateLimitError) as caught:
            await official.chat.completions.create(
                model="openclaw", messages=HI["messages"], extra_headers=model.chosen
            )
        assert caught.value.response.headers["retry-after"] == "1"
        waiting = asyncio.create_task(
            official.with_options(max_retries=5).chat.completions.create(
                model="openclaw", messages=HI["messages"], extra_headers=model.chosen
            )
        )
        model.answer = says("Hello")
        held.cancel()
        assert (await waiting).choices[0].message.content == "Hello"


@pytest.mark.parametrize("name", FORMS)
async def test_tokens_are_settled_to_what_the_provider_counts(client, provider, name):
    model = provider.model(says("Hel|lo"), f"tokens {name}")
    await ask(client, model, FORMS[name])
    assert await remaining(client, model) == 1000 - 18 - 100


async def test_tokens_of_embeddings_are_settled(client, provider):
    model = provider.model(embeds([1.0]), "tokens-vectors")
    for _ in range(3):
        response = await ask(client, model, EMBEDDING)
    assert response.headers["x-ratelimit-remaining-tokens"] == str(1000 - 3 - 3 - 1)


ENDINGS = {
    "success": (says(), 200),
    "failure": (refuses(500), 502),
    "a refusal of the request": (refuses(400), 400),
    "a broken connection": (does(cuts), 502),
}


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("name", FORMS)
async def test_a_slot_is_free_after_every_ending(client, provider, name, ending):
    answer, status = ENDINGS[ending]
    model = provider.model(answer, f"single {name} {ending}")
    for _ in range(3):
        assert (await ask(client, model, FORMS[name])).status == status


async def test_a_slot_is_free_after_a_broken_stream(client, provider):
    model = provider.model(streams(chunk({"content": "Hel"}), then=cuts), "single-broken")
    for _ in range(3):
        async with client.post(STREAM[0], json=STREAM[1], headers=model.chosen) as response:
            assert response.status == 200
            assert b"error" in await response.read()


@pytest.mark.parametrize("name", FORMS)
async def test_a_slot_is_free_after_a_disconnect(client, provider, name):
    model = provider.model(does(hangs), f"single-left {name}")
    leaving = asyncio.create_task(ask(client, model, FORMS[name]))
    async with asyncio.timeout(10):
        await model.arrived.wait()
        assert (await ask(client, model)).status == 429
        leaving.cancel()
        await model.abandoned.wait()
    model.answer = says()
    await until_let_through(client, model)


async def test_a_disconnect_within_a_stream_costs_the_tokens_so_far(client, provider):
    model = provider.model(streams(chunk({"content": "x" * 400}), then=hangs), "tokens-left")
    async with client.post(STREAM[0], json=STREAM[1], headers=model.chosen) as response:
        await response.content.readuntil(b"x" * 400)
        assert response.headers["x-ratelimit-remaining-tokens"] == "900"
    async with asyncio.timeout(10):
        await model.abandoned.wait()
    model.answer = says()
    for number in range(5):  # the gateway notices a moment later
        left = await remaining(client, model)
        if left == 1000 - 101 - 100 - 18 * number:
            break
    assert left == 1000 - 101 - 100 - 18 * number


async def together(three, scenario):
    """Repeat the scenario until all gateways use Redis throughout: on a busy machine Redis may answer too late."""
    for number in range(5):
        before = [count(one, "Redis is not available") for one in three]
        try:
            await scenario(number)
        except AssertionError:
            if [count(one, "Redis is not available") for one in three] == before:
                raise
        else:
            return
        async with asyncio.timeout(20):
            while any(count(one, "Redis is in use") <= count(one, "Redis is not available") for one in three):
                await asyncio.sleep(0.01)
    raise AssertionError("Redis was given up each time")


def count(gateway, text):
    return gateway.process.errors.count(text)


async def test_three_gateways_admit_exactly_the_limit(clients, three, provider):
    async def scenario(number):
        model = provider.model(says(), f"few-three-{number}")
        forms = list(FORMS.values())
        asked = [ask(clients[turn % 3], model, forms[turn % 4]) for turn in range(120)]
        assert await statuses(*asked) == [200] * 5 + [429] * 115
        assert len(model.asked) == 5

    await together(three, scenario)


async def test_three_gateways_settle_tokens_together(clients, three, provider):
    async def scenario(number):
        model = provider.model(says(), f"tokens-three-{number}")
        for turn in range(6):
            assert await remaining(clients[turn % 3], model) == 1000 - 18 * turn - 100

    await together(three, scenario)


async def test_after_the_end_of_an_answer_its_slot_is_free_on_every_gateway(clients, three, provider):
    async def scenario(number):
        model = provider.model(says("Hel|lo"), f"single-three-{number}")
        forms = list(FORMS.values())
        for turn in range(60):
            assert (await ask(clients[turn % 3], model, forms[turn % 4])).status == 200

    await together(three, scenario)


async def test_a_slot_taken_at_one_gateway_is_taken_at_all(clients, three, provider):
    async def scenario(number):
        answer = streams(chunk({"content": "Hello"}), SEEN, chunk({}, "stop"))
        model = provider.model(answer, f"single-held-{number}")
        held = asyncio.create_task(ask(clients[0], model, STREAM))
        async with asyncio.timeout(10):
            await model.arrived.wait()
        statuses = [(await ask(client, model)).status for client in clients[1:]]
        model.seen.set()
        await held
        model.answer = says()
        statuses += [(await ask(client, model)).status for client in clients]
        assert statuses == [429, 429, 200, 200, 200]

    await together(three, scenario)


async def test_a_frozen_redis_neither_delays_requests_nor_shows_in_answers(clients, three, redis, provider):
    model = provider.model(says(), "few-frozen")
    assert [(await ask(client, model)).status for client in clients] == [200] * 3
    redis.freeze()
    try:
        for client in clients:
            began = time.monotonic()
            response = await ask(client, model)
            assert time.monotonic() - began < 1.0  # 0.05, and an allowance for a busy machine
            assert response.status == 200
            assert response.headers["x-ratelimit-remaining-requests"] == "3"  # it continues from its own count
        alone = [sorted([(await ask(client, model)).status for _ in range(4)]) for client in clients]
        assert alone == [[200] * 3 + [429]] * 3
        for one in three:
            await one.process.wait_for_output("Redis is not available")
    finally:
        redis.thaw()
    async with asyncio.timeout(20):
        while any(count(one, "Redis is in use") <= count(one, "Redis is not available") for one in three):
            await asyncio.sleep(0.01)


async def test_a_redis_that_returns_empty_learns_what_was_admitted(clients, three, redis, provider):
    few, single = provider.model(says(), "few-gone"), provider.model(does(hangs), "single-gone")
    held = asyncio.create_task(ask(clients[0], single))
    async with asyncio.timeout(10):
        await single.arrived.wait()
    await redis.stop()
    assert [(await ask(clients[1], few)).status for _ in range(3)] == [200] * 3
    before = [count(one, "Redis is in use") for one in three]
    await redis.start()
    async with asyncio.timeout(20):
        while any(count(one, "Redis is in use") == known for one, known in zip(three, before, strict=True)):
            await asyncio.sleep(0.01)
    async with asyncio.timeout(20):
        while not await redis.ask("KEYS", "*few*") or not await redis.ask("KEYS", "*single*"):
            await asyncio.sleep(0.01)
    assert [(await ask(clients[2], few)).status for _ in range(3)] == [200, 200, 429]
    assert (await ask(clients[2], single)).status == 429
    held.cancel()
    async with asyncio.timeout(10):
        await single.abandoned.wait()
    single.answer = says()
    await until_let_through(clients[2], single)
