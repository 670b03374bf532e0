import asyncio

import pytest

from gateway.core.event import Finish, TextDelta
from gateway.core.message import Message, Text
from gateway.core.names import ModelRef
from gateway.core.turn import Turn
from gateway.core.upstream_error import UpstreamError, UpstreamKind
from gateway.runs.answer_stream import whole_answer
from gateway.runs.run import Run

BIG, SMALL, TINY = ModelRef("home", "big"), ModelRef("other", "small"), ModelRef("other", "tiny")
TURN = Turn("openclaw", (Message("user", (Text("hi"),)),), stream=True)
AFTER = 0.02  # seconds


def failed(kind=UpstreamKind.TIMEOUT):
    return UpstreamError(kind, kind.value)


class Answer:
    """An answer that waits until its model may send, then sends or fails."""

    def __init__(self, client, model):
        self.client = client
        self.model = model
        self.over = False
        self.ended = False
        self.adopted = False
        self._sent = False

    async def read(self):
        if self._sent:
            self.over = True
            return [Finish("stop")]
        await self.client.may_speak[self.model].wait()
        self._sent = True
        if (error := self.client.fails.get(self.model)) is not None:
            raise error
        return [TextDelta(self.model)]

    def adopt(self):
        self.adopted = True

    def end(self):
        self.ended = True


class Client:
    def __init__(self, limits):
        self.limits = limits
        self.may_speak = {name: asyncio.Event() for name in ("big", "small", "tiny")}
        self.answers = {}
        self.timeouts = {}
        self.fails = {}

    def ask(self, _provider, model, _turn, timeouts, **_limits):
        self.timeouts[model.id] = timeouts
        self.answers[model.id] = answer = Answer(self, model.id)
        return answer


@pytest.fixture
def client(scripted):
    return Client(scripted.limits)


@pytest.fixture
def start(client, agent, run_context):
    """Start a run in its own task. Returns the task of its text."""

    def begin(*chain, hedge_after=AFTER):
        shared = run_context(client, hedge_after=hedge_after)
        run = Run(agent(), TURN, chain, shared, shared.new_trace("main"))

        async def text():
            return (await whole_answer(run)).text

        task = asyncio.create_task(text())
        task.trace = run.trace
        return task

    return begin


async def asked(client, model):
    async with asyncio.timeout(30):
        while model not in client.answers:
            await asyncio.sleep(0.001)


def outcomes(task):
    return [(one["model"], one["outcome"]) for one in task.trace.as_dict()["attempts"]]


async def test_a_model_that_answers_in_time_is_asked_alone(client, start):
    client.may_speak["big"].set()
    assert await start(BIG, SMALL) == "big"
    assert list(client.answers) == ["big"]


async def test_the_next_model_answers_in_parallel_to_a_silent_one_which_is_aborted(client, start):
    task = start(BIG, SMALL)
    await asked(client, "small")
    client.may_speak["small"].set()
    assert await task == "small"
    assert outcomes(task) == [("home/big", "cancelled"), ("other/small", "answered")]
    assert task.trace.answered == SMALL
    assert client.answers["big"].ended
    assert client.answers["small"].adopted


async def test_the_first_candidate_can_still_win(client, start):
    task = start(BIG, SMALL)
    await asked(client, "small")
    client.may_speak["big"].set()
    assert await task == "big"
    assert outcomes(task) == [("home/big", "answered"), ("other/small", "cancelled")]
    assert task.trace.answered == BIG
    assert client.answers["small"].ended


@pytest.mark.parametrize(("fails", "answers"), [("big", "small"), ("small", "big")])
async def test_when_one_of_the_two_fails_the_other_goes_on_alone(client, start, fails, answers):
    client.fails[fails] = failed()
    task = start(BIG, SMALL)
    await asked(client, "small")
    client.may_speak[fails].set()
    while not client.answers[fails].ended:
        await asyncio.sleep(0)
    client.may_speak[answers].set()
    assert await task == answers
    assert dict(outcomes(task)) == {
        f"home/{fails}" if fails == "big" else f"other/{fails}": "timeout",
        f"home/{answers}" if answers == "big" else f"other/{answers}": "answered",
    }


async def test_when_both_fail_the_third_is_asked(client, start):
    client.fails = {"big": failed(), "small": failed()}
    task = start(BIG, SMALL, TINY)
    await asked(client, "small")
    client.may_speak["big"].set()
    client.may_speak["small"].set()
    client.may_speak["tiny"].set()
    assert await task == "tiny"
    assert sorted(outcome for _, outcome in outcomes(task)) == ["answered", "timeout", "timeout"]
    assert client.timeouts["small"].first_event == 12.0


async def test_a_failure_before_the_hedge_is_ordinary_failover(client, start):
    client.fails = {"big": failed()}
    client.may_speak["big"].set()
    client.may_speak["small"].set()
    assert await start(BIG, SMALL, hedge_after=60.0) == "small"


async def test_the_last_model_of_a_hedge_has_the_timeouts_of_a_last_one(client, start):
    task = start(BIG, SMALL)
    await asked(client, "small")
    client.may_speak["small"].set()
    await task
    assert client.timeouts["small"].first_event == 120.0


async def test_without_another_model_nothing_is_hedged(client, start):
    task = start(BIG)
    await asked(client, "big")
    await asyncio.sleep(2 * AFTER)
    client.may_speak["big"].set()
    assert await task == "big"
    assert len(client.answers) == 1


async def test_a_client_that_leaves_ends_both(client, start, cooldowns):
    task = start(BIG, SMALL)
    await asked(client, "small")
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert all(answer.ended for answer in client.answers.values())
    assert outcomes(task) == [("home/big", "cancelled"), ("other/small", "cancelled")]
    assert cooldowns.all_closed
