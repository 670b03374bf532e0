import asyncio

import pytest

from gateway.metrics.loop_delay import LoopDelay


class Loop:
    """A loop whose time is set by the test; it never calls a timer itself."""

    def __init__(self) -> None:
        self.now = 100.0
        self.cancelled = 0

    def time(self) -> float:
        return self.now

    def call_at(self, _when: float, _call: object) -> "Loop":
        return self

    def cancel(self) -> None:
        self.cancelled += 1


@pytest.fixture
def loop(monkeypatch: pytest.MonkeyPatch) -> Loop:
    fake = Loop()
    monkeypatch.setattr(asyncio, "get_running_loop", lambda: fake)
    return fake


def test_the_maximum_is_reported_for_half_a_minute_and_forgotten_after_a_minute(loop: Loop):
    delay = LoopDelay()
    delay.start()

    def tick(late: float) -> None:
        loop.now += 0.25 + late
        delay.measure()

    tick(0.0)
    assert delay.max_delay == 0
    tick(0.4)
    for _ in range(120):
        tick(0.0)
        assert delay.max_delay == pytest.approx(0.4)
    for _ in range(130):
        tick(0.0)
    assert delay.max_delay == 0
    delay.stop()
    assert loop.cancelled == 1
