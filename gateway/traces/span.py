"""A finished span, independent of OpenTelemetry's packages."""

from collections.abc import Iterator, Mapping
from typing import Literal, Protocol

from msgspec import Struct

from gateway.core.trace_context import TraceContext

NANOSECONDS = 1_000_000_000
"""In a second."""
Kind = Literal["server", "client", "internal"]


Value = str | int | float | bool | tuple[str, ...]
Attributes = Mapping[str, Value]


class Span(Struct, frozen=True):
    """One piece of work. `start` and `end` are Unix time in nanoseconds."""

    name: str
    kind: Kind
    context: TraceContext
    start: int
    end: int
    attributes: Attributes
    failed: bool = False


class Record(Protocol):
    """Something that has ended. Its spans are made later, in the thread that exports them."""

    @property
    def size(self) -> int:
        """How many spans it has at most."""
        ...

    @property
    def content_bytes(self) -> int:
        """The bytes of prompts and answers in them."""
        ...

    def spans(self) -> Iterator[Span]:
        """Its spans."""
        ...
