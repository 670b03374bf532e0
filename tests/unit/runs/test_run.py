import pytest
from msgspec.structs import replace

from gateway.core.errors import BadRequest, NotFound, ToolChoiceUnmet
from gateway.core.event import Finish, TextDelta, ThinkingDelta, ThinkingEnd, ToolCallBegin, UsageReport
from gateway.core.message import Message, Text, Thinking
from gateway.core.names import ModelRef
from gateway.core.turn import Sampling, ToolChoice, ToolSpec, Turn
from gateway.core.upstream_error import UpstreamError, UpstreamKind
from gateway.core.usage import Usage
from gateway.runs.answer_stream import whole_answer
from gateway.runs.filters.hold_back import ALL
from gateway.runs.run import Run, RunOptions, chain_for, prepare
from gateway.upstream.provider import Provider
from gateway.wire.model import ModelSpec

PROVIDERS = {name: Provider(name, f"http://{name}/v1") for name in ("home", "other")}
BIG, SMALL = ModelRef("home", "big"), ModelRef("other", "small")
HELLO = Message("user", (Text("hi"),))
TURN = Turn("openclaw", (HELLO,))
STREAMED = replace(TURN, stream=True)
FAILURE = UpstreamError(UpstreamKind.TRANSPORT, "gone")
STALLED = UpstreamError(UpstreamKind.STALL, "silent")
STOP = Finish("stop")
WHOLE = [[TextDelta("Hel")], [TextDelta("lo, ")], [TextDelta("world"), STOP], [UsageReport(Usage(1, 2, 3))]]


@pytest.fixture
def run(agent, run_context):
    """A run of this turn with these answers, one per attempt and model."""

    def build(turn=TURN, chain=(BIG,), *, provider_client, streaming="auto", **settings):
        shared = run_context(provider_client, **settings)
        return Run(agent(upstream_streaming=streaming), turn, chain, shared, shared.new_trace("main"))

    return build


async def events_of(run):
    return [event async for batch in run.events() for event in batch]


def text_of(events):
    return "".join(event.text for event in events if isinstance(event, TextDelta))


@pytest.mark.parametrize("stream", [True, False])
async def test_an_answer_is_the_same_streamed_or_whole(run, scripted, stream):
    answer = [[TextDelta("<thi")], [TextDelta("nk>why</think>Yes")], [STOP]]
    reply = await whole_answer(run(replace(TURN, stream=stream), provider_client=scripted(big=[answer])))
    assert (reply.text, reply.thinking, reply.finish) == ("Yes", (Thinking("why"),), "stop")


async def test_events_pass_the_filters_as_they_arrive(run, scripted):
    provider_client = scripted(big=[[[TextDelta("<think>why")], [TextDelta("</think>")], [TextDelta("Yes"), STOP]]])
    events = [batch async for batch in run(STREAMED, provider_client=provider_client).events()]
    assert events == [[ThinkingDelta("why")], [ThinkingEnd(Thinking("why")), TextDelta("Yes"), STOP]]
    assert provider_client.closed == ["big"]


async def test_closing_the_stream_early_ends_the_provider_request(run, scripted):
    provider_client = scripted(big=[[[TextDelta("a")], [TextDelta("b")], [STOP]]])
    started = run(STREAMED, provider_client=provider_client)
    events = started.events()
    assert await anext(events) == [TextDelta("a")]
    await events.aclose()
    assert provider_client.closed == ["big"]
    assert started.trace.as_dict()["outcome"] == "cancelled"


@pytest.mark.parametrize("at", range(3))
async def test_a_broken_stream_continues_where_it_broke(run, scripted, at):
    provider_client = scripted(big=[[*WHOLE[:at], FAILURE], WHOLE])
    started = run(STREAMED, provider_client=provider_client)
    events = await events_of(started)
    assert text_of(events) == "Hello, world"
    assert [event for event in events if isinstance(event, Finish)] == [STOP]
    assert events[-1] == UsageReport(Usage(1, 2, 3))
    assert provider_client.asked == provider_client.closed == ["big", "big"]
    assert [one["outcome"] for one in started.trace.as_dict()["attempts"]] == ["transport", "answered"]


