"""The only module that imports OpenTelemetry's packages (the extra `otel`): spans → its SDK's exporter."""

import logging
import platform
import uuid
from collections.abc import Mapping, Sequence

import requests
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags, TraceState

from gateway import __version__
from gateway.core.trace_context import TraceContext
from gateway.traces import names
from gateway.traces.span import Span

_KINDS = {"server": SpanKind.SERVER, "client": SpanKind.CLIENT, "internal": SpanKind.INTERNAL}
_UNSET, _ERROR = Status(StatusCode.UNSET), Status(StatusCode.ERROR)
_SAMPLED, _UNSAMPLED = TraceFlags(TraceFlags.SAMPLED), TraceFlags(TraceFlags.DEFAULT)
_NO_STATE = TraceState()
_LOGGERS = ("opentelemetry", "urllib3.connectionpool")


class OpenTelemetrySink:
    """A Sink over an exporter of OpenTelemetry's SDK."""

    def __init__(self, exporter: SpanExporter, service: str) -> None:
        self._exporter = exporter
        self._resource = Resource.create(
            {
                "service.name": service,
                "service.version": __version__,
                "service.instance.id": str(uuid.uuid4()),
                "process.runtime.version": platform.python_version(),
            }
        )
        self._scope = InstrumentationScope(names.SCOPE, __version__)
        self._problems = _Problems()
        for name in _LOGGERS:
            logger = logging.getLogger(name)
            logger.propagate = False  # it would log each failed batch
            logger.handlers = [self._problems]

    def send(self, spans: Sequence[Span]) -> str | None:
        """See Sink."""
        self._problems.first = None
        result = self._exporter.export([self._readable(span) for span in spans])
        if result is SpanExportResult.SUCCESS:
            return None
        return self._problems.first or "unknown"

    def interrupt(self) -> None:
        """See Sink."""
        self._exporter.shutdown()

    def _readable(self, span: Span) -> ReadableSpan:
        """The SDK's form. Its tracer would make the same one in ten times the time, and not with our ids."""
        context = span.context
        return ReadableSpan(
            span.name,
            _span_context(context, context.span_id, is_remote=False),
            _span_context(context, context.parent, is_remote=span.kind == "server") if context.parent else None,
            self._resource,
            dict(span.attributes),
            kind=_KINDS[span.kind],
            status=_ERROR if span.failed else _UNSET,
            start_time=span.start,
            end_time=span.end,
            instrumentation_scope=self._scope,
        )


class _Problems(logging.Handler):
    """What the SDK logs about the current export: the first line has the cause."""

    first: str | None = None

    def emit(self, record: logging.LogRecord) -> None:
        """See logging.Handler."""
        if self.first is None and record.levelno >= logging.WARNING:
            self.first = record.getMessage()


def otlp_sink(url: str, headers: Mapping[str, str], service: str) -> OpenTelemetrySink:
    """A sink that posts protobuf to an OTLP/HTTP collector."""
    session = requests.Session()
    session.max_redirects = 0  # the headers hold the collector's credential, which no other host may get
    return OpenTelemetrySink(OTLPSpanExporter(endpoint=url, headers=dict(headers), session=session), service)


def _span_context(context: TraceContext, span_id: int, *, is_remote: bool) -> SpanContext:
    state = TraceState.from_header([context.state]) if context.state else _NO_STATE
    return SpanContext(context.trace_id, span_id, is_remote, _SAMPLED if context.sampled else _UNSAMPLED, state)
