"""Agents without a workspace, and a run context with a scripted provider client."""

import itertools
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import pytest_asyncio

from gateway.agents.agent import Agent
from gateway.agents.prompt import Caps, Prompt
from gateway.core.names import ModelRef
from gateway.runs.context import RunContext
from gateway.runs.cooldowns import CooldownPolicy, Cooldowns
from gateway.runs.retry_policy import RetryPolicy
from gateway.upstream.http import Limits
from gateway.upstream.provider import Provider
from tests.process import free_port, running

PRIMARY = ModelRef("home", "big")
TOOL_SERVER = Path(__file__).parents[1] / "tool_server.py"


class Time:
    """A clock that only sleeping moves; `pauses` holds how long was slept."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.pauses: list[float] = []

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds


class ScriptedAnswer:
    """What was scripted for one attempt, batch by batch, or in one when it was asked whole."""

    choice_in_words = False

    def __init__(
        self, owner: "Scripted", model: str, batches: list[Any], filters: tuple[Any, ...], *, whole: bool
    ) -> None:
        self._filters = filters
        self._owner = owner
        self._model = model
        if whole and not any(isinstance(one, Exception) for one in batches):
            batches = [[event for batch in batches for event in batch]]
        self._batches = iter(batches)
        self.over = False

    async def read(self) -> Any:
        batch = next(self._batches, [])
        if isinstance(batch, Exception):
            raise batch
        for one in self._filters:
            batch = one.feed(batch)
        return batch

    def end(self) -> None:
        self._owner.closed.append(self._model)


class Scripted:
    """Answers for each model, one per attempt, the last one again and again: batches, an exception in place of one."""

    limits = Limits(total=600)
    choice_in_words = False

    def __init__(self, **script: Any) -> None:
        self.asked: list[str] = []
        self.keys: list[str] = []
        self.closed: list[str] = []
        self.turns: list[object] = []
        self.timeouts: list[Any] = []
        self.fresh: list[bool] = []
        self._script = {
            model: itertools.chain(answers, itertools.repeat(answers[-1])) for model, answers in script.items()
        }

    def ask(
        self,
        provider: Provider,
        model: Any,
        turn: Any,
        timeouts: Any,
        *,
        end: float,
        fresh: bool = False,
        filters: tuple[Any, ...] = (),
    ) -> "ScriptedAnswer":
        assert end > 0
        self.turns.append(turn)
        self.timeouts.append(timeouts)
        self.fresh.append(fresh)
        batches = self._next(provider, model.id)
        answer = ScriptedAnswer(self, model.id, batches, filters, whole=not turn.stream)
        answer.choice_in_words = self.choice_in_words
        return answer

    def _next(self, provider: Provider, model: str) -> Any:
        self.asked.append(model)
        self.keys.append(provider.key_id)
        answer = next(self._script[model])
        return answer if isinstance(answer, list) else [answer]


class ToolServer(NamedTuple):
    """A running tool server: its URL, and the directory in which it notes what becomes of calls."""

    url: str
    notes: Path


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def tool_server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ToolServer]:
    """A tool server for all tests of a file: one that each gateway starts takes a second each time."""
    port, notes = free_port(), tmp_path_factory.mktemp("notes")
    command = [sys.executable, str(TOOL_SERVER), str(notes), "streamable-http", str(port)]
    async with running(command) as server:
        await server.wait_for_output("Uvicorn running")
        yield ToolServer(f"http://127.0.0.1:{port}/mcp", notes)


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def clock() -> Callable[[], float]:
    return lambda: 0.0


@pytest.fixture
def scripted() -> type[Scripted]:
    return Scripted


@pytest.fixture
def cooldowns(time: Time) -> Cooldowns:
    return Cooldowns(CooldownPolicy(), clock=time)


@pytest.fixture
def run_context(time: Time, cooldowns: Cooldowns) -> Callable[..., RunContext]:
    """A run context with a scripted provider client; jitter is half of its maximum. Arguments are those of RunContext
    and RetryPolicy."""

    def build(provider_client: Any = None, **settings: Any) -> RunContext:
        shared = {
            name: settings.pop(name)
            for name in ("rescue", "hold_back", "reasoning", "observers", "metered")
            if name in settings
        }
        providers = settings.pop("providers", {name: Provider(name, f"http://{name}/v1") for name in ("home", "other")})
        policy = RetryPolicy(clock=time, sleep=time.sleep, random=lambda: 0.5, **settings)
        return RunContext(providers, provider_client or Scripted(), policy, cooldowns, **shared)

    return build


@pytest.fixture
def agent(clock: Callable[[], float]) -> Callable[..., Agent]:
    """An agent with some settings; `prompt` is its configured text."""

    def build(name: str = "main", prompt: str | None = None, workspace: Path | None = None, **settings: Any) -> Agent:
        chain = settings.pop("candidates", (PRIMARY,))
        return Agent(name, chain, Prompt(prompt, workspace, Caps(100, 200), clock), **settings)

    return build
