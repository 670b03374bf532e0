"""The units of a run's stream.

A stream is an async iterator of *batches*: each batch is a non-empty list of the events that were ready together, so
that a filter or a socket write is paid once per batch. Rules of order:

- `ThinkingEnd` completes the block that the `ThinkingDelta`s before it made; one without deltas is a block without
  text. A block ends before other content begins.
- `ToolCallBegin` comes before the deltas of its index; a call's joined argument deltas are its argument text.
- `ToolWork` comes at most once, before the `Finish`.
- Exactly one `Finish`; only a `UsageReport` may follow it. The last of several reports counts.

A failure is an exception that leaves the iterator, never an event.

A stream creates one of these per token: Structs cost half of what dataclasses cost, and hold no cycles (`gc=False`).
"""

from collections.abc import AsyncGenerator
from typing import Any, Literal

from msgspec import Struct

from gateway.core.message import NO_EXTRAS, Citation, Extras, Message, Thinking
from gateway.core.raw_text import RawText, text_of
from gateway.core.usage import Usage

FinishReason = Literal["stop", "length", "tool_calls", "content_filter"]


class TextDelta(Struct, frozen=True, gc=False, eq=False):
    """More of the visible answer, as it arrived; `logprobs` as the provider gave them, in OpenAI's form."""

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
    """A block of reasoning is complete; `block` has its whole text and what its owner wants back."""

    block: Thinking


class RefusalDelta(Struct, frozen=True, gc=False):
    """More of a refusal that the provider marked as one."""

    text: str


class CitationFound(Struct, frozen=True, gc=False):
    """A source of the text so far."""

    citation: Citation


class ToolCallBegin(Struct, frozen=True, gc=False):
    """The model starts a call; `index` counts the calls of this answer from 0, `id` is the provider's own.

    `extras` go back to the provider with the call; `kind` and `namespace` are as in `ToolCall`.
    """

    index: int
    id: str
    name: str
    extras: Extras = NO_EXTRAS
    kind: Literal["function", "custom"] = "function"
    namespace: str | None = None


class ToolCallDelta(Struct, frozen=True, gc=False):
    """More of the argument text of the call at `index`, exactly as it arrived."""

    index: int
    arguments: str


class ToolWork(Struct, frozen=True, gc=False):
    """What the agent did itself for this answer: hidden messages, calls and results, for stored conversations."""

    messages: tuple[Message, ...]


class UsageReport(Struct, frozen=True, gc=False):
    """The token counts of the answer."""

    usage: Usage


class Finish(Struct, frozen=True, gc=False):
    """The answer is complete, and why it ended.

    `raw` is the provider's own word for the reason where it is another one, `stop_sequence` the text that stopped it.
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
    | ToolCallBegin
    | ToolCallDelta
    | ToolWork
    | UsageReport
    | Finish
)
Batch = list[Event]
Stream = AsyncGenerator[Batch, None]
