import asyncio

import pytest
from structlog.testing import capture_logs

from gateway.core.errors import Unavailable
from gateway.upstream.embedded.chat import EmbeddedChat
from gateway.upstream.embedded.child import ChildSettings
from gateway.upstream.embedded.models import MODEL


class ScriptedChild:
    """Serves for `seconds` of the clock and then exits. None is for ever, 0 is not at all."""

    pid = 1

    def __init__(self, world: "World", seconds: float | None) -> None:
        self._world = world
        self._seconds = seconds

    async def serving(self) -> bool:
        return self._seconds != 0

    async def ended(self) -> str:
        if self._seconds is None:
            self._world.settled.set()
            await asyncio.Event().wait()
        self._world.now += self._seconds
        return "exit status 1: RuntimeError: no luck"

    async def stop(self) -> None:
        self._world.stopped += 1


class World:
    """A clock, and the lifetime of the child for every start. Records the model's settings and delays."""

    def __init__(self, *lives: float | OSError | None) -> None:
        self.now = 0.0
        self.delays: list[float] = []
        self.settings: list[ChildSettings] = []
        self.settled = asyncio.Event()
        self.stopped = 0
        self._lives = list(lives)

    def chat(self) -> EmbeddedChat:
        return EmbeddedChat(spawn=self.spawn, clock=lambda: self.now, sleep=self.sleep)

    async def spawn(self, settings: ChildSettings) -> ScriptedChild:
        self.settings.append(settings)
        life = self._lives.pop(0)
        if isinstance(life, OSError):
            raise life
        return ScriptedChild(self, life)

    async def sleep(self, seconds: float) -> None:
        self.delays.append(seconds)
        self.now += seconds


async def test_delay_doubles_from_half_a_second_to_thirty():
    world = World(*[0] * 9, None)

    async with world.chat():
        await world.settled.wait()

    assert world.delays == [0.5, 1, 2, 4, 8, 16, 30, 30, 30]
    assert world.stopped == 10


async def test_delay_starts_over_after_a_minute_of_service_and_not_before():
    world = World(0, 0, 59, 60, None)

    async with world.chat():
        await world.settled.wait()

    assert world.delays == [0.5, 1, 2, 0.5]


async def test_port_and_key_are_the_same_for_every_child():
    world = World(0, 5, None)

    async with world.chat() as chat:
        await world.settled.wait()

    assert {(s.port, s.api_key) for s in world.settings} == {(int(chat.base_url.split(":")[2][:-3]), chat.api_key)}


async def test_a_refused_process_start_is_retried():
    world = World(OSError("no more processes"), None)

    async with world.chat() as chat:
        await chat.ready()

    assert world.delays == [0.5]


async def test_starting_twice_at_once_makes_one_child():
    world = World(None)

    async with world.chat() as chat:
        await asyncio.gather(chat.start(), chat.start(), chat.ready(), chat.ready())

    assert len(world.settings) == 1


async def test_first_call_starts_the_model():
    world = World(None)
    chat = world.chat()

    await chat.ready()

    assert len(world.settings) == 1
    await chat.close()


async def test_model_that_does_not_serve_in_time_is_unavailable_with_the_reason():
    world = World(0)
    asleep = asyncio.Event()

    async def sleep_on(_seconds: float) -> None:
        asleep.set()
        await asyncio.Event().wait()

    async with EmbeddedChat(spawn=world.spawn, clock=lambda: 0.0, sleep=sleep_on) as chat:
        await asleep.wait()
        with pytest.raises(Unavailable, match=r"not serving yet \(exit status 1: RuntimeError: no luck\)"):
            await chat.ready(0)


async def test_every_change_of_state_is_one_log_line_without_the_key():
    world = World(3, None)

    with capture_logs() as lines:
        async with world.chat() as chat:
            await world.settled.wait()

    assert [line["event"] for line in lines] == [
        "Embedded model serves",
        "Embedded model stopped",
        "Embedded model serves",
        "Embedded model closed",
    ]
    assert lines[1]["restart_s"] == 0.5
    assert chat.api_key not in repr(lines)


def test_settings_survive_the_pipe_and_do_not_show_the_key():
    settings = ChildSettings(MODEL.chat_model, "/a/b.gguf", 1234, 1, 2, 64, "s3cret")

    assert ChildSettings.from_line(settings.to_line()) == settings
    assert settings.to_line().count(b"\n") == 1
    assert "s3cret" not in repr(settings)
