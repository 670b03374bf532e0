"""The stores that a configuration means, with the clocks that they get."""

from types import SimpleNamespace

import pytest

from gateway.config.root import Config
from gateway.core.session_key import SessionKey
from gateway.state import configured
from gateway.state.responses.store import StoredResponse

BODY = b'{"status":"completed","background":false,"output":[]}'
KEY = SessionKey(None, "main", "openai-user:u1")
DAY = 86_400.0


class Machine:
    """The clocks of a machine: `step` moves the time of day, `run` lets time pass."""

    def __init__(self):
        self._now, self._set = 1_000.0, 1_700_000_000.0

    def monotonic(self):
        return self._now

    def time(self):
        return self._now + self._set

    def run(self, seconds):
        self._now += seconds

    def step(self, seconds):
        self._set += seconds


@pytest.fixture
def machine(monkeypatch):
    made = Machine()
    monkeypatch.setattr(configured, "time", SimpleNamespace(time=made.time, monotonic=made.monotonic))
    return made


@pytest.mark.parametrize("days", [8, 400, -8])
@pytest.mark.parametrize("backend", ["auto", "memory"])
async def test_a_step_of_the_system_clock_during_a_turn_loses_neither_the_turn_nor_what_was_stored(
    tmp_path, machine, backend, days
):
    config = Config.model_validate({"gateway": {"state": {"backend": backend}}})
    async with configured.stores_from(config, tmp_path) as stores:
        sessions, responses = stores.sessions, stores.responses
        await sessions.append(await sessions.acquire(KEY, 1), b"1")
        await responses.put(StoredResponse("resp_1", None, "main", machine.time(), BODY, b"[]"))
        machine.run(5)
        lease = await sessions.acquire(KEY, 1)
        machine.step(days * DAY)
        machine.run(5)
        assert await sessions.renew(lease)
        await sessions.append(lease, b"2")
        facts, entries = await sessions.read(KEY)
        assert entries == (b"1", b"2")
        assert (await sessions.list_sessions(None, everybody=True, limit=5)).sessions == (facts,)
        assert await responses.get(None, "resp_1") is not None
        machine.run(60)
        machine.step(-days * DAY)  # as after one wrong answer of a time server
        await sessions.append(await sessions.acquire(KEY, 1), b"3")
        machine.run(1000)
        assert (await sessions.read(KEY))[1] == (b"1", b"2", b"3")
