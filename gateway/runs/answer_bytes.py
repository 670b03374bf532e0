"""The size of the text in an answer's events."""

from gateway.core.event import Batch, Event, RefusalDelta, TextDelta, ThinkingDelta, ToolCallDelta
from gateway.core.token_estimate import raw_text_bytes, text_bytes


def bytes_of_text(batch: Batch) -> int:
    """The bytes of text in these events."""
    return sum(map(_text_bytes, batch))


def _text_bytes(event: Event) -> int:
    if isinstance(event, TextDelta):
        return raw_text_bytes(event.raw)
    if isinstance(event, (ThinkingDelta, RefusalDelta)):
        return text_bytes(event.text)
    return text_bytes(event.arguments) if isinstance(event, ToolCallDelta) else 0
