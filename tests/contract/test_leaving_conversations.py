"""Clients that disconnect from a conversation at any moment, for every store."""

import asyncio
from contextlib import aclosing

import pytest
import pytest_asyncio

from gateway.conversations.conversation import Conversations
from gateway.conversations.recorder import SessionRecorder
from gateway.conversations.transcript import read_entry
from gateway.core.accumulator import accumulated
from gateway.core.event import Finish, TextDelta
from gateway.core.message import Message, Text
from gateway.core.names import ModelRef
from gateway.core.session_key import SessionKey
from gateway.core.turn import Turn
from gateway.runs.answer_stream import whole_answer
from gateway.runs.trace import RunTrace
from gateway.state.sessions.redis import RedisSessions
from gateway.state.sessions.sqlite import SqliteSessions
from gateway.state.sessions.store import SessionPolicy
from tests.contract.stores import BACKENDS, SHARED, open_backend, servers

KEY = SessionKey(None, "main", "k")

pytestmark = pytest.mark.asyncio(loop_scope="module")


class Answering:
    """A run that waits a few times."""

    def __init__(self, prompt):
        self.prompt = prompt
        self.trace = RunTrace("main", lambda: 0.0)
        self.trace.begin(ModelRef("home", "big"), "k", 0.0)

    async def events(self):
        for batch in ([TextDelta(f"re:{self.prompt}")], [Finish("stop")]):
            await asyncio.sleep(0)
            yield batch

    async def reply(self):
        return accumulated([event async for batch in self.events() for event in batch])


async def never(_messages):
    raise AssertionError("nobody wants a summary")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def redis(tmp_path_factory):
    async with servers(tmp_path_factory.mktemp("redis")) as started:
        yield started


@pytest_asyncio.fixture(loop_scope="module", params=BACKENDS)
async def conversations(request, redis, tmp_path):
    policy = SessionPolicy(lease=60.0)  # a lease that is not released causes a failure
    async with open_backend(request.param, redis, tmp_path) as at:
        if request.param in SHARED:
            await redis[request.param].flush()
            store = RedisSessions(at, policy, prefix="test")
        else:
            store = SqliteSessions(at, policy, clock=lambda: 1000.0)
        made = Conversations(store, wait=20.0, renew=0.001, clock=lambda: 1000.0)
        yield made
        await made.close()
        if request.param in SHARED:
            await store.close()


async def turn(conversations, prompt, acknowledged, *, whole):
    asked = Turn("openclaw", (Message("user", (Text(prompt),)),))
    async with conversations.of_turn(KEY, asked, prompt, never) as conversation:
        run = SessionRecorder(Answering(prompt), conversation)
        if whole:
            await whole_answer(run)
        else:
            async with aclosing(run.events()) as events:
                async for _ in events:
                    await asyncio.sleep(0)
        acknowledged.append(prompt)


@pytest.mark.parametrize("whole", [True, False])
async def test_a_conversation_is_complete_and_free_whenever_clients_disconnect(conversations, whole):
    """Two concurrent requests; the first is cancelled one step later in each round, so at every step in the end."""
    acknowledged = []
    for moment in range(80):
        leaving = asyncio.create_task(turn(conversations, f"l{moment}", acknowledged, whole=whole))
        waiting = asyncio.create_task(turn(conversations, f"w{moment}", acknowledged, whole=whole))
        for _ in range(moment):
            await asyncio.sleep(0)
        (leaving if moment % 2 else waiting).cancel()
        async with asyncio.timeout(10):
            await asyncio.wait({leaving, waiting})
    await turn(conversations, "end", acknowledged, whole=whole)
    _, written = await conversations.leases.store.read(KEY)
    completed = [entry for entry in map(read_entry, written) if entry.outcome == "completed"]
    prompt = [entry.request for entry in completed]
    assert set(acknowledged) <= set(prompt)
    assert len(set(prompt)) == len(prompt)
    assert all(entry.messages[-1].parts[0].text == f"re:{entry.request}" for entry in completed)
    assert len(acknowledged) > 80
