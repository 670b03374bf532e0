"""What a model is shown of a conversation that is too much for it, over providers that refuse what is too long."""

from contextlib import aclosing
from itertools import pairwise

import pytest
import pytest_asyncio

from gateway.conversations.conversation import Conversations
from gateway.conversations.transcript import Entry, write_entry
from gateway.core.event import Finish, TextDelta
from gateway.core.message import Message, Text, ToolCall, ToolResult
from gateway.core.names import ModelRef
from gateway.core.session_key import SessionKey
from gateway.core.token_estimate import prompt_tokens
from gateway.core.turn import Sampling, Turn
from gateway.core.upstream_error import UpstreamError, UpstreamKind
from gateway.runs.answer_stream import whole_answer
from gateway.runs.run import RunOptions, prepare
from gateway.state.schema import MIGRATIONS
from gateway.state.sessions.sqlite import SqliteSessions
from gateway.state.sessions.store import SessionPolicy
from gateway.state.sqlite import Database
from gateway.upstream.http import Limits
from gateway.upstream.provider import Provider
from gateway.wire.model import ModelSpec

KEY = SessionKey(None, "main", "k")
OPTIONS = RunOptions()
BIG = (ModelRef("home", "big"),)
WORDS = "x" * 392  # with "qNN " and "aNN " about a hundred tokens each


class Windowed:
    """Models that hold so many tokens, and refuse what is more, prompt and answer together."""

    limits = Limits(total=600)

    def __init__(self, **windows):
        self.windows = windows
        self.asked = []
        self.refused = 0
        self.breaks = False

    def take(self, model, turn):
        if prompt_tokens(turn) + 100 > self.windows[model.id]:
            self.refused += 1
            raise UpstreamError(UpstreamKind.CONTEXT_OVERFLOW, "too long", code="context_length_exceeded")
        self.asked.append([message.parts[0].text[:3] for message in turn.messages if type(message.parts[0]) is Text])

    def ask(self, _provider, model, turn, _timeouts, **_options):
        return WindowedAnswer(self, model, turn)


class WindowedAnswer:
    def __init__(self, owner, model, turn):
        self.owner = owner
        self.asked = model, turn
        self.over = False
        self.half = owner.breaks and turn.stream

    async def read(self):
        if self.half:
            self.half = False
            return [TextDelta("half")]
        self.owner.take(*self.asked)
        self.over = True
        return [TextDelta(f"a{self.asked[1].messages[-1].parts[0].text[1:3]} {WORDS}"), Finish("stop")]

    def end(self):
        pass


@pytest_asyncio.fixture
async def conversations():
    database = Database(None, MIGRATIONS)
    store = SqliteSessions(database, SessionPolicy(), clock=lambda: 1000.0)
    made = Conversations(store, wait=5.0, renew=30.0, clock=lambda: 1000.0)
    yield made
    await made.close()
    await database.close()


async def never(_messages):
    raise AssertionError("nobody wants a summary")


@pytest.fixture
def talk(conversations, run_context, agent):
    """So many turns with the models of `caller`, of which each declares its window or does not."""

    async def say(caller, first, last, *, declared=None, stream=False, chain=BIG, **turn):
        specs = {name: ModelSpec(name, context_window=size) for name, size in (declared or {}).items()}
        providers = {"home": Provider("home", "http://home/v1", models=specs)}
        made, who = run_context(caller, providers=providers, retries=0), agent(candidates=chain, prompt="Be brief.")
        for number in range(first, last):
            asked = Turn("openclaw", (Message("user", (Text(f"q{number:02} {WORDS}"),)),), stream=stream, **turn)
            async with conversations.of_turn(KEY, asked, "r", never) as conversation:
                run = conversation.fitted(await prepare(who, conversation.turn, OPTIONS, made))
                recorded = conversation.recorded(run)
                if stream:
                    async with aclosing(recorded.events()) as events:
                        assert [batch async for batch in events]
                else:
                    await whole_answer(recorded)
        return run

    return say


def turns(asked):
    """How many stored turns were shown."""
    return (len(asked) - 2) // 2


@pytest.mark.parametrize("stream", [False, True])
async def test_where_the_window_is_declared_no_more_turns_are_shown_than_fit_and_nothing_is_refused(talk, stream):
    caller = Windowed(big=2000)
    await talk(caller, 0, 30, declared={"big": 2000}, stream=stream, sampling=Sampling(max_tokens=100))
    assert caller.refused == 0
    assert [turns(asked) for asked in caller.asked] == [*range(9), *[6, 7, 8] * 7]
    assert caller.asked[-1] == ["Be ", *(f"{who}{number}" for number in range(21, 29) for who in "qa"), "q29"]


async def test_the_prompt_begins_in_the_same_way_for_several_turns_so_that_providers_can_cache_it(talk):
    caller = Windowed(big=4000)
    await talk(caller, 0, 40, declared={"big": 4000}, sampling=Sampling(max_tokens=100))
    goes_on = [later[: len(asked)] == asked for asked, later in pairwise(caller.asked)]
    assert goes_on.count(False) <= 6


