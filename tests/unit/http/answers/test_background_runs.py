"""The task of a background run: what it writes, when it gives up, and how readers end the run of a dead worker."""

import asyncio
import json
from contextlib import aclosing
from dataclasses import replace

import pytest

from gateway.core.errors import NotFound, Unavailable
from gateway.core.event import Finish, TextDelta, UsageReport
from gateway.core.usage import NO_USAGE
from gateway.http.answers.background import BackgroundPolicy, BackgroundRuns
from gateway.http.answers.background_entry import end_entry, head_entry
from gateway.http.answers.background_events import LogReader, current
from gateway.http.answers.background_job import Job
from gateway.http.answers.event_budget import EventLimits
from gateway.http.answers.response_recorder import Storage, store_ended
from gateway.state.configured import Stores
from gateway.state.events.sqlite import SqliteEvents
from gateway.state.events.store import EventPage, EventPolicy
from gateway.state.keys.sqlite import SqliteKeys
from gateway.state.reasoning.memory import MemoryReasoning
from gateway.state.responses.sqlite import SqliteResponses
from gateway.state.responses.store import ResponsePolicy, StoredResponse
from gateway.state.schema import MIGRATIONS
from gateway.state.seals import sqlite_seals
from gateway.state.sessions.sqlite import SqliteSessions
from gateway.state.sessions.store import SessionPolicy
from gateway.state.sqlite import Database
from gateway.state.usage.sqlite import SqliteUsage
from gateway.state.usage.store import UsagePolicy
from gateway.wire.openai_responses.ingress import ResponsesIngress
from gateway.wire.openai_responses.response_object import Head, response_object
from gateway.wire.openai_responses.stream import Renderer


class Run:
    """A run that yields the given events, and then waits or ends."""

    trace = None

    def __init__(self, *batches, hangs=False):
        self._batches = batches
        self._hangs = hangs

    async def events(self):
        for batch in self._batches:
            yield batch
        if self._hangs:
            await asyncio.Event().wait()


class Paused(Run):
    """A run that waits for `resumed` after its first batch."""

    def __init__(self, *batches):
        super().__init__(*batches)
        self.resumed = asyncio.Event()

    async def events(self):
        async for batch in super().events():
            yield batch
            await self.resumed.wait()


WHOLE = ([TextDelta("Hel")], [TextDelta("lo"), Finish("stop"), UsageReport(NO_USAGE)])
FAST = BackgroundPolicy(flush=0.01, heartbeat=0.02, shutdown_timeout=0.1)


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
async def stores(clock):
    database = Database(None, MIGRATIONS)
    try:
        yield Stores(
            SqliteSessions(database, SessionPolicy(), clock=clock),
            SqliteResponses(database, ResponsePolicy(), clock=clock),
            SqliteEvents(database, EventPolicy(), clock=clock, monotonic=clock),
            MemoryReasoning(clock=clock),
            sqlite_seals(database),
            SqliteUsage(database, UsagePolicy(86_400.0, 2**20), clock=clock),
            SqliteKeys(database),
        )
    finally:
        await database.close()


@pytest.fixture
async def job(stores):
    async def make(run, name="resp_1"):
        ingress = ResponsesIngress.read(b'{"model":"openclaw","input":"hi","background":true}')
        head = Head(name, 1, "openclaw", ingress.echo(ingress.turn()))
        queued = json.dumps(response_object(head, "queued", ())).encode()
        record = StoredResponse(name, None, "main", 1.0, queued, b"[]")
        await stores.responses.put(record)
        return Job(run, Renderer(head, now=lambda: 2.0), Storage(stores.responses, record))

    return make


@pytest.fixture
async def background(stores):
    """Creates background runs; those that a failed test has left end before the store is closed."""
    created = []

    def create(*arguments):
        created.append(BackgroundRuns(*arguments))
        return created[-1]

    yield create
    for runs in created:
        await runs.close()


async def events_of(stores, stored):
    """The events that a client gets that reads the stream from its start."""
    async with aclosing(LogReader(stores, stored, 0).frames()) as batches:
        frames = [frame async for ready in batches for frame in ready]
    return [json.loads(frame.partition(b"data: ")[2]) for frame in frames]


