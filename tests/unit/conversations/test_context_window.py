"""Conversations that exceed the context window, with providers that refuse longer prompts."""

from contextlib import aclosing
from itertools import pairwise

import pytest
import pytest_asyncio

from gateway.conversations.conversation import Conversations
from gateway.conversations.recorder import SessionRecorder
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
    """Models with windows of so many tokens; they refuse a longer prompt plus answer."""

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
    """Run `turns` turns with the models of `provider_client`, with or without declared windows."""

    async def say(provider_client, first, last, *, declared=None, stream=False, chain=BIG, **turn):
        specs = {name: ModelSpec(name, context_window=size) for name, size in (declared or {}).items()}
        providers = {"home": Provider("home", "http://home/v1", models=specs)}
        made, who = (
            run_context(provider_client, providers=providers, retries=0),
            agent(candidates=chain, prompt="Be brief."),
        )
        for number in range(first, last):
            asked = Turn("openclaw", (Message("user", (Text(f"q{number:02} {WORDS}"),)),), stream=stream, **turn)
            async with conversations.of_turn(KEY, asked, "r", never) as conversation:
                run = conversation.fitted(await prepare(who, conversation.turn, OPTIONS, made))
                recorded = SessionRecorder(run, conversation)
                if stream:
                    async with aclosing(recorded.events()) as events:
                        assert [batch async for batch in events]
                else:
                    await whole_answer(recorded)
        return run

    return say


def turns(asked):
    """The number of stored turns in the request."""
    return (len(asked) - 2) // 2


@pytest.mark.parametrize("stream", [False, True])
async def test_with_a_declared_window_only_turns_that_fit_are_sent_and_no_request_is_refused(talk, stream):
    provider_client = Windowed(big=2000)
    await talk(provider_client, 0, 30, declared={"big": 2000}, stream=stream, sampling=Sampling(max_tokens=100))
    assert provider_client.refused == 0
    assert [turns(asked) for asked in provider_client.asked] == [*range(9), *[6, 7, 8] * 7]
    assert provider_client.asked[-1] == ["Be ", *(f"{who}{number}" for number in range(21, 29) for who in "qa"), "q29"]


async def test_the_prompt_begins_in_the_same_way_for_several_turns_so_that_providers_can_cache_it(talk):
    provider_client = Windowed(big=4000)
    await talk(provider_client, 0, 40, declared={"big": 4000}, sampling=Sampling(max_tokens=100))
    goes_on = [later[: len(asked)] == asked for asked, later in pairwise(provider_client.asked)]
    assert goes_on.count(False) <= 6


async def test_tokens_for_the_answer_are_reserved(talk):
    provider_client = Windowed(big=2000)
    await talk(provider_client, 0, 20, declared={"big": 2000}, sampling=Sampling(max_tokens=600))
    assert max(map(turns, provider_client.asked)) == 6
    await talk(provider_client, 20, 21, declared={"big": 2000}, sampling=Sampling(max_tokens=10**6))
    assert turns(provider_client.asked[-1]) == 3  # half of the window is the prompt's, whatever the client wants


@pytest.mark.parametrize("stream", [False, True])
async def test_a_conversation_that_outgrows_an_undeclared_window_continues(talk, conversations, stream):
    provider_client = Windowed(big=2000)
    await talk(provider_client, 0, 40, stream=stream)
    assert [asked[-1] for asked in provider_client.asked] == [f"q{number:02}" for number in range(40)]
    assert min(turns(asked) for asked in provider_client.asked[10:]) >= 3
    assert provider_client.refused <= 8  # not once for each turn
    _, entries = await conversations.leases.store.read(KEY)
    assert len(entries) == 40
    assert max(map(len, provider_client.asked)) == 20


async def test_a_prompt_that_is_far_too_long_is_retried_a_few_times_only(talk):
    provider_client = Windowed(big=10**6)
    await talk(provider_client, 0, 60)
    provider_client.windows["big"] = 320
    await talk(provider_client, 60, 61)
    assert provider_client.refused == 4
    assert provider_client.asked[-1] == ["Be ", "q60"]


