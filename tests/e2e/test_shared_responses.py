"""Responses that one gateway stores and another continues, streams and cancels; both on one Redis."""

import asyncio
import signal
from contextlib import asynccontextmanager

import openai
import pytest
import pytest_asyncio
from openai.types.responses import ResponseStreamEvent
from pydantic import TypeAdapter

from tests.e2e.answers import DONE, SEEN, chunk, hangs, in_turn, says, streams
from tests.e2e.conftest import TOKEN
from tests.e2e.process import serving
from tests.servers import redis_server

WEATHER = {"type": "function", "name": "get_weather", "parameters": {"type": "object", "properties": {}}}
EVENT = TypeAdapter(ResponseStreamEvent)

pytestmark = pytest.mark.asyncio(loop_scope="module")


def as_model(official, model):
    return official.with_options(default_headers=model.chosen)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def redis(tmp_path_factory):
    async with redis_server(tmp_path_factory.mktemp("redis"), appendonly="yes") as started:
        yield started


@pytest.fixture(scope="module")
def shared(config, redis):
    """The configuration of a gateway that shares this Redis and stops without a drain."""
    more = {"redis": {"url": redis.url}, "drain": {"noticeMs": 0, "timeoutMs": 100}}
    return config | {"gateway": config["gateway"] | more}


@asynccontextmanager
async def client_of(gateway):
    http = openai.DefaultAsyncHttpxClient(trust_env=False)
    url = f"{gateway.url}/v1"
    async with openai.AsyncOpenAI(api_key=TOKEN, base_url=url, max_retries=0, http_client=http) as client:
        yield client


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def both(shared, tmp_path_factory):
    one, two = (tmp_path_factory.mktemp(name) for name in ("one", "two"))
    async with (
        serving(one, shared) as first,
        serving(two, shared) as second,
        client_of(first) as a,
        client_of(second) as b,
    ):
        yield first, a, b


async def read_until_text(stream):
    """The events up to the first text."""
    seen = []
    async for event in stream:
        seen.append(event)
        if event.type == "response.output_text.delta":
            return seen
    raise AssertionError(f"the stream ended: {seen}")


async def test_a_response_stored_by_one_instance_is_continued_and_deleted_by_another(both, provider):
    _, one, two = both
    model = provider.model(in_turn(says("ONE"), says("TWO")))
    first = await as_model(one, model).responses.create(model="openclaw", input="one")
    second = await as_model(two, model).responses.create(model="openclaw", input="two", previous_response_id=first.id)
    assert [message["content"] for message in model.asked[1].body["messages"]] == ["one", "ONE", "two"]
    assert await one.responses.retrieve(second.id) == second
    await one.responses.delete(second.id)
    with pytest.raises(openai.NotFoundError):
        await two.responses.retrieve(second.id)


async def test_a_run_of_one_instance_is_streamed_and_cancelled_by_another(both, provider):
    _, one, two = both
    model = provider.model(streams(chunk({"content": "Hel"}), SEEN, chunk({"content": "lo"}), then=hangs))
    response = await as_model(one, model).responses.create(model="openclaw", input="hi", background=True)
    seen = []
    async for event in await two.responses.retrieve(response.id, stream=True):
        seen.append(event)
        if event.type == "response.output_text.delta":
            model.seen.set()
        if len([event for event in seen if event.type == "response.output_text.delta"]) == 2:
            break
    assert [event.sequence_number for event in seen] == list(range(len(seen)))
    cancelled = await two.responses.cancel(response.id)
    assert cancelled.status == "cancelled"
    assert (await one.responses.retrieve(response.id)).status == "cancelled"
    async with asyncio.timeout(10):
        await model.abandoned.wait()


async def test_a_stream_begun_at_one_instance_is_resumed_at_another(both, provider):
    _, one, two = both
    model = provider.model(streams(chunk({"content": "Hel"}), SEEN, chunk({"content": "lo"}), chunk({}, "stop"), DONE))
    response = await as_model(one, model).responses.create(model="openclaw", input="hi", background=True, stream=True)
    seen = await read_until_text(response)
    await response.close()
    name = seen[0].response.id
    assert (await two.responses.retrieve(name)).status == "in_progress"
    model.seen.set()
    resumed = await two.responses.retrieve(name, stream=True, starting_after=seen[-1].sequence_number)
    seen += [event async for event in resumed]
    assert [event.sequence_number for event in seen] == list(range(len(seen)))
    for event in seen:
        EVENT.validate_python(event.model_dump())
    assert (seen[-1].type, seen[-1].response.output_text) == ("response.completed", "Hello")
    assert await one.responses.retrieve(name) == await two.responses.retrieve(name) == seen[-1].response