async def test_a_stream_that_breaks_again_and_again_is_finished_by_the_fallback(run, scripted):
    provider_client = scripted(big=[[*WHOLE[:2], FAILURE]], small=[WHOLE])
    started = run(STREAMED, (BIG, SMALL), provider_client=provider_client)
    assert text_of(await events_of(started)) == "Hello, world"
    assert provider_client.asked == ["big", "big", "big", "small"]
    assert started.trace.answered == SMALL


async def test_a_stream_that_stalls_is_finished_by_the_fallback_at_once(run, scripted, time):
    provider_client = scripted(big=[[*WHOLE[:2], STALLED]], small=[WHOLE])
    assert text_of(await events_of(run(STREAMED, (BIG, SMALL), provider_client=provider_client))) == "Hello, world"
    assert (provider_client.asked, time.pauses) == (["big", "small"], [])


async def test_a_stalled_stream_is_requested_again_without_a_fallback(run, scripted):
    provider_client = scripted(big=[[*WHOLE[:2], STALLED], WHOLE])
    assert text_of(await events_of(run(STREAMED, provider_client=provider_client))) == "Hello, world"
    provider_client = scripted(big=[[*WHOLE[:2], STALLED]])
    with pytest.raises(UpstreamError) as caught:
        await events_of(run(STREAMED, provider_client=provider_client))
    assert caught.value is STALLED
    assert provider_client.asked == ["big", "big"]


async def test_a_second_answer_that_differs_ends_in_one_error(run, scripted):
    provider_client = scripted(big=[[*WHOLE[:2], FAILURE], [[TextDelta("Goodbye"), STOP]]])
    started = run(STREAMED, provider_client=provider_client)
    events = started.events()
    seen = [*await anext(events), *await anext(events)]
    with pytest.raises(UpstreamError) as caught:
        await anext(events)
    assert caught.value.code == "answer_diverged"
    assert text_of(seen) == "Hello, "
    assert provider_client.asked == provider_client.closed == ["big", "big"]


async def test_a_model_that_accepts_prefill_continues_the_answer_in_its_own_words(run, scripted):
    continuing = ModelSpec("small", accepts_prefill=True)
    known = {"home": PROVIDERS["home"], "other": Provider("other", "http://other/v1", models={"small": continuing})}
    continuation = [[TextDelta(" wor"), TextDelta("ld of"), TextDelta(" people")], [STOP]]
    provider_client = scripted(big=[[*WHOLE[:2], [TextDelta("world ")], STALLED]], small=[continuation])
    started = run(STREAMED, (BIG, SMALL), provider_client=provider_client, providers=known)
    assert text_of(await events_of(started)) == "Hello, world of people"
    assert provider_client.turns[0] is STREAMED
    assert provider_client.turns[1].messages == (HELLO, Message("assistant", (Text("Hello,"),)))


@pytest.mark.parametrize(
    "reaction",
    [
        [UpstreamError(UpstreamKind.INVALID_REQUEST, "no prefill", upstream_status=400)],
        [[TextDelta(" something else"), STOP]],
    ],
    ids=["refused", "not continued"],
)
async def test_a_model_that_rejects_the_prefill_is_asked_for_the_whole_answer_then_the_next_one_is(
    run, scripted, reaction
):
    continuing = ModelSpec("big", accepts_prefill=True)
    known = {"home": Provider("home", "http://home/v1", models={"big": continuing}), "other": PROVIDERS["other"]}
    broken = [[TextDelta("Hello, world ")], FAILURE]
    whole = [[TextDelta("Hello, world of people")], [STOP]]
    provider_client = scripted(big=[broken, reaction, whole])
    assert (
        text_of(await events_of(run(STREAMED, provider_client=provider_client, providers=known)))
        == "Hello, world of people"
    )
    assert [turn.messages == TURN.messages for turn in provider_client.turns] == [True, False, True]
    provider_client = scripted(big=[broken, reaction, [FAILURE]], small=[whole])
    started = run(STREAMED, (BIG, SMALL), provider_client=provider_client, providers=known)
    assert text_of(await events_of(started)) == "Hello, world of people"
    assert provider_client.asked == ["big", "big", "big", "small"]
    assert [one["outcome"] for one in started.trace.as_dict()["attempts"]][1] == "prefill_rejected"