async def until(condition):
    async with asyncio.timeout(10):
        while not await condition():
            await asyncio.sleep(0.005)


async def _count(stores, number):
    return len((await stores.events.read("resp_1", 0)).events) == number


async def die(stores, clock):
    """Let so much time pass that readers take a worker without a heartbeat for dead."""
    clock.now += 10
    assert (await stores.events.read("resp_1", 0)).held
    clock.now += 6


async def test_the_first_reader_ends_a_run_whose_worker_died(stores, job, clock):
    made = await job(Run(hangs=True))
    await stores.events.begin("resp_1")
    made.waiting.append(head_entry(sealed=False))
    await stores.events.add("resp_1", 0, made.waiting)
    stored = await stores.responses.get(None, "resp_1")
    assert json.loads((await current(stores, stored)).body)["status"] == "queued"
    await die(stores, clock)
    for _ in range(2):
        response = json.loads((await current(stores, stored)).body)
        assert (response["status"], response["error"]["code"]) == ("failed", "server_error")
    assert json.loads((await stores.responses.get(None, "resp_1")).body) == response
    assert (await stores.events.read("resp_1", 1)).events == (end_entry("failed"),)
    events = await events_of(stores, stored)
    names = [event["type"].removeprefix("response.") for event in events]
    assert names == ["created", "queued", "in_progress", "failed"]
    assert [event["sequence_number"] for event in events] == [0, 1, 2, 3]


@pytest.mark.parametrize("seconds", [20, -20, 86_400, -86_400])
async def test_a_step_of_the_clock_does_not_end_a_run_that_is_at_work(stores, job, background, clock, seconds):
    runs = background(stores.events, FAST)
    await runs.start(await job(Run([TextDelta("Hel")], hangs=True)))
    stored = await stores.responses.get(None, "resp_1")
    clock.now += seconds
    for _ in range(3):
        assert json.loads((await current(stores, stored)).body)["status"] in ("queued", "in_progress")
        await asyncio.sleep(0.05)
    assert runs.count() == 1
    await runs.close()


async def test_a_worker_whose_lease_expired_changes_nothing(stores, job, background, clock):
    runs = background(stores.events, replace(FAST, heartbeat=3600))
    run = Paused(*WHOLE)
    await runs.start(await job(run))
    stored = await stores.responses.get(None, "resp_1")
    await until(lambda: _count(stores, 2))  # its head, and the batch before the pause
    await die(stores, clock)
    response = json.loads((await current(stores, stored)).body)
    page = await stores.events.read("resp_1", 0)
    run.resumed.set()
    await until(lambda: _true(not runs.count()))
    assert response["status"] == "failed"
    assert await stores.events.read("resp_1", 0) == page
    assert json.loads((await stores.responses.get(None, "resp_1")).body) == response


async def test_the_first_reader_stores_an_answer_whose_worker_died_before_storing_it(stores, job):
    made = await job(Run(*WHOLE))
    await stores.events.begin("resp_1")
    made.waiting.append(head_entry(sealed=False))
    for batch in WHOLE:
        made.add(batch)
    made.close(made.renderer.outcome())
    await stores.events.add("resp_1", 0, made.waiting, last=True)
    await current(stores, await stores.responses.get(None, "resp_1"))
    stored = await stores.responses.get(None, "resp_1")
    assert json.loads(stored.body)["status"] == "completed"
    assert [part.text for message in stored.messages for part in message.parts] == ["Hello"]


async def test_a_response_is_stored_before_its_end_is_reported(stores, job, background):
    class Watched:
        """A log that reads the stored response when the end is logged."""

        begin = staticmethod(stores.events.begin)
        seen = None

        async def add(self, *arguments, last=False):
            if last:
                self.seen = json.loads((await stores.responses.get(None, "resp_1")).body)["status"]
            return await stores.events.add(*arguments, last=last)

    events = Watched()
    runs = background(events, FAST)
    await runs.start(await job(Run(*WHOLE)))
    await until(lambda: _true(not runs.count()))
    assert events.seen == "completed"


