"""From a run to the rows of the ledger: what each attempt used, cost, and whether the client saw any of it."""

import asyncio
from contextlib import aclosing

import pytest

from gateway.core.errors import GatewayError
from gateway.core.event import Finish, TextDelta, ToolCallBegin, ToolCallDelta, UsageReport
from gateway.core.message import Message, Text
from gateway.core.names import ModelRef
from gateway.core.price import Price, Rates
from gateway.core.session_key import SessionKey
from gateway.core.turn import Turn
from gateway.core.upstream_error import UpstreamError, UpstreamKind
from gateway.core.usage import Usage
from gateway.ledger.booking import rows_of
from gateway.runs.run import Run
from gateway.runs.trace import Origin
from gateway.upstream.provider import Provider

PRICE = Price(Rates(1_000_000, 2_000_000, 100_000), (), "a list", "2026-01-02")
USAGE = Usage(100, 10, 110, cached=40)
ANSWER = [[TextDelta("Hello")], [Finish("stop"), UsageReport(USAGE)]]
UNCOUNTED = [[TextDelta("Hello"), TextDelta("!" * 3)], [Finish("stop")]]
PROMPT = 2  # tokens of the turn by our estimate
BROKEN = UpstreamError(UpstreamKind.TRANSPORT, "broken")
FULL = UpstreamError(UpstreamKind.OVERLOADED, "full", upstream_status=503)


@pytest.fixture
def booked(run_context, scripted):
    """Runs a turn on scripted answers and returns its rows."""

    async def run(stream=True, take=None, chain=("big", "small"), origin=None, settings=None, **script):
        providers = {"home": Provider("home", "http://home/v1", prices={"big": PRICE})}
        ends = []
        context = run_context(
            scripted(**script), providers=providers, observers=(ends.append,), metered=True, **(settings or {})
        )
        turn = Turn("openclaw", (Message("user", (Text("Hi there"),)),), stream=stream)
        trace = context.new_trace("main", "user:ann", origin or Origin("req-1", "/v1/chat/completions"))
        chain = tuple(ModelRef("home", model) for model in chain)
        try:
            async with aclosing(Run(_Agent(), turn, chain, context, trace).events()) as batches:
                async for number in _numbered(batches):
                    if take is not None and number == take:
                        break
        except GatewayError:
            pass  # the rows tell
        (finished,) = ends
        return list(rows_of(finished, 5000.0, providers))

    return run


class _Agent:
    timeout = None
    upstream_streaming = "auto"
    model_params = None


async def _numbered(batches):
    number = 0
    async for _ in batches:
        number += 1
        yield number


def tokens(row):
    return row.prompt, row.completion, row.usage_source


async def test_an_answer_is_booked_with_the_providers_count_and_its_cost(booked):
    (row,) = await booked(big=[ANSWER])
    assert (row.request, row.attempt, row.agent, row.caller) == ("req-1", 1, "main", "user:ann")
    assert (row.endpoint, row.provider, row.model, row.wire) == (
        "/v1/chat/completions",
        "home",
        "big",
        "openai-completions",
    )
    assert (row.prompt, row.cached, row.completion, row.usage_source) == (100, 40, 10, "provider")
    assert row.cost == 60 * 1000 + 40 * 100 + 10 * 2000
    assert (row.price_source, row.price_date) == ("a list", "2026-01-02")
    assert (row.outcome, row.error, row.absorbed, row.streamed) == ("answered", "", False, True)


@pytest.mark.parametrize("stream", [True, False])
async def test_an_answer_without_token_counts_is_estimated_from_its_bytes(booked, stream):
    (row,) = await booked(big=[UNCOUNTED], stream=stream)
    assert tokens(row) == (PROMPT, 2, "estimated")
    assert row.cost == PROMPT * 1000 + 2 * 2000


async def test_token_counts_of_zero_are_no_counts(booked):
    (row,) = await booked(big=[[[TextDelta("Hello")], [Finish("stop"), UsageReport(Usage())]]])
    assert tokens(row) == (PROMPT, 2, "estimated")


async def test_the_arguments_of_calls_are_counted(booked):
    calls = [ToolCallBegin(0, "id", "look_up"), ToolCallDelta(0, "x" * 40)]
    (row,) = await booked(big=[[calls, [Finish("tool_calls")]]])
    assert row.completion == 10


async def test_a_trace_does_not_hold_an_answer_after_its_end(run_context, scripted):
    """Also if the provider goes on after its token counts."""
    late = [[UsageReport(USAGE)], [TextDelta("secret")], [Finish("stop")]]
    for answer in (ANSWER, UNCOUNTED, late, [[TextDelta("secret")]] * 1000 + [[Finish("stop")]]):
        ends = []
        context = run_context(scripted(big=[answer]), observers=(ends.append,), metered=True)
        turn = Turn("openclaw", (Message("user", (Text("Hi"),)),), stream=True)
        run = Run(_Agent(), turn, (ModelRef("home", "big"),), context, context.new_trace("main"))
        assert [batch async for batch in run.events()]
        (attempt,) = ends[0].trace.attempts
        assert attempt.take_bytes() in (0, 8, 6000)
        assert not any("secret" in str(getattr(attempt, name)) for name in attempt.__slots__)


