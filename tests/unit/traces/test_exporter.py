import asyncio
import socket
import threading
import time

import pytest
import structlog
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from gateway.core.trace_context import TraceContext
from gateway.traces import exporter as module
from gateway.traces.exporter import Exporter
from gateway.traces.opentelemetry import OpenTelemetrySink, otlp_sink
from gateway.traces.span import Span
from tests.otlp import collecting

CONTEXT = TraceContext(trace_id=2**127 + 5, span_id=7, sampled=True, parent=9, state="vendor=some")
LOST = "Traces are lost while the collector does not take them"
AGAIN = "The collector takes traces again"
AT_THE_END = "Spans are lost: the collector did not take them"


class One:
    """A record of one span."""

    size = 1

    def __init__(self, name="work", *, failed=False, content_bytes=0):
        self.content_bytes = content_bytes
        self._span = Span(
            name, "client", CONTEXT, 100_250_000_000, 101_500_000_000, {"a": 1, "b": "two", "c": True}, failed
        )

    def spans(self):
        yield self._span


class Unreadable(One):
    """A record whose spans can't be made."""

    def spans(self):
        raise ValueError("no spans")


class Blocked:
    """A sink that takes nothing until it is interrupted."""

    def __init__(self):
        self.asked = threading.Event()
        self.released = threading.Event()

    def send(self, _spans):
        self.asked.set()
        self.released.wait(10)
        return "interrupted"

    def interrupt(self):
        self.released.set()


@pytest.fixture
def log():
    with structlog.testing.capture_logs() as lines:
        yield lines


def events(log):
    return [line["event"] for line in log]


async def until(true):
    async with asyncio.timeout(15):
        while not true():
            await asyncio.sleep(0.005)


async def test_a_span_keeps_its_ids_times_and_attributes():
    memory = InMemorySpanExporter()
    exporter = Exporter(OpenTelemetrySink(memory, "mine"), interval=0.01)
    exporter.start()
    exporter.put(One())
    exporter.put(One("broken", failed=True))
    await exporter.close()
    span, broken = memory.get_finished_spans()
    assert (span.name, span.kind.name, span.status.status_code.name) == ("work", "CLIENT", "UNSET")
    assert broken.status.status_code.name == "ERROR"
    assert (span.context.trace_id, span.context.span_id, span.parent.span_id) == (2**127 + 5, 7, 9)
    assert span.context.trace_state.to_header() == "vendor=some"
    assert (span.start_time, span.end_time) == (100_250_000_000, 101_500_000_000)
    assert dict(span.attributes) == {"a": 1, "b": "two", "c": True}
    assert span.resource.attributes["service.name"] == "mine"
    assert (exporter.sent, exporter.lost) == (2, 0)


async def test_what_waits_at_the_end_is_exported():
    async with collecting() as collector:
        exporter = Exporter(otlp_sink(f"{collector.url}/v1/traces", {}, "mine"), interval=60)
        exporter.start()
        for _ in range(300):
            exporter.put(One())
        await exporter.close()
        assert len(collector.spans) == exporter.sent == 300


async def test_many_spans_are_sent_before_the_interval_ends():
    async with collecting() as collector:
        exporter = Exporter(otlp_sink(f"{collector.url}/v1/traces", {}, "mine"), interval=60)
        exporter.start()
        for _ in range(200):
            exporter.put(One())
        assert len(await collector.received(200)) == 200
        await exporter.close()


async def test_a_collector_that_refuses_is_logged_once_and_once_when_it_takes_spans_again(log):
    async with collecting() as collector:
        collector.status = 400
        exporter = Exporter(otlp_sink(f"{collector.url}/v1/traces", {}, "mine"), interval=0.01)
        exporter.start()
        for count in (1, 2, 3):
            exporter.put(One())
            await collector.requested(count)
        await until(lambda: LOST in events(log))
        collector.status = 200
        exporter.put(One())
        await collector.received(1)
        await until(lambda: AGAIN in events(log))
        assert events(log) == [LOST, AGAIN]
        assert "400" in log[0]["reason"]
        await exporter.close()
        assert (exporter.sent, exporter.lost) == (1, 3)


async def test_a_record_that_fails_is_lost_and_ends_no_export(log):
    memory = InMemorySpanExporter()
    exporter = Exporter(OpenTelemetrySink(memory, "mine"), interval=0.01)
    exporter.start()
    exporter.put(Unreadable())
    await until(lambda: LOST in events(log))
    exporter.put(One())
    await until(memory.get_finished_spans)
    await exporter.close()
    assert (exporter.sent, exporter.lost) == (1, 1)
    assert next(line["reason"] for line in log if line["event"] == LOST) == "ValueError: no spans"


async def test_a_collector_that_is_gone_delays_neither_requests_nor_the_end_for_long(log, monkeypatch):
    monkeypatch.setattr(module, "_CLOSING", 0.2)
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))  # nobody listens
        exporter = Exporter(otlp_sink(f"http://127.0.0.1:{bound.getsockname()[1]}/v1/traces", {}, "m"), interval=0.01)
        exporter.start()
        exporter.put(One())
        began = time.monotonic()
        await exporter.close()
        assert time.monotonic() - began < 5
    await until(lambda: events(log).count(LOST) == 1)
    assert "refused" in next(line["reason"] for line in log if line["event"] == LOST)


async def test_a_collector_that_never_answers_does_not_hold_up_the_end(log, monkeypatch):
    monkeypatch.setattr(module, "_CLOSING", 0.1)
    sink = Blocked()
    exporter = Exporter(sink, interval=0.01)
    exporter.start()
    exporter.put(One())
    await asyncio.to_thread(sink.asked.wait, 10)
    for _ in range(3):
        exporter.put(One())
    await exporter.close()
    assert sink.released.is_set()
    assert exporter.lost == 4
    assert {"event": AT_THE_END, "spans": 4, "log_level": "warning"} in log


async def test_the_queue_is_bounded_and_what_does_not_fit_is_counted(monkeypatch):
    monkeypatch.setattr(module, "_CLOSING", 0.1)
    sink = Blocked()
    exporter = Exporter(sink, interval=0.01, max_queued=10)
    exporter.start()
    exporter.put(One())
    await asyncio.to_thread(sink.asked.wait, 10)
    for _ in range(25):
        exporter.put(One())
    assert exporter.lost == 15
    await exporter.close()
    assert exporter.lost == 26


@pytest.mark.parametrize("status", [302, 307, 308])
async def test_a_collector_that_redirects_gets_no_headers_sent_to_another_host(log, status):
    async with collecting() as other, collecting() as collector:
        collector.status, collector.location = status, f"{other.url}/v1/traces"
        exporter = Exporter(otlp_sink(f"{collector.url}/v1/traces", {"x-token": "secret"}, "mine"), interval=0.01)
        exporter.start()
        exporter.put(One())
        await until(lambda: LOST in events(log))
        await exporter.close()
        assert other.headers == []
        assert collector.headers[0]["x-token"] == "secret"
        assert exporter.lost == 1


async def test_content_that_waits_is_bounded_in_bytes_and_what_was_exported_makes_room():
    async with collecting() as collector:
        exporter = Exporter(otlp_sink(f"{collector.url}/v1/traces", {}, "m"), interval=0.01, max_content=100)
        for _ in range(3):  # the thread has not started
            exporter.put(One(content_bytes=60))
        exporter.put(One())
        assert exporter.lost == 2
        exporter.start()
        await collector.received(2)
        await until(lambda: exporter.sent == 2)
        exporter.put(One(content_bytes=60))
        await exporter.close()
        assert (exporter.sent, exporter.lost) == (3, 2)