async def test_the_accumulator_of_the_official_client_resumes_a_run_in_the_middle(both, provider):
    _, one, two = both
    answer = says("Hel|lo", ("call_1", "get_weather", '{"city":"Oslo"}'), finish="tool_calls")
    response = await as_model(one, provider.model(answer)).responses.create(
        model="openclaw", input="hi", background=True, tools=[WEATHER]
    )
    async with two.responses.stream(response_id=response.id) as stream:
        final = await stream.get_final_response()
    assert (final.status, final.output_text, final.output[1].arguments) == ("completed", "Hello", '{"city":"Oslo"}')
    async with two.responses.stream(response_id=response.id, starting_after=6) as stream:
        numbers = [event.sequence_number async for event in stream]
        assert (await stream.get_final_response()).id == response.id
    assert numbers[0] == 7


async def test_a_stream_at_one_instance_ends_when_another_cancels_its_run(both, provider):
    _, one, two = both
    model = provider.model(streams(chunk({"content": "Hel"}), then=hangs))
    response = await as_model(one, model).responses.create(model="openclaw", input="hi", background=True, stream=True)
    seen = await read_until_text(response)
    cancelled = await two.responses.cancel(seen[0].response.id)
    seen += [event async for event in response]
    assert (seen[-1].type, seen[-1].response) == ("response.failed", cancelled)
    assert cancelled.status == "cancelled"
    assert [event.sequence_number for event in seen] == list(range(len(seen)))
    async with asyncio.timeout(10):
        await model.abandoned.wait()


async def test_a_run_of_one_instance_is_deleted_at_another(both, provider):
    _, one, two = both
    model = provider.model(streams(chunk({"content": "Hel"}), then=hangs))
    response = await as_model(one, model).responses.create(model="openclaw", input="hi", background=True)
    async with asyncio.timeout(10):
        await model.arrived.wait()
    await two.responses.delete(response.id)
    async with asyncio.timeout(10):
        await model.abandoned.wait()
    for client in (one, two):
        with pytest.raises(openai.NotFoundError):
            await client.responses.retrieve(response.id)


async def test_a_stopping_gateway_ends_its_streams_of_runs_on_other_instances(both, shared, provider, tmp_path):
    _, one, _ = both
    model = provider.model(streams(chunk({"content": "Hel"}), SEEN, chunk({"content": "lo"}), chunk({}, "stop"), DONE))
    response = await as_model(one, model).responses.create(model="openclaw", input="hi", background=True)
    async with serving(tmp_path, shared) as third, client_of(third) as client:
        watching = await client.responses.retrieve(response.id, stream=True)
        seen = await read_until_text(watching)
        third.process.signal(signal.SIGTERM)
        last = [event async for event in watching][-1]
        assert await third.process.ended() == 0
    assert (last.type, last.code, last.sequence_number) == ("error", "unavailable", seen[-1].sequence_number)
    EVENT.validate_python(last.model_dump())
    model.seen.set()
    seen += [
        event
        async for event in await one.responses.retrieve(response.id, stream=True, starting_after=last.sequence_number)
    ]
    assert [event.sequence_number for event in seen] == list(range(len(seen)))
    assert seen[-1].response.output_text == "Hello"


async def test_a_run_survives_an_unavailable_redis_and_its_stream_reports_it(both, redis, provider):
    _, one, two = both
    model = provider.model(streams(chunk({"content": "Hel"}), SEEN, chunk({"content": "lo"}), chunk({}, "stop"), DONE))
    response = await as_model(one, model).responses.create(model="openclaw", input="hi", background=True)
    watching = await two.responses.retrieve(response.id, stream=True)
    seen = await read_until_text(watching)
    await redis.kill()
    model.seen.set()
    async with asyncio.timeout(30):
        last = [event async for event in watching][-1]
    assert (last.type, last.code, last.sequence_number) == ("error", "unavailable", seen[-1].sequence_number)
    await redis.start()
    resumed = await two.responses.retrieve(response.id, stream=True, starting_after=last.sequence_number)
    seen += [event async for event in resumed]
    assert [event.sequence_number for event in seen] == list(range(len(seen)))
    assert seen[-1].response.output_text == "Hello"


async def test_the_run_of_an_instance_that_was_killed_ends_as_failed(both, redis, provider):
    gateway, one, two = both
    model = provider.model(streams(chunk({"content": "Hel"}), then=hangs))
    earlier = await redis.ask("KEYS", "*:response-lease:*")  # of runs that have ended
    response = await as_model(one, model).responses.create(model="openclaw", input="hi", background=True)
    async with asyncio.timeout(10):
        await model.arrived.wait()
    watching = await two.responses.retrieve(response.id, stream=True)
    gateway.process.signal(signal.SIGKILL)
    await gateway.process.ended()
    (lease,) = set(await redis.ask("KEYS", "*:response-lease:*")) - set(earlier)
    assert await redis.ask("PEXPIRE", lease, 1), "as fifteen seconds would"
    async with asyncio.timeout(10):
        events = [event async for event in watching]
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert (events[-1].type, events[-1].response.status) == ("response.failed", "failed")
    assert (await two.responses.retrieve(response.id)).error.code == "server_error"
