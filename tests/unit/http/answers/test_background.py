"""Background responses: polling, replay, cancellation, and the end when a worker has died."""

import asyncio
import json

import openai
import pytest

from gateway.http.answers.background import BackgroundPolicy
from gateway.http.keys import CURRENT
from gateway.state.responses.sqlite import SqliteResponses
from gateway.state.responses.store import ResponsePolicy
from gateway.state.schema import MIGRATIONS
from gateway.state.sqlite import Database
from tests.unit.http.thinking import CALL, RESPONSES_TOOL, SHAPES, THOUGHT, answers, message, returned


async def begin(official, **more):
    return await official.responses.create(model="openclaw", input="hi", background=True, **more)


async def ended(official, response_id):
    """The response once it has ended, polled as in the official documentation."""
    async with asyncio.timeout(10):
        while (response := await official.responses.retrieve(response_id)).status in ("queued", "in_progress"):
            await asyncio.sleep(0.02)
    return response


async def test_a_background_response_can_be_polled(official, provider):
    provider.says("Hel|lo")
    created = await begin(official)
    assert (created.status, created.background, created.output) == ("queued", True, [])
    response = await ended(official, created.id)
    assert (response.status, response.output_text, response.usage.total_tokens) == ("completed", "Hello", 18)


async def test_operators_see_the_attempts_of_a_background_run(client, provider):
    provider.says("Hello")
    body = {"model": "openclaw", "input": "hi", "background": True}
    response = await client.post("/v1/responses", json=body, headers={"x-request-id": "mine"})
    created = (await response.json())["id"]
    async with asyncio.timeout(10):
        while (await (await client.get(f"/v1/responses/{created}")).json())["status"] != "completed":
            await asyncio.sleep(0.02)
    run = await (await client.get("/api/v1/runs/mine")).json()
    assert [attempt["model"] for attempt in run["attempts"]] == ["fake/small"]


async def test_a_complete_background_response_can_be_continued(official, provider):
    released = asyncio.Event()
    provider.says("ONE")
    answer = provider.answer

    async def late(request):
        await released.wait()
        return await answer(request)

    provider.answer = late
    created = await begin(official)
    with pytest.raises(openai.BadRequestError) as caught:
        await official.responses.create(model="openclaw", input="two", previous_response_id=created.id)
    assert caught.value.code == "previous_response_in_progress"
    released.set()
    await ended(official, created.id)
    await official.responses.create(model="openclaw", input="two", previous_response_id=created.id)
    assert [message["content"] for message in provider.asked[1]["messages"]] == ["hi", "ONE", "two"]


async def test_a_stream_can_be_resumed_from_any_event(official, provider):
    provider.says("Hel|lo")
    events = [event async for event in await begin(official, stream=True)]
    assert [event.type for event in events[:3]] == ["response.created", "response.queued", "response.in_progress"]
    assert events[-1].type == "response.completed"
    assert [event.sequence_number for event in events] == list(range(len(events)))
    response_id = events[-1].response.id
    for number in (None, 0, 4, len(events) - 2):
        again = await official.responses.retrieve(
            response_id, stream=True, starting_after=openai.omit if number is None else number
        )
        assert [event async for event in again] == events[0 if number is None else number + 1 :]


async def test_a_client_that_sees_the_end_can_continue_the_response_at_once(official, provider):
    provider.says("ONE")
    for _ in range(20):
        events = [event async for event in await begin(official, stream=True)]
        await official.responses.create(model="openclaw", input="two", previous_response_id=events[-1].response.id)
    assert [message["content"] for message in provider.asked[-1]["messages"]] == ["hi", "ONE", "two"]


async def test_a_long_answer_is_replayed_to_its_end(official, provider):
    provider.says("|".join("x" * 2500))
    created = await begin(official)
    await ended(official, created.id)
    events = [event async for event in await official.responses.retrieve(created.id, stream=True)]
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert len(events) > 2500
    assert events[-1].response.output_text == "x" * 2500


async def test_a_stream_ends_at_once_when_all_events_have_been_sent(client, official, provider):
    provider.says("Hello")
    events = [event async for event in await begin(official, stream=True)]
    path = f"/v1/responses/{events[-1].response.id}?stream=true&starting_after={events[-1].sequence_number}"
    assert await (await client.get(path)).text() == "data: [DONE]\n\n"