async def test_an_answer_that_differs_after_a_break_names_the_first_cause(run, scripted):
    provider_client = scripted(big=[[*WHOLE[:2], FAILURE], [FAILURE], [[TextDelta("Goodbye"), STOP]]])
    with pytest.raises(UpstreamError, match=r"broke off \(gone\), and"):
        await events_of(run(STREAMED, provider_client=provider_client))


@pytest.mark.parametrize(
    ("streaming", "stream", "chain", "asked"),
    [
        ("auto", False, (BIG,), False),
        ("auto", False, (BIG, SMALL), True),
        ("auto", True, (BIG,), True),
        ("always", False, (BIG,), True),
        ("never", False, (BIG, SMALL), False),
        ("never", True, (BIG,), False),
    ],
)
async def test_a_whole_answer_is_asked_as_a_stream_while_another_model_can_be_asked(
    run, scripted, *, streaming, stream, chain, asked
):
    provider_client = scripted(big=[WHOLE])
    reply = await whole_answer(
        run(replace(TURN, stream=stream), chain, provider_client=provider_client, streaming=streaming)
    )
    assert reply.text == "Hello, world"
    assert [turn.stream for turn in provider_client.turns] == [asked]


@pytest.mark.parametrize("rescue", [True, False])
@pytest.mark.parametrize("stream", [True, False])
async def test_the_last_candidate_has_longer_timeouts(run, scripted, rescue, stream):
    provider_client = scripted(big=[[UpstreamError(UpstreamKind.TIMEOUT, "silent")]], small=[WHOLE])
    turn = replace(TURN, stream=stream)
    await whole_answer(run(turn, (BIG, SMALL), provider_client=provider_client, rescue=rescue))
    first, last = provider_client.timeouts
    assert (first.first_event, last.first_event, last.idle) == (12.0, 120.0, 60.0)
    assert first.idle == (15.0 if rescue or not stream else 60.0), "nobody continues what can't be rescued"


async def test_without_rescue_a_break_after_the_first_text_is_reported(run, scripted):
    provider_client = scripted(big=[[*WHOLE[:1], FAILURE], WHOLE])
    with pytest.raises(UpstreamError) as caught:
        await events_of(run(STREAMED, provider_client=provider_client, rescue=False))
    assert caught.value is FAILURE
    assert provider_client.asked == ["big"]


@pytest.mark.parametrize("hold_back", [7, 8, ALL])
async def test_a_held_back_answer_may_be_replaced_by_a_different_one(run, scripted, hold_back):
    other = [[TextDelta("Good")], [TextDelta("bye")], [STOP]]
    provider_client = scripted(big=[[[TextDelta("Hello")], FAILURE], other])
    assert (
        text_of(await events_of(run(STREAMED, provider_client=provider_client, rescue=False, hold_back=hold_back)))
        == "Goodbye"
    )


async def test_a_whole_answer_from_a_broken_stream_is_requested_again(run, scripted):
    provider_client = scripted(big=[[*WHOLE[:2], FAILURE], [[TextDelta("Goodbye"), STOP]]])
    reply = await whole_answer(run(TURN, provider_client=provider_client, streaming="always", rescue=False))
    assert reply.text == "Goodbye"
    assert provider_client.asked == ["big", "big"]


async def test_a_broken_attempt_that_waited_for_a_demanded_call_leaves_no_events(run, scripted):
    turn = replace(STREAMED, tools=(ToolSpec("f"),), tool_choice=ToolChoice("required"))
    provider_client = scripted(
        big=[[[TextDelta("Well")], FAILURE], [[ToolCallBegin(0, "c", "f"), Finish("tool_calls")]]]
    )
    assert await events_of(run(turn, provider_client=provider_client)) == [
        ToolCallBegin(0, "c", "f"),
        Finish("tool_calls"),
    ]