async def test_a_message_that_is_too_long_by_itself_fails_after_one_retry(talk):
    provider_client = Windowed(big=10**6)
    await talk(provider_client, 0, 2)
    provider_client.windows["big"] = 150
    with pytest.raises(UpstreamError) as raised:
        await talk(provider_client, 2, 3)
    assert raised.value.code == "context_length_exceeded"
    assert provider_client.refused == 2


async def test_turns_that_one_model_can_not_take_are_sent_to_another(talk):
    provider_client = Windowed(small=1000, big=10**6)
    small = (ModelRef("home", "small"),)
    await talk(provider_client, 0, 12, chain=small)
    await talk(provider_client, 12, 13, chain=BIG)
    assert turns(provider_client.asked[-1]) == 12
    refused = provider_client.refused
    await talk(provider_client, 13, 14, chain=small)
    assert turns(provider_client.asked[-1]) <= 4
    assert provider_client.refused - refused <= 1


async def test_a_fallback_with_a_larger_window_is_asked_before_turns_are_omitted(talk):
    provider_client = Windowed(small=1000, big=10**6)
    await talk(provider_client, 0, 12, chain=(ModelRef("home", "small"), *BIG))
    assert turns(provider_client.asked[-1]) == 11


async def test_no_retry_with_fewer_turns_once_the_client_got_something(talk):
    provider_client = Windowed(big=2000)
    provider_client.breaks = True
    with pytest.raises(UpstreamError):
        await talk(provider_client, 0, 30, stream=True)
    assert provider_client.refused == 1


async def test_a_failure_of_another_kind_omits_no_turns(talk):
    provider_client = Windowed(big=10**6)
    await talk(provider_client, 0, 3)
    take, tried = provider_client.take, []

    def refuses(model, turn):
        tried.append(turn)
        raise UpstreamError(UpstreamKind.INVALID_REQUEST, "no")

    provider_client.take = refuses
    with pytest.raises(UpstreamError):
        await talk(provider_client, 3, 4)
    assert len(tried) == 1
    provider_client.take = take
    await talk(provider_client, 4, 5)
    assert turns(provider_client.asked[-1]) == 3


async def test_all_retries_share_one_deadline(talk, time):
    provider_client = Windowed(big=2000)
    await talk(provider_client, 0, 9)
    ends, ask = [], provider_client.ask

    def slow(*asked, end, **options):
        ends.append(end)
        time.now += 10
        return ask(*asked, end=end, **options)

    provider_client.ask = slow
    run = await talk(provider_client, 9, 11)
    assert len(set(ends[-2:])) == 1
    assert len(run.trace.attempts) == 2


async def test_a_call_whose_result_this_request_sends_is_not_omitted(conversations, run_context, agent):
    provider_client = Windowed(big=600)
    provider = Provider("home", "http://home/v1", models={"big": ModelSpec("big", context_window=600)})
    made, who = run_context(provider_client, providers={"home": provider}), agent()
    call = ToolCall("c1", "f", "{}")
    store = conversations.leases.store

    async def ask(*messages):
        async with conversations.of_turn(KEY, Turn("openclaw", messages), "r", never) as conversation:
            run = conversation.fitted(await prepare(who, conversation.turn, OPTIONS, made))
            await whole_answer(SessionRecorder(run, conversation))
            return run.turn.messages

    for number in range(4):
        await ask(Message("user", (Text(f"q{number:02} {WORDS}"),)))
    last = await store.acquire(KEY, 1.0)
    called = (Message("user", (Text(f"q{WORDS}"),)), Message("assistant", (call,)))
    await store.append(last, write_entry(Entry(1.0, "r", "completed", called, "home/big")))
    shown = await ask(Message("tool", (ToolResult("c1", (Text("42"),)),)), Message("user", (Text("q99"),)))
    assert shown[-4:-2] == called