async def test_a_client_that_disconnects_does_not_end_the_run_and_can_resume(official, provider):
    is_open, released = asyncio.Event(), asyncio.Event()

    async def half(request):
        response = await provider.begins(request, {"content": "Hel"})
        is_open.set()
        await released.wait()
        await provider.send(response, {"choices": [{"index": 0, "delta": {"content": "lo"}}]})
        await provider.send(response, {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
        await response.write(b"data: [DONE]\n\n")
        return response

    provider.answer = half
    stream = await begin(official, stream=True)
    seen = []
    async for event in stream:
        seen.append(event)
        if event.type == "response.output_text.delta":
            break
    await stream.close()
    response_id = seen[0].response.id
    assert (await official.responses.retrieve(response_id)).status == "in_progress"
    released.set()
    resumed = await official.responses.retrieve(response_id, stream=True, starting_after=seen[-1].sequence_number)
    seen += [event async for event in resumed]
    assert [event.sequence_number for event in seen] == list(range(len(seen)))
    assert seen[-1].response.output_text == "Hello"


async def test_cancelling_aborts_the_request_at_the_provider(official, provider):
    asked, left = provider.hangs()
    created = await begin(official)
    await asked.wait()
    response = await official.responses.cancel(created.id)
    assert (response.status, response.error, response.output) == ("cancelled", None, [])
    async with asyncio.timeout(30):
        await left.wait()
    assert await official.responses.cancel(created.id) == response
    assert await official.responses.retrieve(created.id) == response


async def test_a_complete_response_is_not_changed_by_cancel(official, provider):
    provider.says("Hello")
    created = await begin(official)
    response = await ended(official, created.id)
    assert await official.responses.cancel(created.id) == response


async def test_a_failed_run_is_reported_by_poll_and_stream(official, provider):
    provider.refuses(400, "too strange")
    created = await begin(official)
    response = await ended(official, created.id)
    assert response.status == "failed"
    assert "too strange" in response.error.message


async def test_deleting_a_response_ends_its_run(official, provider):
    asked, left = provider.hangs()
    created = await begin(official)
    await asked.wait()
    await official.responses.delete(created.id)
    async with asyncio.timeout(30):
        await left.wait()
    with pytest.raises(openai.NotFoundError):
        await official.responses.retrieve(created.id)


async def test_only_background_responses_can_be_replayed_or_cancelled(client, official, provider):
    provider.says("Hello")
    created = await official.responses.create(model="openclaw", input="hi")
    assert (await client.get(f"/v1/responses/{created.id}?stream=true")).status == 400
    assert (await client.post(f"/v1/responses/{created.id}/cancel")).status == 400


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ("stream=null", "stream"),
        ("stream=", "stream"),
        ("stream=1", "stream"),
        ("stream=yes&stream=no", "stream"),
        ("starting_after=-1", "starting_after"),
    ],
)
async def test_an_invalid_query_is_refused_for_every_response(client, official, provider, query, param):
    provider.says("Hello")
    created = await official.responses.create(model="openclaw", input="hi")
    response = await client.get(f"/v1/responses/{created.id}?{query}")
    assert (response.status, (await response.json())["error"]["param"]) == (400, param)


@pytest.mark.parametrize("after", ["x", "-1", "1.5", ""])
async def test_an_invalid_starting_after_is_refused(client, official, provider, after):
    provider.says("Hello")
    created = await begin(official)
    response = await client.get(f"/v1/responses/{created.id}?stream=true&starting_after={after}")
    assert (response.status, (await response.json())["error"]["param"]) == (400, "starting_after")


async def test_a_stopping_gateway_ends_its_background_runs_as_failed(client, official, provider, tmp_path):
    asked = asyncio.Event()

    async def waits(request):
        asked.set()
        await asyncio.Event().wait()

    provider.answer = waits
    created = await begin(official)
    await asked.wait()
    await client.close()
    database = Database(tmp_path / "gateway.sqlite", MIGRATIONS)
    try:
        stored = await SqliteResponses(database, ResponsePolicy(), clock=lambda: 0.0).get(None, created.id)
    finally:
        await database.close()
    response = json.loads(stored.body)
    assert (response["status"], response["error"]["type"]) == ("failed", "unavailable")
    assert "is stopping" in response["error"]["message"]


