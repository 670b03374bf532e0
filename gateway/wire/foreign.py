"""What a wire format sends for a part that only another format understands."""

from gateway.core.message import Foreign, Text
from gateway.wire.unsupported import unsupported

FAILED = Text("Error:")
"""Begins the result of a tool that failed, in formats without a field for that."""


def stand_in(part: Foreign, wire: str) -> Text | None:
    """The text that stands for the part in the format `wire`, None if it can be left out.

    Raises UpstreamError of the kind UNSUPPORTED if nothing can stand for it.
    """
    if part.text is None:
        raise unsupported(wire, f"parts of the type {str(part.payload.get('type'))[:80]!r}")
    return Text(part.text) if part.text else None