@pytest.mark.parametrize("stream", [True, False])
async def test_a_demanded_call_that_does_not_come_fails_the_run(run, scripted, stream):
    turn = replace(TURN, stream=stream, tools=(ToolSpec("f"),), tool_choice=ToolChoice("required"))
    provider_client = scripted(
        big=[[[TextDelta("No.")], [STOP]], [[TextDelta("So:")], [ToolCallBegin(0, "c", "f"), Finish("tool_calls")]]]
    )
    failed = run(turn, provider_client=provider_client)
    with pytest.raises(ToolChoiceUnmet):
        await whole_answer(failed)
    reply = await whole_answer(run(turn, provider_client=provider_client))
    assert (reply.text, reply.tool_calls[0].name) == ("So:", "f")


async def test_the_agents_prompt_comes_before_the_callers_messages(agent, run_context):
    asked = replace(TURN, messages=(Message("developer", (Text("brief"),)), HELLO))
    prepared = await prepare(agent(prompt="By {{channel}}."), asked, RunOptions(channel="phone"), run_context())
    assert prepared.turn.messages == (Message("system", (Text("By phone."),)), *asked.messages)


async def test_without_prompt_and_params_the_turn_is_untouched(agent, run_context):
    prepared = await prepare(agent(), TURN, RunOptions(), run_context())
    assert prepared.turn is TURN
    assert prepared.chain == (ModelRef("home", "big"),)
    assert prepared.trace.attempts == []


async def test_params_are_the_agents(agent, run_context):
    prepared = await prepare(agent(params={"temperature": 0.5}), TURN, RunOptions(), run_context())
    assert prepared.turn == replace(TURN, sampling=Sampling(temperature=0.5))


async def test_a_run_knows_its_client(agent, run_context):
    prepared = await prepare(agent(), TURN, RunOptions(), run_context(), client="alice")
    assert prepared.trace.client == "alice"


@pytest.mark.parametrize(
    ("override", "ref"),
    [
        ("other/x", ModelRef("other", "x")),
        ("OTHER/X", ModelRef("other", "X")),
        ("bare", ModelRef("home", "bare")),
        ("fast", ModelRef("other", "tiny")),
        ("FAST", ModelRef("other", "tiny")),
        ("other/a/b", ModelRef("other", "a/b")),
    ],
)
def test_an_override_has_no_fallbacks(agent, override, ref):
    settings = agent(
        candidates=(ModelRef("home", "big"), ModelRef("home", "small")), aliases={"fast": ModelRef("other", "tiny")}
    )
    assert chain_for(settings, override, PROVIDERS) == (ref,)


def test_without_override_the_chain_is_the_agents(agent):
    chain = (ModelRef("home", "big"), ModelRef("other", "x"))
    assert chain_for(agent(candidates=chain), None, PROVIDERS) == chain


@pytest.mark.parametrize("override", ["///", "home/", "/x", "home//"])
def test_an_incomplete_override_is_refused(agent, override):
    with pytest.raises(BadRequest, match=r"Invalid `x-openclaw-model`\.") as caught:
        chain_for(agent(), override, PROVIDERS)
    assert caught.value.param == "x-openclaw-model"


def test_an_override_with_an_unknown_provider_is_not_found(agent):
    with pytest.raises(NotFound, match="Unknown model: ghost/x"):
        chain_for(agent(), "ghost/x", PROVIDERS)


@pytest.mark.parametrize(
    ("allowed", "override", "let_in"),
    [
        (None, "other/x", True),
        ({"other/x"}, "other/x", True),
        ({"other/*"}, "other/x", True),
        ({"other/y"}, "other/x", False),
        ({"home/*"}, "other/x", False),
        (set(), "other/x", False),
        ({"other/tiny"}, "fast", True),
        ({"home/big"}, "big", True),
        # An unknown provider outside the list is not distinguished from a known one.
        ({"home/big"}, "ghost/x", False),
    ],
)
def test_the_agents_policy_limits_overrides(agent, allowed, override, let_in):
    settings = agent(
        allowed=None if allowed is None else frozenset(allowed), aliases={"fast": ModelRef("other", "tiny")}
    )
    if let_in:
        assert len(chain_for(settings, override, PROVIDERS)) == 1
    else:
        with pytest.raises(BadRequest, match="is not allowed for agent 'main'"):
            chain_for(settings, override, PROVIDERS)