async def test_a_long_answer_without_token_counts_is_measured_to_its_end(booked):
    (row,) = await booked(big=[[[TextDelta("four")]] * 1000 + [[Finish("stop")]]])
    assert tokens(row) == (PROMPT, 1000, "estimated")


async def test_an_unknown_price_is_none(booked):
    (row,) = await booked(chain=("small",), small=[ANSWER])
    assert row.prompt == 100
    assert (row.cost, row.price_source) == (None, "")


async def test_a_refusal_costs_nothing_and_a_fallback_is_a_row_of_its_own(booked):
    rows = await booked(big=[FULL], small=[ANSWER], settings={"retries": 0})
    assert [(row.model, row.attempt, row.outcome, row.error, row.status) for row in rows] == [
        ("big", 1, "failed", "overloaded", 503),
        ("small", 2, "answered", "", 200),
    ]
    assert [row.absorbed for row in rows] == [True, False]
    assert tokens(rows[0]) == (0, 0, "none")
    assert rows[0].cost is None


async def test_the_last_failure_reaches_the_client(booked):
    rows = await booked(big=[FULL], small=[FULL], settings={"retries": 0})
    assert [row.absorbed for row in rows] == [True, False]


async def test_a_broken_stream_and_its_replay_are_two_rows(booked):
    rows = await booked(big=[[[TextDelta("Hello")], BROKEN], ANSWER], chain=("big",))
    assert [(row.outcome, row.error) for row in rows] == [("failed", "transport"), ("answered", "")]
    assert tokens(rows[0]) == (PROMPT, 2, "estimated")
    assert tokens(rows[1]) == (100, 10, "provider")
    assert [row.absorbed for row in rows] == [False, False]


async def test_a_broken_attempt_whose_output_was_held_back_is_absorbed(booked):
    rows = await booked(big=[[[TextDelta("Hello")], BROKEN], ANSWER], chain=("big",), settings={"hold_back": 100})
    assert tokens(rows[0]) == (PROMPT, 2, "estimated")
    assert [row.absorbed for row in rows] == [True, False]


async def test_a_connection_that_breaks_before_the_answer_begins_costs_nothing(booked):
    rows = await booked(big=[BROKEN, ANSWER], chain=("big",))
    assert tokens(rows[0]) == (0, 0, "none")


@pytest.mark.parametrize("kind", [UpstreamKind.TIMEOUT, UpstreamKind.STALL])
async def test_a_provider_that_is_too_slow_has_read_the_prompt(booked, kind):
    rows = await booked(big=[UpstreamError(kind, "slow")], small=[ANSWER])
    assert tokens(rows[0]) == (PROMPT, 0, "estimated")


async def test_a_client_that_leaves_pays_for_what_was_sent(booked):
    (row,) = await booked(big=[ANSWER], take=1)
    assert tokens(row) == (PROMPT, 2, "estimated")
    assert (row.outcome, row.absorbed) == ("cancelled", False)


async def test_a_client_that_leaves_before_the_answer_begins_pays_for_the_prompt(run_context, scripted):
    class Silent(scripted):
        def ask(self, *args, **options):
            answer = super().ask(*args, **options)
            answer.read = asyncio.Event().wait
            return answer

    ends = []
    context = run_context(Silent(big=[ANSWER]), observers=(ends.append,), metered=True)
    turn = Turn("openclaw", (Message("user", (Text("Hi there"),)),), stream=True)
    run = Run(_Agent(), turn, (ModelRef("home", "big"),), context, context.new_trace("main"))

    async def read():
        async for _ in run.events():
            raise AssertionError("nothing was sent")

    task = asyncio.create_task(read())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    (row,) = rows_of(ends[0], 0.0, context.providers)
    assert tokens(row) == (PROMPT, 0, "estimated")
    assert (row.outcome, row.absorbed) == ("cancelled", True)


async def test_the_key_of_a_conversation_is_only_stored_as_a_digest(booked):
    session = SessionKey("ann", "main", "my secret plan")
    (row,) = await booked(big=[ANSWER], origin=Origin("r", "/v1/responses", session))
    assert len(row.session) == 16
    assert "secret" not in str(row)
    (again,) = await booked(big=[ANSWER], origin=Origin("r", "/v1/responses", session))
    assert again.session == row.session


async def test_a_run_that_is_not_metered_counts_nothing(run_context, scripted):
    ends = []
    context = run_context(scripted(big=[ANSWER]), observers=(ends.append,))
    turn = Turn("openclaw", (Message("user", (Text("Hi"),)),), stream=True)
    run = Run(_Agent(), turn, (ModelRef("home", "big"),), context, context.new_trace("main"))
    assert [batch async for batch in run.events()]
    assert [attempt.usage for attempt in ends[0].trace.attempts] == [None]
