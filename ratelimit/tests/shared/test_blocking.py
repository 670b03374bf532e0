"""The blocking face: threads and forks, in a process and over Redis."""

import asyncio
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import pytest_asyncio
import redis.asyncio

from openclaw_ratelimit import (
    ConfigurationError,
    Locked,
    LockoutPolicy,
    QuotaExceeded,
    QuotaPolicy,
    ReplicationLink,
    UsageError,
)
from openclaw_ratelimit.blocking import LoopThread
from support.instances import NEVER

POLICY = LockoutPolicy(max_attempts=3)
ONCE = QuotaPolicy("once", "requests", 5)
RUNS = QuotaPolicy("runs", "runs", 1)


def link_to(port):
    return lambda: ReplicationLink(redis.asyncio.Redis(port=port, retry=NEVER), name="test", max_wait=5.0)


@pytest_asyncio.fixture(params=["alone", "over Redis"])
async def make_link(request, server):
    return link_to(server.port) if request.param == "over Redis" else None


@pytest.fixture
def thread(make_link):
    with LoopThread(make_link) as thread:
        yield thread


def attempt(limiter, password, key="a"):
    try:
        with limiter.attempt(key) as one:
            if password != "right":
                one.failed()
                return "wrong"
            one.succeeded()
            return "welcome"
    except Locked as locked:
        return round(locked.retry_after)


def test_threads_together_get_the_limit(thread):
    limiter = thread.limiter(POLICY)
    with ThreadPoolExecutor(20) as pool:
        results = list(pool.map(lambda _: attempt(limiter, "wrong"), range(200)))
    assert results.count("wrong") == 3
    assert attempt(limiter, "right") == 300
    assert attempt(limiter, "right", "b") == "welcome"


def test_operators_unlock(thread):
    limiter = thread.limiter(POLICY)
    assert [attempt(limiter, "wrong") for _ in range(4)] == ["wrong"] * 3 + [300]
    assert [lock.key for lock in limiter.locked()] == ["a"]
    assert limiter.locked_for("a") > 0
    assert limiter.unlock("a")
    limiter.record_failure("a")
    assert limiter.failures("a") == 1
    assert limiter.record_success("a").allowed


def test_an_attempt_that_was_none_is_discarded(thread):
    limiter = thread.limiter(POLICY)
    with limiter.attempt("a") as one:
        one.discard()
    with pytest.raises(UsageError, match="no result"), limiter.attempt("a"):
        pass
    with pytest.raises(ZeroDivisionError), limiter.attempt("a"):
        raise ZeroDivisionError
    assert limiter.failures("a") == 0


def test_quotas_settle_in_every_ending(thread):
    quota = thread.quota([ONCE, RUNS])
    with quota.reserve({}), pytest.raises(QuotaExceeded), quota.reserve({}):
        raise AssertionError
    with pytest.raises(ZeroDivisionError), quota.reserve({}):
        raise ZeroDivisionError
    with quota.reserve({}) as reserved:
        assert reserved.statuses[0].remaining == 2
    quota.reset({})
    with quota.reserve({}) as reserved:
        assert reserved.statuses[0].remaining == 4


def test_mistakes_are_errors_at_once(thread):
    with pytest.raises(ConfigurationError):
        thread.limiter(POLICY, kind="a b")
    limiter = thread.limiter(POLICY)
    assert attempt(limiter, "right") == "welcome"
    with pytest.raises(UsageError, match="before the first call"):
        thread.limiter(POLICY, kind="late")
    thread.close()
    with pytest.raises(UsageError, match="closed"):
        attempt(limiter, "right")


def test_a_listener_that_calls_back_gets_a_usage_error(make_link):
    caught = []

    def listen(_event):
        try:
            limiter.record_failure("a")
        except UsageError as error:
            caught.append(str(error))

    with LoopThread(make_link) as thread:
        limiter = thread.limiter(POLICY, on_event=listen)
        limiter.record_failure("a")
    assert "would never end" in caught[0]


def test_a_link_that_can_not_work_raises_at_the_first_call(server):
    with LoopThread(lambda: ReplicationLink(redis.asyncio.Redis(port=server.port, db=99), name="test")) as thread:
        limiter = thread.limiter(POLICY)
        for _ in range(2):
            with pytest.raises(ConfigurationError, match="can't work"):
                limiter.record_failure("a")
    assert threading.active_count() < 50


def in_child(limiter, pipe):
    pipe.send([attempt(limiter, "wrong") for _ in range(4)])
    limiter._thread.close()
    os._exit(0)


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_process_has_a_loop_of_its_own(thread, make_link):
    limiter = thread.limiter(POLICY)
    assert attempt(limiter, "wrong") == "wrong"
    here, there = multiprocessing.Pipe()
    child = multiprocessing.get_context("fork").Process(target=in_child, args=(limiter, there))
    child.start()
    assert here.poll(20)
    assert here.recv()[:3] == (["wrong"] * 3 if make_link is None else ["wrong", "wrong", 300])
    child.join()
    assert attempt(limiter, "wrong", "b") == "wrong"


def test_a_program_that_forgets_to_close_ends_all_the_same(make_link, server):
    link = "None" if make_link is None else f"lambda: o.ReplicationLink(Redis(port={server.port}), name='test')"
    code = f"""
import openclaw_ratelimit as o
from redis.asyncio import Redis
from openclaw_ratelimit.blocking import LoopThread
limiter = LoopThread({link}).limiter(o.LockoutPolicy())
print(limiter.record_failure("a").allowed)
"""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], check=False, capture_output=True, text=True, timeout=30
    )
    assert (done.stdout, done.stderr, done.returncode) == ("True\n", "", 0)


def test_calls_end_when_another_thread_closes(make_link):
    """Repeated, because what matters is the moment of the close."""
    for _ in range(30):
        with LoopThread(make_link) as thread, ThreadPoolExecutor(8) as pool:
            limiter = thread.limiter(LockoutPolicy(max_attempts=10**6))
            limiter.record_failure("a")

            def call_until_closed(limiter=limiter):
                while True:
                    limiter.record_failure("a")

            callers = [pool.submit(call_until_closed) for _ in range(8)]
            thread.close()
            for caller in callers:
                with pytest.raises(UsageError, match="closed"):
                    caller.result(10)


async def test_it_can_be_closed_in_an_event_loop(make_link):
    thread = LoopThread(make_link)
    limiter = thread.limiter(POLICY)
    assert await asyncio.to_thread(attempt, limiter, "wrong") == "wrong"
    thread.close()


def test_a_call_that_a_time_limit_interrupts_takes_nothing(server):
    """As a server's worker has one, by a signal."""

    def interrupt(*_):
        raise TimeoutError("the server's limit")

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        with LoopThread(link_to(server.port)) as thread:
            quota = thread.quota([ONCE])
            with quota.reserve({}):
                pass
            server.freeze()
            signal.setitimer(signal.ITIMER_REAL, 0.1)
            with pytest.raises(TimeoutError, match="the server's limit"), quota.reserve({}):
                raise AssertionError
            server.thaw()
            with quota.reserve({}):
                pass  # when it is answered, what the interrupted one took is being given back
            with quota.reserve({}) as reserved:
                assert reserved.statuses[0].remaining == 2
    finally:
        signal.signal(signal.SIGALRM, before)


def test_a_listener_that_closes_gets_a_usage_error(make_link):
    caught = []

    def listen(_event):
        try:
            thread.close()
        except UsageError as error:
            caught.append(str(error))

    with LoopThread(make_link) as thread:
        thread.limiter(POLICY, on_event=listen).record_failure("a")
    assert "can't close it" in caught[0]
