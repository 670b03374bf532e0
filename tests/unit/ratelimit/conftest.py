from collections.abc import Callable, Coroutine
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
def in_one_step() -> Callable[[Coroutine[Any, Any, Any]], Any]:
    """Runs a coroutine that must not wait for anything; proves that it does not."""

    def run(coroutine: Coroutine[Any, Any, Any]) -> Any:
        try:
            coroutine.send(None)
        except StopIteration as done:
            return done.value
        coroutine.close()
        raise AssertionError("the coroutine waited")

    return run
