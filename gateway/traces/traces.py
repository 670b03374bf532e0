"""Traces of one process: decides what is recorded, and queues it for the exporter."""

import time
from collections.abc import Callable, Mapping

from multidict import CIMultiDictProxy

from gateway.core.trace_context import TraceContext
from gateway.runs.trace import Observer, RunFinished
from gateway.traces.exporter import Exporter
from gateway.traces.run_spans import EndedRun
from gateway.traces.sampling import Sampler
from gateway.traces.span import Record
from gateway.upstream.provider import Provider


class Traces:
    """`names_session`: spans of runs have the hash of their conversation's key. `clock` gives Unix time."""

    def __init__(
        self,
        sampler: Sampler,
        exporter: Exporter,
        *,
        names_session: bool = False,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._sampler = sampler
        self._names_session = names_session
        self.clock = clock
        self.exporter = exporter

    def begin(self, headers: CIMultiDictProxy[str]) -> TraceContext:
        """The span of an authenticated request."""
        return self._sampler.begin(headers)

    def put(self, record: Record) -> None:
        """Queue what has ended."""
        self.exporter.put(record)

    def observer(self, providers: Mapping[str, Provider]) -> Observer:
        """An observer of the runs of one configuration."""

        def observe(finished: RunFinished) -> None:
            context = finished.trace.origin.context
            if context is not None and context.sampled:
                self.exporter.put(EndedRun(self.clock(), finished, context, providers, self._names_session))

        return observe
