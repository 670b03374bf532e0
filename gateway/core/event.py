"""The events of a run's stream.

A stream is an async iterator of *batches*: each batch is a non-empty list of the events that were ready together, so
that a filter or a socket write costs once per batch. Rules of order:

- `ThinkingEnd` completes the block of the `ThinkingDelta`s before it; without deltas, the block has no text. A block
  ends before other content begins.
- `ToolCallBegin` comes before the deltas of its index; the joined argument deltas of a call are its argument text.
- `ToolWork` comes at most once, before the `Finish`.
- Exactly one `Finish`; only a `UsageReport` may follow it. The last of several reports counts.

A failure is an exception that leaves the iterator, never an event.

A stream creates one event per token: Structs cost half as much as dataclasses, and contain no cycles (`gc=False`).
"""

from collections.abc import AsyncGenerator
from typing import Any, Literal

from msgspec import Struct

from gateway.core.message import NO_EXTRAS, Citation, Extras, Foreign, Message, Thinking, ToolKind
from gateway.core.raw_text import RawText, text_of
from gateway.core.usage import Usage

FinishReason = Literal["stop", "length", "tool_calls", "content_filter"]


class TextDelta(Struct, frozen=True, gc=False, eq=False):
    """More of the answer's text, as it arrived. `logprobs` are the provider's, in OpenAI's form."""

    raw: RawText
    logprobs: Any = None

    @property
    def text(self) -> str:
        """The decoded text."""
        return text_of(self.raw)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TextDelta) and self.text == other.text and self.logprobs == other.logprobs

    def __hash__(self) -> int:
        return hash(self.text)


class ThinkingDelta(Struct, frozen=True, gc=False):
    """More of the model's reasoning; not part of the answer. `kind` is as in `Thinking`."""

    text: str
    kind: Literal["raw", "summary"] = "raw"


class ThinkingEnd(Struct, frozen=True, gc=False):
    """A block of reasoning is complete; `block` has its whole text and the fields that its owner needs back."""

    block: Thinking


class RefusalDelta(Struct, frozen=True, gc=False):
    """More of a refusal that the provider marked as one."""

    text: str


class CitationFound(Struct, frozen=True, gc=False):
    """The text so far cites a source."""

    citation: Citation


class ForeignFound(Struct, frozen=True, gc=False):
    """A part of the answer that only its own wire format understands, such as the call of a hosted tool."""

    part: Foreign


class ToolCallBegin(Struct, frozen=True, gc=False):
    """The model starts a call; `index` counts the calls of this answer from 0, `id` is the provider's id.

    `extras` go back to the provider with the call; `kind` and `namespace` are as in `ToolCall`.
    """

    index: int
    id: str
    name: str
    extras: Extras = NO_EXTRAS
    kind: ToolKind = "function"
    namespace: str | None = None


class ToolCallDelta(Struct, frozen=True, gc=False):
    """More of the argument text of the call at `index`, exactly as it arrived."""

    index: int
    arguments: str


class ToolWork(Struct, frozen=True, gc=False):
    """The agent's own tool calls for this answer and their results, as hidden messages for stored conversations."""

    messages: tuple[Message, ...]


class UsageReport(Struct, frozen=True, gc=False):
    """The token counts of the answer."""

    usage: Usage


class Finish(Struct, frozen=True, gc=False):
    """The answer is complete. `reason` is why it ended.

    `raw` is the provider's own name of the reason if it differs, `stop_sequence` the text that stopped the answer.
    """

    reason: FinishReason
    raw: str | None = None
    stop_sequence: str | None = None


Event = (
    TextDelta
    | ThinkingDelta
    | ThinkingEnd
    | RefusalDelta
    | CitationFound
    | ForeignFound
    | ToolCallBegin
    | ToolCallDelta
    | ToolWork
    | UsageReport
    | Finish
)
Batch = list[Event]
Stream = AsyncGenerator[Batch, None]
