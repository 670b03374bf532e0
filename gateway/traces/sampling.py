"""Begins traces: continues that of the client, or decides whether a new one is recorded."""

from multidict import CIMultiDictProxy

from gateway.core.trace_context import (
    HEADER,
    STATE_HEADER,
    TraceContext,
    new_span_id,
    new_trace_id,
    read_traceparent,
)

_MAX_STATE = 512  # characters of `tracestate` that every vendor must pass on (§3.3.1.5)
_LOW_BITS = 2**64


class Sampler:
    """`rate` is the part of new traces that is recorded, 0 to 1, chosen by the trace id as in OpenTelemetry's
    TraceIdRatioBased. With `accept`, a client's `traceparent` is continued, and its sampled flag decides.
    """

    def __init__(self, rate: float, *, accept: bool) -> None:
        self._bound = round(rate * _LOW_BITS)
        self._accept = accept

    def begin(self, headers: CIMultiDictProxy[str]) -> TraceContext:
        """The span of a request with these headers. Call it only for a client whose credential is valid."""
        if self._accept and HEADER in headers:
            sent = headers.getall(HEADER)
            parent = read_traceparent(sent[0]) if len(sent) == 1 else None
            if parent is not None:
                trace_id, span_id, sampled = parent
                return TraceContext(trace_id, new_span_id(), sampled, span_id, _state(headers))
        trace_id = new_trace_id()
        return TraceContext(trace_id, new_span_id(), trace_id % _LOW_BITS < self._bound)


def _state(headers: CIMultiDictProxy[str]) -> str:
    """The vendors' part of the context; nothing if it is too long to be passed on."""
    state = ",".join(headers.getall(STATE_HEADER, ()))
    return state if len(state) <= _MAX_STATE else ""
