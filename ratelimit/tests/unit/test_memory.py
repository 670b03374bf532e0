import pytest
from limits import RateLimitItemPerSecond
from limits.aio.strategies import FixedWindowRateLimiter, MovingWindowRateLimiter, SlidingWindowCounterRateLimiter

from openclaw_ratelimit import ProcessStorage

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


async def test_a_sliding_window_counts_the_one_before_as_far_as_it_has_not_faded(storage, clock):
    windows = SlidingWindowCounterRateLimiter(storage)
    assert await windows.hit(ITEM, "a", cost=3)
    assert not await windows.test(ITEM, "a")
    clock.advance(10.0)
    assert not await windows.hit(ITEM, "a")
    clock.advance(4.0)  # of three hits 1.8 count, rounded down
    assert await windows.hit(ITEM, "a", cost=2)
    assert not await windows.hit(ITEM, "a")
    assert await storage.get_sliding_window(ITEM.key_for("a"), 10) == (3, 6.0, 2, 16.0)
    clock.advance(20.0)
    assert await storage.get_sliding_window(ITEM.key_for("a"), 10) == (0, 10.0, 0, 20.0)


async def test_a_sliding_window_takes_all_places_or_none(storage):
    windows = SlidingWindowCounterRateLimiter(storage)
    assert not await windows.hit(ITEM, "a", cost=4)
    assert await windows.hit(ITEM, "a", cost=3)
    await windows.clear(ITEM, "a")
    assert await windows.hit(ITEM, "a")


async def test_what_is_given_back_leaves_the_window_that_it_was_counted_in(storage, clock):
    first = storage.count("a", 10, 5)
    clock.advance(12.0)
    second = storage.count("a", 10, 2)
    storage.give_back("a", 10, first, 4)
    assert await storage.get_sliding_window("a", 10) == (1, 8.0, 2, 18.0)
    storage.give_back("a", 10, first - 10, 7)  # has faded away
    storage.give_back("b", 10, second, 7)  # was never counted
    storage.give_back("a", 10, second, 7)
    assert await storage.get_sliding_window("a", 10) == (1, 8.0, 0, 18.0)


async def test_a_sliding_window_begins_when_something_is_counted_first(storage, clock):
    clock.advance(3.0)
    assert storage.count("a", 10, 1) == 1_003.0
    clock.advance(9.0)
    assert storage.count("a", 10, 1) == 1_003.0
    clock.advance(1.0)
    assert storage.count("a", 10, 1) == 1_013.0
    clock.advance(31.0)
    assert storage.count("a", 10, 1) == 1_044.0


async def test_the_sliding_window_of_longest_ago_makes_room(clock):
    storage = ProcessStorage(clock, capacity=2)
    for key in ("a", "b", "a", "c"):
        storage.count(key, 10, 1)
    assert [(await storage.get_sliding_window(key, 10))[2] for key in "abc"] == [2, 0, 1]


async def test_sliding_windows_that_have_faded_away_are_not_kept(clock):
    storage = ProcessStorage(clock)
    for number in range(100):
        storage.count(f"key {number}", 10, 1)
    clock.advance(20.0)
    storage.count("a", 10, 1)
    assert await storage.reset() == 1
