"""Traces of one process: decides what is recorded, and queues it for the exporter."""

import time
from collections.abc import Callable, Mapping
from functools import partial

from multidict import CIMultiDictProxy

from gateway.core.trace_context import TraceContext
from gateway.runs.attempt import Attempt
from gateway.runs.attempt_capture import AttemptCapture
from gateway.runs.trace import Observer, RunFinished
from gateway.traces import names
from gateway.traces.content import NO_CONTENT, ContentPolicy, content_of
from gateway.traces.exporter import Exporter
from gateway.traces.run_spans import EndedRun
from gateway.traces.sampling import Sampler
from gateway.traces.span import Attributes, Record
from gateway.upstream.failure import redacted
from gateway.upstream.provider import Provider

_MAX_NAME = 256  # characters of a provider's own names


class Traces:
    """`names_session`: spans of runs have the hash of their conversation's key. `content` says which content spans of
    attempts have. `clock` gives Unix time.
    """

    def __init__(
        self,
        sampler: Sampler,
        exporter: Exporter,
        *,
        names_session: bool = False,
        content: ContentPolicy = NO_CONTENT,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._sampler = sampler
        self._names_session = names_session
        self._content = content
        self.clock = clock
        self.exporter = exporter

    def begin(self, headers: CIMultiDictProxy[str]) -> TraceContext:
        """The span of an authenticated request."""
        return self._sampler.begin(headers)

    def put(self, record: Record) -> None:
        """Queue what has ended."""
        self.exporter.put(record)

    def capture(self) -> AttemptCapture:
        """What observes one attempt for its span."""
        return AttemptCapture(self._content.max_bytes if self._content.output else 0)

    def observer(self, providers: Mapping[str, Provider]) -> Observer:
        """An observer of the runs of one configuration."""

        def observe(finished: RunFinished) -> None:
            context = finished.trace.origin.context
            if context is not None and context.sampled:
                responses = tuple(self._response(one, providers) for one in finished.trace.attempts)
                self.exporter.put(EndedRun(self.clock(), finished, context, providers, self._names_session, responses))

        return observe

    def _response(self, attempt: Attempt, providers: Mapping[str, Provider]) -> Attributes:
        """What the attempt's span shows of the response. The attempt forgets it: runs outlive their prompts."""
        capture, attempt.capture = attempt.capture, None
        if capture is None:
            return {}
        attributes: dict[str, str | bool | tuple[str, ...]] = {}
        if capture.response_id:
            attributes[names.RESPONSE_ID] = capture.response_id[:_MAX_NAME]
        if capture.response_model:
            attributes[names.RESPONSE_MODEL] = capture.response_model[:_MAX_NAME]
        if capture.finish is not None:
            attributes[names.FINISH_REASONS] = ((capture.finish.raw or capture.finish.reason)[:_MAX_NAME],)
        provider = providers.get(attempt.ref.provider)
        if self._content.any and provider is not None:
            attributes |= content_of(capture, self._content, partial(redacted, provider))
        capture.forget()
        return attributes
