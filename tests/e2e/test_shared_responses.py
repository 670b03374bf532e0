"""Responses that one gateway keeps and another continues, streams, cancels and ends; both on one Redis."""

import asyncio
import signal

import openai
import pytest
import pytest_asyncio

from tests.e2e.answers import SEEN, chunk, hangs, in_turn, says, streams
from tests.e2e.conftest import TOKEN
from tests.e2e.process import serving
from tests.servers import redis_server

pytestmark = pytest.mark.asyncio(loop_scope="module")


def as_model(official, model):
    return official.with_options(default_headers=model.chosen)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def both(config, tmp_path_factory):
    directory = tmp_path_factory.mktemp("shared")
    for name in ("redis", "a", "b"):
        (directory / name).mkdir()
    async with redis_server(directory / "redis") as redis:
        shared = config | {"gateway": config["gateway"] | {"redis": {"url": redis.url}}}
        async with serving(directory / "a", shared) as one, serving(directory / "b", shared) as two:
            http = [openai.DefaultAsyncHttpxClient(trust_env=False) for _ in range(2)]
            clients = [
                openai.AsyncOpenAI(api_key=TOKEN, base_url=f"{gateway.url}/v1", max_retries=0, http_client=client)
                for gateway, client in zip((one, two), http, strict=True)
            ]
            async with clients[0], clients[1]:
                yield one, *clients


async def test_what_one_has_kept_the_other_continues_and_deletes(both, provider):
    _, one, two = both
    model = provider.model(in_turn(says("ONE"), says("TWO")))
    first = await as_model(one, model).responses.create(model="openclaw", input="one")
    second = await as_model(two, model).responses.create(model="openclaw", input="two", previous_response_id=first.id)
    assert [message["content"] for message in model.asked[1].body["messages"]] == ["one", "ONE", "two"]
    assert await one.responses.retrieve(second.id) == second
    await one.responses.delete(second.id)
    with pytest.raises(openai.NotFoundError):
        await two.responses.retrieve(second.id)


async def test_a_run_of_one_is_streamed_and_cancelled_by_the_other(both, provider):
    _, one, two = both
    model = provider.model(streams(chunk({"content": "Hel"}), SEEN, chunk({"content": "lo"}), then=hangs))
    told = await as_model(one, model).responses.create(model="openclaw", input="hi", background=True)
    seen = []
    async for event in await two.responses.retrieve(told.id, stream=True):
        seen.append(event)
        if event.type == "response.output_text.delta":
            model.seen.set()
        if len([event for event in seen if event.type == "response.output_text.delta"]) == 2:
            break
    assert [event.sequence_number for event in seen] == list(range(len(seen)))
    cancelled = await two.responses.cancel(told.id)
    assert cancelled.status == "cancelled"
    assert (await one.responses.retrieve(told.id)).status == "cancelled"
    async with asyncio.timeout(10):
        await model.abandoned.wait()


async def test_the_run_of_an_instance_that_was_killed_ends_as_failed(both, provider):
    gateway, one, two = both
    model = provider.model(streams(chunk({"content": "Hel"}), then=hangs))
    told = await as_model(one, model).responses.create(model="openclaw", input="hi", background=True)
    async with asyncio.timeout(10):
        await model.arrived.wait()
    watching = await two.responses.retrieve(told.id, stream=True)
    gateway.process.signal(signal.SIGKILL)
    async with asyncio.timeout(30):
        events = [event async for event in watching]
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert (events[-1].type, events[-1].response.status) == ("response.failed", "failed")
    assert (await two.responses.retrieve(told.id)).error.code == "server_error"
