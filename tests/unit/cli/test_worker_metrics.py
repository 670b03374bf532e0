import asyncio
import contextlib
import os

import msgspec
import pytest

from gateway.cli import worker_metrics
from gateway.cli.worker_metrics import MetricsHub, parent_metrics
from gateway.metrics.catalog import CONNECTIONS, REQUEST_SECONDS, REQUESTS
from gateway.metrics.registry import Registry

LABELS = ("/v1/models", "2xx", "completed")
SERIES = 'endpoint="/v1/models",status="2xx",outcome="completed"'


class Worker:
    """A worker in this process: its registry, and its connection to the parent."""

    def __init__(self, hub: MetricsHub) -> None:
        with hub.joining({"HOME": "/"}) as (descriptor, environment):
            assert environment["HOME"] == "/"
            own = os.dup(descriptor)  # as a child process inherits it
        parent = parent_metrics(environment | {worker_metrics._VARIABLE: str(own)})
        assert parent is not None
        self.parent = parent
        self.registry = Registry()

    def counts(self, requests: int, connections: int) -> None:
        self.registry.counter(REQUESTS, *LABELS).add(requests)
        self.registry.gauge(CONNECTIONS).set(connections)

    async def total(self) -> tuple[float, float]:
        """Requests and connections of all."""
        total = await self.parent.total(self.registry.snapshot())
        return total[REQUESTS.name][SERIES], total[CONNECTIONS.name][""]


@pytest.fixture
async def hub():
    hub = MetricsHub()
    yield hub
    await hub.close()


@contextlib.asynccontextmanager
async def joined(hub: MetricsHub):
    worker = Worker(hub)
    async with worker.parent.sharing(worker.registry.snapshot):
        yield worker


async def test_each_worker_shows_the_sum_of_all(hub):
    async with joined(hub) as first, joined(hub) as second:
        first.counts(2, 5)
        second.counts(3, 1)
        assert await first.total() == (2, 5)  # the other one has sent nothing yet
        assert await second.total() == (5, 6)
        assert await first.total() == (5, 6)


async def test_the_end_of_a_worker_leaves_what_it_counted_and_takes_its_gauges(hub):
    async with joined(hub) as first:
        first.counts(1, 5)
        async with joined(hub) as second:
            second.counts(10, 7)  # sent at its end
        while len(hub._readers) > 1:
            await asyncio.sleep(0)
        assert await first.total() == (11, 5)


async def test_a_worker_sends_without_being_asked(hub, monkeypatch):
    monkeypatch.setattr(worker_metrics, "_PUSH_INTERVAL", 0.001)
    async with joined(hub) as first, joined(hub) as second:
        second.counts(4, 2)
        first.counts(1, 1)
        async with asyncio.timeout(10):
            while await first.total() != (5, 3):
                await asyncio.sleep(0.001)


async def test_scrapes_at_the_same_time_each_get_their_answer(hub):
    async with joined(hub) as worker:
        worker.counts(3, 1)
        assert await asyncio.gather(*(worker.total() for _ in range(20))) == [(3, 1)] * 20


@pytest.mark.parametrize("steps", range(8))
async def test_a_scrape_that_is_given_up_leaves_its_answer_to_no_other(hub, steps):
    async with joined(hub) as worker:
        worker.counts(3, 1)
        given_up = asyncio.create_task(worker.total())
        for _ in range(steps):
            await asyncio.sleep(0)
        given_up.cancel()
        await asyncio.wait({given_up})
        for number in range(4, 7):
            worker.counts(1, 1)
            assert await worker.total() == (number, 1)


async def test_a_worker_of_another_version_disturbs_no_scrape(hub):
    """Its program was replaced on the disk: its histogram has other buckets, and one of its counters is a histogram."""
    other = msgspec.structs.replace(REQUEST_SECONDS, buckets=(1.0,))
    async with joined(hub) as first, joined(hub) as second:
        second.registry.histogram(other, "/v1/models").observe(0.5)
        second.registry.histogram(msgspec.structs.replace(REQUESTS, kind="histogram", buckets=(1.0,)), *LABELS)
        second.registry.gauge(CONNECTIONS).set(2)
        await second.parent.total(second.registry.snapshot())
        first.counts(3, 1)
        first.registry.histogram(REQUEST_SECONDS, "/v1/models").observe(0.5)
        assert await first.total() == (3, 3)
        shown = await first.parent.total(first.registry.snapshot())
        assert sum(shown[REQUEST_SECONDS.name]['endpoint="/v1/models"'].counts) == 1


async def test_a_defect_of_a_collector_is_logged_and_the_worker_goes_on_to_send(hub, monkeypatch, capsys):
    monkeypatch.setattr(worker_metrics, "_PUSH_INTERVAL", 0.001)
    async with joined(hub) as first:
        worker = Worker(hub)
        worker.counts(4, 2)
        defects = iter([ZeroDivisionError()] * 3)

        def own():
            for defect in defects:
                raise defect
            return worker.registry.snapshot()

        async with worker.parent.sharing(own):
            first.counts(1, 1)
            async with asyncio.timeout(10):
                while await first.total() != (5, 3):
                    await asyncio.sleep(0.001)
    log = capsys.readouterr()
    assert (log.out + log.err).count("ZeroDivisionError") == 1


async def test_a_parent_that_is_gone_is_an_error_and_not_a_wrong_sum(hub):
    async with joined(hub) as worker:
        worker.counts(3, 1)
        await worker.total()
        await hub.close()
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await worker.total()


def test_a_process_that_no_parent_started_has_none():
    assert parent_metrics({}) is None


async def test_a_scrape_that_is_given_up_leaves_no_answer_to_the_next_one(hub):
    async with joined(hub) as worker:
        worker.counts(3, 1)
        given_up = asyncio.create_task(worker.total())
        await asyncio.sleep(0)
        given_up.cancel()
        await asyncio.wait({given_up})
        worker.counts(2, 4)
        assert await worker.total() == (5, 4)
