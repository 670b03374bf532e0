"""What a right secret from a new address gets while others guess from ever new networks: `python bench/attack.py`.

A simulation with a clock of its own. Each owner tries again as `Retry-After` says, for a minute; "first come" is a
budget without the queue, which admits a request if there is room at that moment.
"""

import asyncio
import heapq
import random
from collections import deque
from statistics import median

from openclaw_ratelimit import BudgetPolicy, FailureLimiter, LockoutPolicy

BUDGET = BudgetPolicy()
OWNERS, MINUTES, MAX_WAIT = 122, 20, 60.0


class Time:
    now = 0.0

    def __call__(self):
        return self.now


class FirstCome:
    """One attempt per key and interval, and as many per window as the budget has, in order of arrival."""

    def __init__(self, time):
        self.time, self.taken, self.failures = time, deque(), deque()

    async def attempt(self, _key, *, right):
        now = self.time()
        for times in (self.taken, self.failures):
            while times and times[0] <= now - BUDGET.window:
                times.popleft()
        if len(self.failures) < BUDGET.failures:
            if not right:
                self.failures.append(now)
            return 0.0
        if len(self.taken) >= BUDGET.failures:
            return BUDGET.interval
        self.taken.append(now)
        return 0.0


class Queue:
    def __init__(self, time):
        self.limiter = FailureLimiter(LockoutPolicy(), budget=BUDGET, clock=time)

    async def attempt(self, key, *, right):
        record = self.limiter.record_success if right else self.limiter.record_failure
        verdict = await record(key)
        return 0.0 if verdict.allowed else verdict.retry_after


async def simulate(kind, per_second, persistent):
    """Owners refused for MAX_WAIT seconds, and the waits of the others."""
    time, chance = Time(), random.Random(1)
    limiter = kind(time)
    arrivals = sorted(chance.uniform(120, MINUTES * 60 - MAX_WAIT) for _ in range(OWNERS))
    due = [(arrival, number, arrival) for number, arrival in enumerate(arrivals)]
    waits, refused, guessed = [], 0, 0
    for step in range(MINUTES * 60 * per_second):
        time.now = step / per_second
        name = step % persistent if persistent else step
        guessed += await limiter.attempt(f"attacker {name}", right=False) == 0.0
        for owner in [owner for owner in due if owner[0] <= time.now]:
            due.remove(owner)
            _, number, began = owner
            wait = await limiter.attempt(f"owner {number}", right=True)
            if wait == 0.0:
                waits.append(time.now - began)
            elif time.now + wait - began > MAX_WAIT:
                refused += 1
            else:
                due.append((time.now + wait + chance.uniform(0, 1), number, began))
    return refused, waits, guessed / MINUTES


async def max_turn(waiting):
    """The maximum wait in minutes of a new key that keeps asking, while as many others keep asking as often as they
    may. With the bound: that many at 100 a minute, a minute until the window has room, and the pause before a retry.
    """
    time, chance = Time(), random.Random(2)
    limiter = Queue(time)
    due = [(chance.uniform(0, 10), f"attacker {number}") for number in range(waiting)]
    heapq.heapify(due)
    for number in range(10):
        heapq.heappush(due, (120 + 60 * number, f"owner {number}"))
    began, turns = {}, []
    while len(turns) < 10:
        time.now, key = heapq.heappop(due)
        is_owner = key.startswith("owner")
        began.setdefault(key, time.now)
        wait = await limiter.attempt(key, right=is_owner)
        if wait == 0.0 and is_owner:
            turns.append(time.now - began[key])
            continue
        # An attacker's key that is locked makes place for another one: the worst case.
        if not is_owner and wait > BUDGET.interval:
            key = f"{key}+"
            wait = 0.0
        heapq.heappush(due, (time.now + (wait or BUDGET.interval) + chance.uniform(0, 1), key))
    return max(turns) / 60, waiting / BUDGET.failures + 1 + 2 * (BUDGET.interval + 1) / 60


async def main():
    print(f"{OWNERS} owners from new addresses, {MINUTES} minutes; each tries for {MAX_WAIT:.0f} s\n")
    print(f"{'attack':<44}{'refused':>9}{'median s':>10}{'slowest s':>11}{'guesses/min':>13}")
    for per_second, persistent in ((5, 0), (20, 0), (100, 0), (20, 50), (20, 200)):
        who = f"{persistent} networks" if persistent else "ever new networks"
        for name, kind in (("first come", FirstCome), ("queue", Queue)):
            refused, waits, guesses = await simulate(kind, per_second, persistent)
            row = f"{per_second}/s from {who}, {name}"
            middle, slowest = (median(waits), max(waits)) if waits else (float("nan"), float("nan"))
            print(f"{row:<44}{refused:>9}{middle:>10.1f}{slowest:>11.1f}{guesses:>13.0f}")
    print("\nten owners from new addresses who keep asking\n")
    print(f"{'addresses that keep asking':<30}{'maximum wait, min':>20}{'bound, min':>14}")
    for waiting in (50, 200, 1_000, 5_000, 9_900):
        wait, bound = await max_turn(waiting)
        print(f"{waiting:<30}{wait:>20.1f}{bound:>14.1f}")


asyncio.run(main())