async def test_a_response_that_a_worker_stored_before_it_died_is_reported(stores, job, clock):
    made = await job(Run(*WHOLE))
    queued = made.storage.record
    await stores.events.begin("resp_1")
    made.waiting.append(head_entry(sealed=False))
    for batch in WHOLE:
        made.add(batch)
    await stores.events.add("resp_1", 0, made.waiting)
    await store_ended(stores.responses, queued, made.renderer.outcome())
    await die(stores, clock)
    for looked in (queued, await stores.responses.get(None, "resp_1")):
        assert json.loads((await current(stores, looked)).body)["status"] == "completed"
    events = await events_of(stores, queued)
    assert events[-1]["type"] == "response.completed"
    assert [event["sequence_number"] for event in events] == list(range(len(events)))


class Away:
    """A log that is sometimes unavailable."""

    def __init__(self, inner):
        self._inner = inner
        self.away = False
        self.refused = 0

    async def begin(self, name):
        await self._inner.begin(name)

    async def add(self, *arguments, **more):
        if self.away:
            self.refused += 1
            raise Unavailable("away")
        return await self._inner.add(*arguments, **more)


async def test_no_event_is_lost_while_the_log_is_unavailable(stores, job, background):
    events = Away(stores.events)
    runs = background(events, FAST)
    await runs.start(await job(Run(*WHOLE)))
    events.away = True
    await until(lambda: _true(events.refused >= 3))
    assert len((await stores.events.read("resp_1", 0)).events) == 1
    events.away = False
    await until(lambda: _true(not runs.count()))
    sent = await events_of(stores, await stores.responses.get(None, "resp_1"))
    assert "".join(event["delta"] for event in sent if event["type"] == "response.output_text.delta") == "Hello"
    assert [event["sequence_number"] for event in sent] == list(range(len(sent)))
    assert sent[-1]["type"] == "response.completed"


async def test_the_end_of_a_run_waits_for_an_unavailable_log_until_the_gateway_stops(stores, job, background):
    events = Away(stores.events)
    runs = background(events, FAST)
    await runs.start(await job(Run(*WHOLE)))
    events.away = True
    await until(lambda: _true(events.refused >= 30))
    assert runs.count() == 1
    async with asyncio.timeout(30):
        await runs.close()
    assert runs.count() == 0
    assert len((await stores.events.read("resp_1", 0)).events) == 1


async def test_a_stopping_gateway_still_writes_a_waiting_end(stores, job, background):
    events = Away(stores.events)
    runs = background(events, BackgroundPolicy(flush=0.01, heartbeat=0.02))
    await runs.start(await job(Run(*WHOLE)))
    events.away = True
    await until(lambda: _true(events.refused >= 3))
    closing = asyncio.create_task(runs.close())
    seen = events.refused
    await until(lambda: _true(events.refused > seen + 3))
    events.away = False
    await closing
    assert json.loads((await stores.responses.get(None, "resp_1")).body)["status"] == "completed"


class Deleted:
    """A log of a run whose response is deleted as soon as its end is logged."""

    def __init__(self, inner, responses):
        self._inner = inner
        self._responses = responses

    async def begin(self, name):
        await self._inner.begin(name)

    async def add(self, name, number, events, *, last=False):
        lease = await self._inner.add(name, number, events, last=last)
        if last:
            assert await self._responses.delete(None, name)
        return lease


async def test_a_response_deleted_while_its_run_ends_stays_deleted(stores, job, background):
    runs = background(Deleted(stores.events, stores.responses), FAST)
    made = await job(Run(*WHOLE))
    await runs.start(made)
    await until(lambda: _true(not runs.count()))
    assert (await stores.events.read("resp_1", -1)).events == (end_entry("completed"),)
    assert await stores.responses.get(None, "resp_1") is None
    await current(stores, made.storage.record)
    assert await stores.responses.get(None, "resp_1") is None


