"""All workers change their configuration, or none; one that starts meanwhile follows."""

import asyncio

import pytest

from gateway.cli import messages
from gateway.cli.worker_reloads import WorkerReloads
from gateway.config.reload_status import ReloadStatus
from gateway.core.errors import ConfigError

STATUS = ReloadStatus("file", 1, 0.0, watched=True)


class Pipes:
    """Workers that answer as `answers` says; the kinds of what they got, in order."""

    def __init__(self):
        self.serving = frozenset()
        self.got = {}
        self.killed = []
        self.answers = {}
        self.reloads = None

    def send(self, number, data):
        kind = data[:1]
        if kind == messages.STATUS:
            return
        self.got.setdefault(number, b"")
        self.got[number] += kind
        if kind in (messages.PREPARE, messages.COMMIT):
            line = self.answers.get(number, messages.DONE) if kind == messages.PREPARE else messages.DONE
            if line is not None:
                asyncio.get_running_loop().call_soon(self.reloads.has_replied, number, line)

    def kill(self, number):
        self.killed.append(number)


@pytest.fixture
def pipes():
    pipes = Pipes()
    pipes.reloads = WorkerReloads("one", STATUS, pipes)
    for number in (1, 2):
        start(pipes, number)
    return pipes


def start(pipes, number):
    assert messages.Messages().feed(pipes.reloads.first_message(number))
    pipes.serving |= {number}


async def settled():
    for _ in range(10):
        await asyncio.sleep(0)


async def test_all_prepare_before_any_commits(pipes):
    await pipes.reloads.apply("two", 2)
    assert pipes.got == {1: b"PC", 2: b"PC"}


async def test_if_one_refuses_none_commits_and_its_problems_are_named_once(pipes):
    pipes.answers = {1: messages.refused(("a", "b")), 2: messages.refused(("a",))}
    with pytest.raises(ConfigError) as refusal:
        await pipes.reloads.apply("two", 2)
    assert sorted(refusal.value.problems) == ["a", "b"]
    assert pipes.got == {1: b"PD", 2: b"PD"}


async def test_a_worker_that_ends_meanwhile_is_not_waited_for_and_starts_with_what_is_in_force(pipes):
    pipes.answers = {2: None}
    change = asyncio.create_task(pipes.reloads.apply("two", 2))
    await settled()
    pipes.serving -= {2}
    pipes.reloads.has_ended(2)
    await change
    assert pipes.got == {1: b"PC", 2: b"P"}
    ((_, (loaded, status)),) = messages.Messages().feed(pipes.reloads.first_message(2))
    assert (loaded, status) == ("two", STATUS)


async def test_a_worker_that_was_starting_meanwhile_catches_up(pipes):
    pipes.reloads.first_message(3)
    await pipes.reloads.apply("two", 2)
    assert 3 not in pipes.got
    pipes.serving |= {3}
    pipes.reloads.has_served(3)
    await settled()
    assert pipes.got[3] == b"PC"


async def test_a_worker_that_can_not_catch_up_is_restarted(pipes):
    pipes.reloads.first_message(3)
    await pipes.reloads.apply("two", 2)
    pipes.serving |= {3}
    pipes.answers = {3: messages.refused(("no",))}
    pipes.reloads.has_served(3)
    await settled()
    assert pipes.killed == [3]


async def test_a_worker_that_hangs_while_it_catches_up_is_restarted(pipes, monkeypatch):
    monkeypatch.setattr("gateway.cli.worker_reloads._TIMEOUT", 0.01)
    pipes.reloads.first_message(3)
    await pipes.reloads.apply("two", 2)
    pipes.serving |= {3}
    pipes.answers = {3: None}
    pipes.reloads.has_served(3)
    async with asyncio.timeout(10):
        while not pipes.killed:
            await asyncio.sleep(0.001)
    assert pipes.killed == [3]
    pipes.reloads.has_ended(3)
    pipes.answers = {}
    await pipes.reloads.apply("three", 3)
    assert pipes.got[1] == b"PCPC", "no later change waits for it"


async def test_a_worker_that_hangs_is_killed_and_the_others_discard(pipes, monkeypatch):
    monkeypatch.setattr("gateway.cli.worker_reloads._TIMEOUT", 0.01)
    pipes.answers = {2: None}
    with pytest.raises(ConfigError, match="worker 2 did not prepare it"):
        await pipes.reloads.apply("two", 2)
    assert pipes.killed == [2]
    assert pipes.got[1] == b"PD"


@pytest.mark.parametrize("number", [2, 3], ids=["again", "for the first time"])
async def test_a_worker_that_serves_while_others_prepare_catches_up_and_commits_only_what_it_prepared(pipes, number):
    pipes.answers = {1: None, 2: None}
    change = asyncio.create_task(pipes.reloads.apply("two", 2))
    await settled()
    pipes.serving -= {2}
    pipes.reloads.has_ended(2)
    pipes.answers = {}
    pipes.got.pop(number, None)
    start(pipes, number)
    pipes.reloads.has_served(number)
    assert number not in pipes.got
    pipes.reloads.has_replied(1, messages.DONE)
    await change
    await settled()
    assert pipes.got[1] == b"PC"
    assert pipes.got[number] == b"PC"