class TestLimits:
    @pytest.fixture
    def config(self, config):
        config["gateway"]["limits"] = [{"name": "one", "concurrentRuns": 1}]
        return config

    async def test_a_background_run_counts_against_its_limit_until_it_ends(self, client, official, provider):
        released = asyncio.Event()
        provider.says("Hello")
        answer = provider.answer

        async def late(request):
            await released.wait()
            return await answer(request)

        provider.answer = late
        created = await begin(official)
        with pytest.raises(openai.RateLimitError):
            await official.responses.create(model="openclaw", input="hi")
        released.set()
        await ended(official, created.id)
        assert (await official.responses.create(model="openclaw", input="hi")).status == "completed"
        assert client.app[CURRENT].snapshot.quota is not None


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("include", [None, ["reasoning.encrypted_content"]], ids=["plain", "encrypted"])
async def test_a_stream_with_reasoning_is_resumed_after_any_event_with_the_same_items(
    official, provider, shape, include
):
    answers(provider, message("Hello", CALL, **SHAPES[shape]))
    more = {"include": include} if include else {}
    events = [event async for event in await begin(official, stream=True, tools=[RESPONSES_TOOL], **more)]
    assert [event.sequence_number for event in events] == list(range(len(events)))
    final = events[-1].response
    assert [item.type for item in final.output] == ["reasoning", "message", "function_call"]
    assert (final.output[0].encrypted_content is not None) is (include is not None)
    for number in range(len(events)):
        again = await official.responses.retrieve(final.id, stream=True, starting_after=number)
        assert [event async for event in again] == events[number + 1 :]
    assert await official.responses.retrieve(final.id) == final


async def test_a_stream_that_is_left_in_the_midst_of_reasoning_is_resumed_there(official, provider):
    is_open, released = asyncio.Event(), asyncio.Event()
    answers(provider, message("not asked"), message("Yes."))
    second = provider.answer

    async def half(request):
        response = await provider.begins(request, {"reasoning_content": THOUGHT[:5]})
        is_open.set()
        await released.wait()
        for delta, finish in (
            ({"reasoning_content": THOUGHT[5:]}, None),
            ({"content": "Hello"}, None),
            ({}, "stop"),
        ):
            await provider.send(response, {"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]})
        await response.write(b"data: [DONE]\n\n")
        return response

    provider.answer = half
    seen = []
    stream = await begin(official, stream=True)
    async for event in stream:
        seen.append(event)
        if event.type == "response.reasoning_text.delta":
            break
    await stream.close()
    response_id = seen[0].response.id
    released.set()
    await ended(official, response_id)
    tail = await official.responses.retrieve(response_id, stream=True, starting_after=seen[-1].sequence_number)
    seen += [event async for event in tail]
    assert [event.sequence_number for event in seen] == list(range(len(seen)))
    deltas = [event for event in seen if event.type == "response.reasoning_text.delta"]
    assert "".join(event.delta for event in deltas) == THOUGHT
    assert {event.item_id for event in deltas} == {seen[-1].response.output[0].id}
    provider.answer = second
    await official.responses.create(model="openclaw", input="sure?", previous_response_id=response_id)
    assert returned(provider) == [{"reasoning_content": THOUGHT}]


async def test_a_conversation_goes_on_from_the_reasoning_of_a_run_in_the_background(official, provider):
    shape = SHAPES["reasoning_details"]
    answers(provider, message(None, CALL, **shape), message("Open."))
    queued = await begin(official, tools=[RESPONSES_TOOL])
    await ended(official, queued.id)
    output = {"type": "function_call_output", "call_id": CALL[0], "output": "open"}
    await official.responses.create(
        model="openclaw", input=[output], tools=[RESPONSES_TOOL], previous_response_id=queued.id
    )
    assert returned(provider) == [shape]


class TestCancelOfTheSameProcess:
    """Nothing is written or polled while these tests run, so that only the cancellation itself can end a run."""

    @pytest.fixture
    def policy(self):
        return BackgroundPolicy(flush=3600, heartbeat=3600)

    @pytest.mark.parametrize("streams", [False, True], ids=["silent", "streaming"])
    async def test_the_provider_sees_the_end_of_a_cancelled_run_within_50_milliseconds(
        self, official, provider, streams
    ):
        clock = asyncio.get_running_loop().time
        times = []
        while len(times) < 50 and min(times, default=1.0) >= 0.05:  # a busy machine needs more than one try
            asked, left = provider.hangs()
            hang = provider.answer
            if streams:
                provider.answer = begins_and(provider, hang)
            queued = await begin(official)
            await asked.wait()
            began = clock()
            cancelling = asyncio.create_task(official.responses.cancel(queued.id))
            async with asyncio.timeout(10):
                await left.wait()
            times.append(clock() - began)
            assert (await cancelling).status == "cancelled"
        assert min(times) < 0.05, times


def begins_and(provider, then):
    async def answer(request):
        await provider.begins(request, {"content": "Hel"})
        return await then(request)

    return answer