async def test_a_background_answer_too_large_to_store_is_reported_as_failed(stores, job, background, clock):
    runs = background(stores.events, FAST)
    await runs.start(await job(Run([TextDelta("x" * 17_000_000), Finish("stop")])))
    await until(lambda: _true(not runs.count()))
    assert await stores.events.read("resp_1", 0) == EventPage((), False), "its events are deleted"
    for seconds in (0, 4000):
        clock.now += seconds
        await stores.events.begin("resp_2")
        stored = await stores.responses.get(None, "resp_1")
        response = json.loads((await current(stores, stored)).body)
        assert (response["status"], response["output"]) == ("failed", [])
        assert "too large to be stored" in response["error"]["message"]


async def test_a_worker_continues_after_a_long_outage_of_the_log(stores, job, background, clock):
    events = Away(stores.events)
    runs = background(events, FAST)
    await runs.start(await job(Run(*WHOLE)))
    events.away = True
    await until(lambda: _true(events.refused >= 3))
    clock.now += 60
    events.away = False
    await until(lambda: _true(not runs.count()))
    assert json.loads((await stores.responses.get(None, "resp_1")).body)["status"] == "completed"


async def test_an_unexpected_error_ends_the_run_as_failed(stores, job, background):
    class Broken(Run):
        async def events(self):
            yield [TextDelta("x")]
            raise RuntimeError("a bug")

    runs = background(stores.events, FAST)
    await runs.start(await job(Broken()))
    await until(lambda: _true(not runs.count()))
    response = json.loads((await stores.responses.get(None, "resp_1")).body)
    assert (response["status"], response["error"]["message"]) == ("failed", "internal error")


async def test_runs_beyond_the_maximum_are_refused(stores, job, background):
    runs = background(stores.events, replace(FAST, max_runs=1))
    await runs.start(await job(Run(hangs=True)))
    with pytest.raises(Unavailable, match="Too many"):
        await runs.start(await job(Run()))
    await runs.close()


async def test_runs_that_begin_at_the_same_time_count_for_the_maximum(stores, job, background):
    runs = background(stores.events, replace(FAST, max_runs=2))
    jobs = [await job(Run(hangs=True), f"resp_{number}") for number in range(5)]
    for number, one in enumerate(jobs):
        one.caller = f"caller-{number}"
    ends = await asyncio.gather(*map(runs.start, jobs), return_exceptions=True)
    assert [type(end) for end in ends].count(Unavailable) == 3
    assert runs.count() == 2
    await runs.close()


async def test_one_caller_leaves_a_quarter_of_the_runs_to_others(stores, job, background):
    runs = background(stores.events, replace(FAST, max_runs=4))

    async def start(name, caller):
        one = await job(Run(hangs=True), name)
        one.caller = caller
        await runs.start(one)

    for number in range(3):
        await start(f"resp_{number}", "alice")
    with pytest.raises(Unavailable, match="You have too many"):
        await start("resp_3", "alice")
    await start("resp_4", "bob")
    with pytest.raises(Unavailable, match=r"^Too many"):
        await start("resp_5", "carol")
    runs.cancel("resp_0")
    await until(lambda: _true(runs.count() == 3))
    await start("resp_6", "alice")
    await runs.close()
    assert not runs._by_caller


async def test_a_run_that_can_not_begin_leaves_its_room_to_others(stores, job, background):
    events = Away(stores.events)
    runs = background(events, replace(FAST, max_runs=1))
    events.away = True
    with pytest.raises(Unavailable):
        await runs.start(await job(Run()))
    events.away = False
    await runs.start(await job(Run()))
    await runs.close()


async def test_a_stopping_gateway_starts_no_run(stores, job, background):
    runs = background(stores.events, FAST)
    await runs.close()
    with pytest.raises(Unavailable, match="stopping"):
        await runs.start(await job(Run()))


async def _true(value):
    return value


SMALL = EventLimits(run=10_000, caller=15_000, total=20_000, overhead=0)


def counted(text):
    return [TextDelta(text)]


async def test_a_run_whose_events_exceed_the_limit_fails_at_once_and_leaves_nothing(stores, job, background):
    runs = background(stores.events, FAST, SMALL)
    await runs.start(await job(Run(*([counted("x" * 1000)] * 11), hangs=True)))
    await until(lambda: _true(not runs.count()))
    stored = await stores.responses.get(None, "resp_1")
    response = json.loads(stored.body)
    assert (response["status"], response["output"]) == ("failed", [])
    assert "maxResponseBytes" in response["error"]["message"]
    assert await stores.events.read("resp_1", 0) == EventPage((), False)
    assert stored.messages == ()


