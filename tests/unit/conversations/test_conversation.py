"""A run inside its conversation, with a real store in memory and injected clocks."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing, suppress

import pytest
import pytest_asyncio

from gateway.conversations.conversation import Conversations
from gateway.conversations.recorder import SessionRecorder
from gateway.conversations.transcript import Entry, read_entry, write_entry
from gateway.core.accumulator import accumulated
from gateway.core.errors import SessionChanged, Unavailable
from gateway.core.event import Finish, TextDelta, UsageReport
from gateway.core.jsonio import dumps
from gateway.core.message import Message, Text
from gateway.core.names import ModelRef
from gateway.core.session_key import SessionKey
from gateway.core.turn import Turn
from gateway.core.upstream_error import UpstreamError, UpstreamKind
from gateway.core.usage import Usage
from gateway.runs.answer_stream import whole_answer
from gateway.runs.trace import RunTrace
from gateway.state.schema import MIGRATIONS
from gateway.state.sessions.sqlite import SqliteSessions
from gateway.state.sessions.store import SessionPolicy
from gateway.state.sqlite import Database

KEY = SessionKey(None, "main", "k")
TURN = Turn("openclaw", (Message("user", (Text("q"),)),))
FAILURE = UpstreamError(UpstreamKind.OVERLOADED, "no")
ANSWER = [[TextDelta("a")], [TextDelta("b"), Finish("stop")], [UsageReport(Usage(1, 2, 3))]]


class Store(SqliteSessions):
    """A store that counts calls; `renewed` is the result of renewing a lease, or raises."""

    renewed = True
    renewals = 0

    async def renew(self, _lease):
        self.renewals += 1
        if isinstance(self.renewed, Exception):
            raise self.renewed
        return self.renewed


async def never(_messages):
    raise AssertionError("nobody wants a summary")


class Answering:
    """A run with these batches; an exception among them is raised."""

    def __init__(self, *batches):
        self.batches = batches
        self.trace = RunTrace("main", lambda: 0.0)
        self.trace.begin(ModelRef("home", "big"), "k", 0.0)

    async def events(self):
        for batch in self.batches:
            if isinstance(batch, Exception):
                raise batch
            yield batch

    async def reply(self):
        return accumulated([event async for batch in self.events() for event in batch])


@pytest_asyncio.fixture
async def store():
    database = Database(None, MIGRATIONS)
    yield Store(database, SessionPolicy(), clock=lambda: 1000.0)
    await database.close()


@pytest_asyncio.fixture
async def conversations(store):
    made = Conversations(store, wait=5.0, renew=30.0, clock=lambda: 1000.0)
    yield made
    await made.close()


async def entries(store):
    stored = await store.read(KEY)
    return [read_entry(entry) for entry in stored[1]] if stored else []


async def test_an_entry_has_model_messages_and_time(conversations, store):
    async with conversations.of_turn(KEY, TURN, "req-1", never) as conversation:
        reply = await whole_answer(SessionRecorder(Answering(*ANSWER), conversation))
    assert reply.text == "ab"
    (entry,) = await entries(store)
    assert (entry.at, entry.request, entry.outcome, entry.model) == (1000.0, "req-1", "completed", "home/big")
    assert entry.messages == (*TURN.messages, Message("assistant", (Text("ab"),)))


async def test_a_stream_ends_after_its_turn_is_stored(conversations, store):
    async with conversations.of_turn(KEY, TURN, "r", never) as conversation:
        events = SessionRecorder(Answering(*ANSWER), conversation).events()
        batches = [(batch, len(await entries(store))) async for batch in events]
    assert batches == [(ANSWER[0], 0), ([*ANSWER[1], *ANSWER[2]], 1)]


async def test_a_turn_that_can_not_be_stored_ends_in_a_failure(conversations, store):
    batches = []

    async def stream():
        async with (
            conversations.of_turn(KEY, TURN, "r", never) as conversation,
            aclosing(SessionRecorder(Answering(*ANSWER), conversation).events()) as events,
        ):
            async for batch in events:
                batches.extend(batch)
                await store.delete(KEY)
                await store._database.write(
                    lambda connection: connection.execute(
                        "INSERT INTO sessions VALUES (NULL, ?, NULL, 'main', 0, 1000.0, 0, 0)", (str(KEY),)
                    )
                )
                await store._database.write(
                    lambda connection: connection.execute(
                        "INSERT INTO entries (session, entry) SELECT id, x'00' FROM sessions WHERE key = ?", (str(KEY),)
                    )
                )

    with pytest.raises(SessionChanged):
        await stream()
    assert batches == ANSWER[0]


async def test_a_run_that_was_refused_before_it_began_leaves_no_note(conversations, store):
    with pytest.raises(UpstreamError):
        async with conversations.of_turn(KEY, TURN, "r", never):
            raise FAILURE
    assert await entries(store) == []


@pytest.mark.parametrize(
    ("answer", "outcome", "reason"),
    [((FAILURE,), "failed", "upstream_error"), ((ANSWER[0], RuntimeError("left")), "cancelled", None)],
)
async def test_a_failed_run_leaves_a_note_and_releases_the_lease(conversations, store, answer, outcome, reason):
    error = type(answer[-1])
    with pytest.raises(error):
        async with conversations.of_turn(KEY, TURN, "r", never) as conversation:
            await whole_answer(SessionRecorder(Answering(*answer), conversation))
    (note,) = await entries(store)
    assert (note.outcome, note.reason, note.messages) == (outcome, reason, ())
    async with conversations.of_turn(KEY, TURN, "r", never) as conversation:
        assert conversation.turn.messages == TURN.messages


async def test_a_turn_is_stored_although_its_client_disconnects_at_that_moment(conversations, store):
    async def ask():
        async with conversations.of_turn(KEY, TURN, "r", never) as conversation:
            await conversation.finish(accumulated([TextDelta("a"), Finish("stop")]), Answering().trace)

    asking = asyncio.create_task(ask())
    while not conversations.leases._tasks:  # until the turn is being stored
        await asyncio.sleep(0)
    asking.cancel()
    await asyncio.wait({asking})
    await conversations.close()
    assert [entry.outcome for entry in await entries(store)] == ["completed"]
    async with conversations.of_turn(KEY, TURN, "r", never):
        pass  # and the lease was released


@pytest.fixture
async def impatient(store):
    """Conversations with very frequent lease renewals."""
    made = Conversations(store, wait=5.0, renew=0.001, clock=lambda: 1000.0)
    yield made
    await made.close()
    assert not made.leases._tasks


@pytest.mark.parametrize("renewed", [True, Unavailable("away")])
async def test_a_lease_is_renewed_during_the_run(impatient, store, renewed):
    store.renewed = renewed
    async with impatient.of_turn(KEY, TURN, "r", never) as conversation:
        while store.renewals < 3:
            await asyncio.sleep(0.001)
        await whole_answer(SessionRecorder(Answering(*ANSWER), conversation))
    assert [entry.outcome for entry in await entries(store)] == ["completed"]
    renewals = store.renewals
    await asyncio.sleep(0.01)
    assert store.renewals == renewals


class Endless(Answering):
    """A run that never ends; `closed` is set when its stream is closed."""

    closed = False
    waits = False

    async def events(self):
        try:
            yield ANSWER[0]
            self.waits = True
            await asyncio.Event().wait()
        finally:
            self.closed = True


@pytest.mark.parametrize("whole", [True, False])
async def test_a_run_that_loses_its_lease_is_cancelled_at_once(impatient, store, whole):
    run, batches = Endless(), []

    async def ask():
        async with impatient.of_turn(KEY, TURN, "r", never) as conversation:
            recorded = SessionRecorder(run, conversation)
            if whole:
                await whole_answer(recorded)
            async with aclosing(recorded.events()) as events:
                async for batch in events:
                    batches.append(batch)  # noqa: PERF401  the first batch counts, although no end comes

    asking = asyncio.create_task(ask())
    while not run.waits:
        await asyncio.sleep(0.001)
    store.renewed = False
    with pytest.raises(SessionChanged):
        await asking
    assert run.closed
    assert batches == ([] if whole else [ANSWER[0]])
    assert await entries(store) == []
    store.renewed = True
    async with impatient.of_turn(KEY, TURN, "r", never):
        pass  # it was released


async def test_a_lost_lease_interrupts_only_code_that_awaits_the_run(impatient, store):
    """The relay of the answer gets the error at its next step, not in the middle of a write."""
    run = Endless()
    async with (
        impatient.of_turn(KEY, TURN, "r", never) as conversation,
        aclosing(SessionRecorder(run, conversation).events()) as events,
    ):
        assert await anext(events) == ANSWER[0]
        store.renewed = False
        while not conversation._lease._lost:
            await asyncio.sleep(0.001)
        with pytest.raises(SessionChanged):
            await anext(events)
    assert run.closed
    assert not run.waits


async def test_a_client_that_disconnects_while_holding_a_lease_is_cancelled_normally(impatient):
    run = Endless()

    async def ask():
        async with impatient.of_turn(KEY, TURN, "r", never) as conversation:
            await whole_answer(SessionRecorder(run, conversation))

    asking = asyncio.create_task(ask())
    while not run.waits:
        await asyncio.sleep(0.001)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert run.closed


async def test_failures_in_a_row_do_not_displace_turns_from_the_transcript(conversations, store):
    for answer in (ANSWER, *[(FAILURE,)] * 15, ANSWER, (FAILURE,)):
        with suppress(UpstreamError):
            async with conversations.of_turn(KEY, TURN, "r", never) as conversation:
                await whole_answer(SessionRecorder(Answering(*answer), conversation))
    outcomes = [entry.outcome for entry in await entries(store)]
    assert outcomes == ["completed", *["failed"] * 10, "completed", "failed"]


@pytest.mark.parametrize("entry", [dumps({"v": 2, "messages": []}), b"garbage", b"null", b'{"v":1,"messages":[{}]}'])
async def test_a_conversation_of_a_newer_gateway_or_a_damaged_one_is_not_changed(conversations, store, entry):
    await store.append(await store.acquire(KEY, 1.0), entry)
    with pytest.raises(Unavailable, match="newer"):
        async with conversations.of_turn(KEY, TURN, "r", never):
            pass
    await store.release(await store.acquire(KEY, 1.0))  # it holds no lease


class Counting(ThreadPoolExecutor):
    """An executor that counts its jobs."""

    submitted = 0

    def submit(self, *call, **more):
        self.submitted += 1
        return super().submit(*call, **more)


async def test_a_long_transcript_is_decoded_in_a_thread_and_a_short_one_in_the_event_loop(conversations, store):
    threads = Counting(1)
    asyncio.get_running_loop().set_default_executor(threads)
    entry = write_entry(Entry(1.0, "r", "completed", (Message("user", (Text("x" * 100_000),)),)))
    for submitted in (0, 0, 0, 1):
        async with conversations.of_turn(KEY, TURN, "r", never) as conversation:
            assert threads.submitted == submitted
        await store.append(await store.acquire(KEY, 1.0), entry)
    assert len(conversation.turn.messages) == 4


async def turns(conversations, ask, *answers):
    """The messages for the model in each of `turns` turns of about a kilobyte."""
    shown = []
    for number, answer in enumerate(answers):
        turn = Turn("openclaw", (Message("user", (Text(f"q{number} {'x' * 800}"),)),))
        async with conversations.of_turn(KEY, turn, "r", ask) as conversation:
            shown.append([part.text[:60] for message in conversation.turn.messages for part in message.parts])
            await whole_answer(SessionRecorder(Answering([TextDelta(answer), Finish("stop")]), conversation))
    return shown


async def test_a_conversation_near_its_limit_is_summarised_and_continues(store):
    asked = []

    async def ask(messages):
        asked.append([part.text[:2] for message in messages for part in message.parts])
        return f" Summary {len(asked)}. "

    conversations = Conversations(store, wait=5.0, renew=30.0, clock=lambda: 1000.0, summarise_over=8000)
    shown = await turns(conversations, ask, *(f"a{number}" for number in range(12)))
    summary = "Summary of the earlier conversation, of which only the end f"
    assert [texts[0] == summary for texts in shown] == [False] * 6 + [True] * 6
    assert asked == [
        ["q0", "a0", "q1", "a1", "q2", "a2", "q3", "a3", "q4", "a4", "Su"],  # the last of six stays unchanged
        ["Su", "q5", "a5", "q6", "a6", "q7", "a7", "q8", "a8", "q9", "a9", "Su"],
    ]
    assert [text[:2] for text in shown[6]] == ["Su", "q5", "a5", "q6"]
    assert [text[:2] for text in shown[7]] == ["Su", "q5", "a5", "q6", "a6", "q7"]
    assert [entry.summary for entry in await entries(store) if entry.summary] == ["Summary 1.", "Summary 2."]
    await conversations.close()


async def test_a_summary_is_stored_although_its_turn_failed(store):
    asked = []

    async def ask(messages):
        asked.append(messages)
        return "Summary"

    conversations = Conversations(store, wait=5.0, renew=30.0, clock=lambda: 1000.0, summarise_over=4000)
    await turns(conversations, ask, "a0", "a1", "a2")
    with pytest.raises(UpstreamError):
        async with conversations.of_turn(KEY, TURN, "r", ask) as conversation:
            await whole_answer(SessionRecorder(Answering(FAILURE), conversation))
    async with conversations.of_turn(KEY, TURN, "r", ask) as conversation:
        assert "Summary" in conversation.turn.messages[0].parts[0].text
    assert len(asked) == 1
    await conversations.close()


async def test_a_conversation_is_summarised_before_it_fills_the_window(store):
    asked = []

    async def ask(messages):
        asked.append(messages)
        return "Summary"

    conversations = Conversations(store, wait=5.0, renew=30.0, clock=lambda: 1000.0, summarise_over=10**6)
    for number in range(5):
        turn = Turn("openclaw", (Message("user", (Text(f"q{number} {'x' * 800}"),)),))
        async with conversations.of_turn(KEY, turn, "r", ask, window=1000) as conversation:
            await whole_answer(SessionRecorder(Answering([TextDelta("a"), Finish("stop")]), conversation))
    assert len(asked) == 1
    await conversations.close()


async def test_without_a_summary_the_conversation_continues_unchanged(store):
    async def ask(_messages):
        raise FAILURE

    conversations = Conversations(store, wait=5.0, renew=30.0, clock=lambda: 1000.0, summarise_over=4000)
    shown = await turns(conversations, ask, "a0", "a1", "a2", "a3", "a4")
    assert [len(texts) for texts in shown] == [1, 3, 5, 7, 9]
    await conversations.close()
