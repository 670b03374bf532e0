"""Agents without a workspace, and what is between them and a provider: a caller that answers as a test says."""

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gateway.agents.agent import Agent
from gateway.agents.prompt import Caps, Prompt
from gateway.core.names import ModelRef
from gateway.runs.context import RunContext
from gateway.runs.cooldowns import CooldownPolicy, Cooldowns
from gateway.runs.failover import RetryPolicy
from gateway.upstream.http import Limits
from gateway.upstream.provider import Provider

PRIMARY = ModelRef("home", "big")


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


class Scripted:
    """Answers for each model, one per attempt, the last one again and again: batches, an exception in place of one."""

    limits = Limits(total=600)

    def __init__(self, **script: Any) -> None:
        self.asked: list[str] = []
        self.keys: list[str] = []
        self.closed: list[str] = []
        self.turns: list[object] = []
        self._script = {
            model: itertools.chain(answers, itertools.repeat(answers[-1])) for model, answers in script.items()
        }

    async def whole(self, provider: Provider, model: Any, _turn: object, _end: float) -> Any:
        whole = []
        for batch in self._next(provider, model.id):
            if isinstance(batch, Exception):
                raise batch
            whole += batch
        return whole

    async def stream(self, provider: Provider, model: Any, turn: object, _end: float) -> Any:
        self.turns.append(turn)
        answer = self._next(provider, model.id)
        try:
            for batch in answer:
                if isinstance(batch, Exception):
                    raise batch
                yield batch
        finally:
            self.closed.append(model.id)

    def _next(self, provider: Provider, model: str) -> Any:
        self.asked.append(model)
        self.keys.append(provider.key_id)
        answer = next(self._script[model])
        return answer if isinstance(answer, list) else [answer]


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
def circuits(time: Time) -> Cooldowns:
    return Cooldowns(CooldownPolicy(), clock=time)


@pytest.fixture
def dispatch(time: Time, circuits: Cooldowns) -> Callable[..., RunContext]:
    """Over a scripted caller; jitter is half of what it may be. Arguments are those of RunContext and RetryPolicy."""

    def build(caller: Any = None, **settings: Any) -> RunContext:
        shared = {name: settings.pop(name) for name in ("rescue", "hold_back") if name in settings}
        providers = settings.pop("providers", {name: Provider(name, f"http://{name}/v1") for name in ("home", "other")})
        policy = RetryPolicy(clock=time, sleep=time.sleep, random=lambda: 0.5, **settings)
        return RunContext(providers, caller or Scripted(), policy, circuits, **shared)

    return build


@pytest.fixture
def agent(clock: Callable[[], float]) -> Callable[..., Agent]:
    """An agent with some settings; `prompt` is its configured text."""

    def build(name: str = "main", prompt: str | None = None, workspace: Path | None = None, **settings: Any) -> Agent:
        chain = settings.pop("candidates", (PRIMARY,))
        return Agent(name, chain, Prompt(prompt, workspace, Caps(100, 200), clock), **settings)

    return build
