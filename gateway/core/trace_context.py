"""The position of a piece of work in a distributed trace (W3C Trace Context, https://www.w3.org/TR/trace-context/)."""

import random
import re
from contextvars import ContextVar

from msgspec import Struct

HEADER = "traceparent"
STATE_HEADER = "tracestate"

_TRACEPARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?", re.DOTALL)
_SAMPLED = 1
_SPAN_BITS, _TRACE_BITS = 64, 128
_MAX_SPAN_ID = 2**_SPAN_BITS - 1


class TraceContext(Struct, frozen=True):
    """The ids of a span. `parent` is the id of the span above it, 0 for the root of a trace.

    `sampled` says whether the trace is recorded; `state` is the client's `tracestate`.
    """

    trace_id: int
    span_id: int
    sampled: bool
    parent: int = 0
    state: str = ""

    def child(self) -> "TraceContext":
        """A new span under this one."""
        return TraceContext(self.trace_id, new_span_id(), self.sampled, self.span_id, self.state)

    def numbered(self, number: int) -> "TraceContext":
        """The span under this one with this number, always with the same id."""
        span_id = (self.span_id - 1 + number) % _MAX_SPAN_ID + 1
        return TraceContext(self.trace_id, span_id, self.sampled, self.span_id, self.state)

    @property
    def traceparent(self) -> str:
        """The header that makes this span the parent of the receiver's."""
        return f"00-{self.trace_id:032x}-{self.span_id:016x}-{_SAMPLED if self.sampled else 0:02x}"


CURRENT_ATTEMPT: ContextVar[TraceContext | None] = ContextVar("current_attempt", default=None)
"""The span of the request to a provider that this task makes next; None without tracing."""


def new_span_id() -> int:
    """A random id."""
    return random.getrandbits(_SPAN_BITS) or 1


def new_trace_id() -> int:
    """A random id."""
    return random.getrandbits(_TRACE_BITS) or 1


def read_traceparent(text: str) -> tuple[int, int, bool] | None:
    """Trace id, span id and the sampled flag of a `traceparent`; None if it is not valid (§3.2.2.5 and §4.2.1)."""
    match = _TRACEPARENT.fullmatch(text.strip())
    if match is None:
        return None
    version, trace_id, span_id, flags, more = match.groups()
    if version == "ff" or (version == "00" and more is not None):
        return None
    ids = int(trace_id, 16), int(span_id, 16)
    return (*ids, bool(int(flags, 16) & _SAMPLED)) if all(ids) else None