async def test_a_reader_of_a_run_that_is_cut_off_gets_its_failure(stores, job, background):
    runs = background(stores.events, FAST, SMALL)
    made = await job(Run(counted("x" * 5000), counted("x" * 5001), hangs=True))
    stored = made.storage.record
    reading = asyncio.create_task(events_of(stores, stored))
    await runs.start(made)
    async with asyncio.timeout(10):
        events = await reading
    assert events[-1]["type"] == "response.failed"
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    assert (await events_of(stores, stored))[-1]["type"] == "response.failed", "and every later reader"


async def test_a_run_waits_while_the_store_takes_no_events(stores, job, background):
    events = Away(stores.events)
    runs = background(events, replace(FAST, max_unwritten=5000))
    made = await job(Run(*([counted("x" * 1000)] * 50), [Finish("stop"), UsageReport(NO_USAGE)]))
    await runs.start(made)
    events.away = True
    await until(lambda: _true(events.refused >= 3))
    assert made.unwritten < 10_000
    assert made.final is None
    events.away = False
    await until(lambda: _true(not runs.count()))
    assert json.loads((await stores.responses.get(None, "resp_1")).body)["status"] == "completed"


async def test_logs_without_room_are_deleted_from_the_store(stores, job, background):
    runs = background(stores.events, FAST, EventLimits(run=10_000, caller=10_000, total=10_000, overhead=0))
    first = await job(Run(counted("x" * 6000), [Finish("stop"), UsageReport(NO_USAGE)]))
    await runs.start(first)
    await until(lambda: _true(not runs.count()))
    stored = await stores.responses.get(None, "resp_1")
    assert (await events_of(stores, first.storage.record))[-1]["type"] == "response.completed"
    runs._budget.grow(runs._budget.begin("resp_2", "", lambda _: None), 6000)
    await runs._logs.evict()
    assert await stores.events.read("resp_1", 0) == EventPage((), False)
    assert json.loads((await current(stores, stored)).body)["status"] == "completed", "the response stays"
    with pytest.raises(NotFound, match="events of response 'resp_1' are not stored any more"):
        await events_of(stores, first.storage.record)


class Sized:
    """An event log that knows the most bytes that it ever held. It takes its time to delete."""

    def __init__(self, log):
        self._log = log
        self._sizes = {}
        self.highest = 0

    async def begin(self, name):
        await self._log.begin(name)

    async def add(self, name, number, events, *, last=False):
        self._sizes[name] = self._sizes.get(name, 0) + sum(map(len, events))
        self.highest = max(self.highest, sum(self._sizes.values()))
        return await self._log.add(name, number, events, last=last)

    async def delete(self, name):
        await asyncio.sleep(0.05)
        await self._log.delete(name)
        self._sizes.pop(name, None)


class Paced(Run):
    """A run whose batches come one by one."""

    async def events(self):
        async for batch in super().events():
            await asyncio.sleep(0.005)
            yield batch


async def test_the_store_holds_no_more_than_the_limit_while_runs_are_cut_off_and_logs_are_deleted(
    stores, job, background
):
    events = Sized(stores.events)
    runs = background(events, FAST, SMALL)
    for number in range(10):
        large = Paced(*([counted("x" * 500)] * 16), [Finish("stop"), UsageReport(NO_USAGE)])
        await runs.start(await job(large, f"resp_{number}"))
    await until(lambda: _true(not runs.count()))
    bodies = [(await stores.responses.get(None, f"resp_{number}")).body for number in range(10)]
    assert {json.loads(body)["status"] for body in bodies} == {"completed", "failed"}
    assert events.highest <= SMALL.caller + 10 * 600, "each run adds one more batch before it waits"


async def test_a_run_whose_entries_are_all_stored_has_none_to_write(stores, job, background):
    runs = background(stores.events, FAST)
    made = await job(Run(counted("x"), hangs=True))
    await runs.start(made)
    await until(lambda: _true(made.number > 1 and not made.waiting))
    assert made.unwritten == 0
