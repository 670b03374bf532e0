import pytest
from limits import RateLimitItemPerSecond
from limits.aio.strategies import FixedWindowRateLimiter, MovingWindowRateLimiter

from ratelimit import ProcessStorage

ITEM = RateLimitItemPerSecond(3, 10)


@pytest.fixture
def storage(clock):
    return ProcessStorage(clock)


async def test_a_moving_window_admits_its_limit_and_slides(storage, clock):
    windows = MovingWindowRateLimiter(storage)
    assert await windows.hit(ITEM, "a")
    clock.advance(4.0)
    assert await windows.hit(ITEM, "a", cost=2)
    assert not await windows.hit(ITEM, "a")
    assert await windows.get_window_stats(ITEM, "a") == (1_010.0, 0)
    clock.advance(6.0)
    assert await windows.test(ITEM, "a")
    assert await windows.hit(ITEM, "a")
    assert not await windows.hit(ITEM, "a")


async def test_a_moving_window_takes_all_places_or_none(storage):
    windows = MovingWindowRateLimiter(storage)
    assert not await windows.hit(ITEM, "a", cost=4)
    assert await windows.get_window_stats(ITEM, "a") == (1_010.0, 3)


async def test_a_fixed_window_starts_over_when_it_ends(storage, clock):
    windows = FixedWindowRateLimiter(storage)
    assert [await windows.hit(ITEM, "a") for _ in range(4)] == [True, True, True, False]
    assert await windows.get_window_stats(ITEM, "a") == (1_010.0, 0)
    clock.advance(10.0)
    assert await windows.test(ITEM, "a")
    assert await windows.hit(ITEM, "a")


async def test_clear_forgets_one_key_and_reset_all(storage):
    windows = MovingWindowRateLimiter(storage)
    for key in ("a", "b", "c"):
        await windows.hit(ITEM, key, cost=3)
    await windows.clear(ITEM, "a")
    assert await windows.test(ITEM, "a")
    assert not await windows.test(ITEM, "b")
    await storage.reset()
    assert await windows.test(ITEM, "b")
    assert await storage.reset() == 1


async def test_memory_is_always_available(storage):
    assert await storage.check()
    assert storage.base_exceptions == ()
