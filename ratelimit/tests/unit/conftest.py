from collections.abc import Awaitable, Callable
from typing import Any

import pytest


class Clock:
    """Time that only moves when told to."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="session")
def in_one_step() -> Callable[[Awaitable[Any]], Any]:
    """Runs a coroutine that must not wait for anything; proves that it does not."""

    def run(awaitable: Awaitable[Any]) -> Any:
        steps = awaitable.__await__()
        try:
            next(steps)
        except StopIteration as done:
            return done.value
        raise AssertionError("it waited")

    return run
