"""Random and hostile keys by the hundred thousand: sharing never stops, memory is bounded, counts are exact.

The number of failures is in KEYS; the long run is KEYS=1000000.
"""

import asyncio
import os
import random
from collections import Counter, OrderedDict
from contextlib import AsyncExitStack

import pytest

from openclaw_ratelimit import LockoutPolicy
from openclaw_ratelimit.keys import stored_key
from support.instances import Instance

KEYS = int(os.environ.get("KEYS", "20000"))
POLICY = LockoutPolicy(max_attempts=3, window=86_400.0, lockout=86_400.0)
CAPACITY = 10_000


def key(chance, number):
    """Some that come again and are locked, else anything at all."""
    kind = chance.randrange(100)
    if kind < 5:
        return f"hot {number // 10_000} {chance.randrange(50)}"
    if kind < 40:
        return chance.randbytes(chance.randrange(1, 40))
    if kind < 60:
        return "".join(chr(chance.randrange(0x110000)) for _ in range(chance.randrange(1, 20)))
    if kind < 70:
        return chance.choice(["{}", "{test}", "\0", "\n", " ", "", "§", "failures 1 fail 1 x y", "a" * 257, "ä" * 129])
    if kind == 99 and chance.randrange(5000) == 0:
        return "x" * 20_000_000
    return f"2001:db8:{chance.randrange(65536):x}:{chance.randrange(65536):x}::/64"


class Ticks:
    """A clock in which no two failures have the same millisecond, so that which one is oldest is never open."""

    def __init__(self):
        self.milliseconds = 10**6

    def local(self):
        return self.milliseconds / 1000

    def server(self):
        """Asked once for each call of a script."""
        self.milliseconds += 1
        return self.milliseconds / 1000


@pytest.mark.timeout(0)
async def test_hostile_keys_are_counted_as_any_others(server):
    chance, ticks = random.Random(5), Ticks()  # noqa: S311
    async with AsyncExitStack() as stack:
        patient = {"max_wait": 20.0, "clock": ticks.local, "server_time": ticks.server}
        instances = [
            await stack.enter_async_context(Instance(server.url, policy=POLICY, capacity=CAPACITY, link=patient))
            for _ in range(3)
        ]
        # The model: failures by key, the key whose last failure is oldest making room, never a lock.
        failures, locks = OrderedDict(), set()
        for number in range(0, KEYS, 100):
            keys = [key(chance, number) for _ in range(100)]
            verdicts = await asyncio.gather(
                *(instances[place % 3].limiter.record_failure(one) for place, one in enumerate(keys))
            )
            # Which of several at once comes first is open; how many of one key are allowed is not.
            expected, allowed = Counter(), Counter()
            for place in range(100):
                name = stored_key(keys[place])
                allowed[name] += verdicts[place].allowed
                if name in locks:
                    continue
                if name not in failures and len(failures) + len(locks) >= CAPACITY:
                    if not failures:
                        continue
                    failures.popitem(last=False)
                failures[name] = failures.pop(name, 0) + 1
                expected[name] += 1
                if failures[name] == POLICY.max_attempts:
                    del failures[name]
                    locks.add(name)
            assert allowed == expected, number
        assert all(one.changes == [(True, "")] for one in instances)
        assert len(locks) > KEYS / 400
        assert all(len(one.limiter) <= CAPACITY for one in instances)
        assert {lock.key for lock in instances[0].limiter.locked()} == locks
        assert await server.ask("HLEN", "{test}:failures:failures") + len(locks) <= CAPACITY
        used = (await server.ask("INFO", "memory"))["used_memory"]
        assert used < 40_000_000, used