async def test_room_for_the_answer_stays_free(talk):
    caller = Windowed(big=2000)
    await talk(caller, 0, 20, declared={"big": 2000}, sampling=Sampling(max_tokens=600))
    assert max(map(turns, caller.asked)) == 6
    await talk(caller, 20, 21, declared={"big": 2000}, sampling=Sampling(max_tokens=10**6))
    assert turns(caller.asked[-1]) == 3  # half of the window is the prompt's, whatever the caller wants


@pytest.mark.parametrize("stream", [False, True])
async def test_a_conversation_that_outgrows_an_undeclared_window_is_never_stuck(talk, conversations, stream):
    caller = Windowed(big=2000)
    await talk(caller, 0, 40, stream=stream)
    assert [asked[-1] for asked in caller.asked] == [f"q{number:02}" for number in range(40)]
    assert min(turns(asked) for asked in caller.asked[10:]) >= 3
    assert caller.refused <= 8  # not once for each turn
    _, entries = await conversations.leases.store.read(KEY)
    assert len(entries) == 40
    assert max(map(len, caller.asked)) == 20


async def test_what_is_far_too_much_is_tried_a_few_times_only(talk):
    caller = Windowed(big=10**6)
    await talk(caller, 0, 60)
    caller.windows["big"] = 320
    await talk(caller, 60, 61)
    assert caller.refused == 4
    assert caller.asked[-1] == ["Be ", "q60"]


async def test_a_message_that_is_too_long_by_itself_fails_after_one_retry(talk):
    caller = Windowed(big=10**6)
    await talk(caller, 0, 2)
    caller.windows["big"] = 150
    with pytest.raises(UpstreamError) as raised:
        await talk(caller, 2, 3)
    assert raised.value.code == "context_length_exceeded"
    assert caller.refused == 2


async def test_what_one_model_can_not_take_is_shown_to_another(talk):
    caller = Windowed(small=1000, big=10**6)
    small = (ModelRef("home", "small"),)
    await talk(caller, 0, 12, chain=small)
    await talk(caller, 12, 13, chain=BIG)
    assert turns(caller.asked[-1]) == 12
    refused = caller.refused
    await talk(caller, 13, 14, chain=small)
    assert turns(caller.asked[-1]) <= 4
    assert caller.refused - refused <= 1


async def test_a_fallback_with_a_larger_window_is_asked_before_anything_is_left_out(talk):
    caller = Windowed(small=1000, big=10**6)
    await talk(caller, 0, 12, chain=(ModelRef("home", "small"), *BIG))
    assert turns(caller.asked[-1]) == 11


async def test_nothing_is_tried_again_once_the_caller_has_seen_something(talk):
    caller = Windowed(big=2000)
    caller.breaks = True
    with pytest.raises(UpstreamError):
        await talk(caller, 0, 30, stream=True)
    assert caller.refused == 1


async def test_a_refusal_of_another_kind_leaves_nothing_out(talk):
    caller = Windowed(big=10**6)
    await talk(caller, 0, 3)
    take, tried = caller.take, []

    def refuses(model, turn):
        tried.append(turn)
        raise UpstreamError(UpstreamKind.INVALID_REQUEST, "no")

    caller.take = refuses
    with pytest.raises(UpstreamError):
        await talk(caller, 3, 4)
    assert len(tried) == 1
    caller.take = take
    await talk(caller, 4, 5)
    assert turns(caller.asked[-1]) == 3


async def test_all_tries_share_one_deadline(talk, time):
    caller = Windowed(big=2000)
    await talk(caller, 0, 9)
    ends, ask = [], caller.ask

    def slow(*asked, end, fresh):
        ends.append(end)
        time.now += 10
        return ask(*asked, end=end, fresh=fresh)

    caller.ask = slow
    run = await talk(caller, 9, 11)
    assert len(set(ends[-2:])) == 1
    assert len(run.trace.attempts) == 2


async def test_a_call_whose_result_is_sent_now_stays(conversations, run_context, agent):
    caller = Windowed(big=600)
    provider = Provider("home", "http://home/v1", models={"big": ModelSpec("big", context_window=600)})
    made, who = run_context(caller, providers={"home": provider}), agent()
    call = ToolCall("c1", "f", "{}")
    store = conversations.leases.store

    async def ask(*messages):
        async with conversations.of_turn(KEY, Turn("openclaw", messages), "r", never) as conversation:
            run = conversation.fitted(await prepare(who, conversation.turn, OPTIONS, made))
            await whole_answer(conversation.recorded(run))
            return run.turn.messages

    for number in range(4):
        await ask(Message("user", (Text(f"q{number:02} {WORDS}"),)))
    last = await store.acquire(KEY, 1.0)
    called = (Message("user", (Text(f"q{WORDS}"),)), Message("assistant", (call,)))
    await store.append(last, write_entry(Entry(1.0, "r", "completed", called, "home/big")))
    shown = await ask(Message("tool", (ToolResult("c1", (Text("42"),)),)), Message("user", (Text("q99"),)))
    assert shown[-4:-2] == called
