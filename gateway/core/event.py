"""The units of a run's stream.

A stream is an async iterator of *batches*: each batch is a non-empty list of the events that were ready together, so
that a stage or a socket write is paid once per batch. Order rules: `ToolCallBegin` comes before the deltas of its
index; a call's joined argument deltas are its JSON text; a `ToolWork` comes once at most, before the `Finish`; exactly
one `Finish`, and only a `UsageReport` may follow it; of several reports the last counts. Failure is an exception that
leaves the iterator, never an event.

A stream makes one of them a token: Structs are made at half the price of dataclasses, and hold no cycles (`gc=False`).
"""

from collections.abc import AsyncGenerator
from typing import Any, Literal

from msgspec import Struct

from gateway.core.message import NO_EXTRAS, Extras, Message
from gateway.core.usage import Usage
from gateway.core.written import RawText, text_of

FinishReason = Literal["stop", "length", "tool_calls", "content_filter"]


class TextDelta(Struct, frozen=True, gc=False, eq=False):
    """More of the visible answer, as it was written; `logprobs` as the provider gave them, in OpenAI's form."""

    written: RawText
    logprobs: Any = None

    @property
    def text(self) -> str:
        """The text itself."""
        return text_of(self.written)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TextDelta) and self.text == other.text and self.logprobs == other.logprobs

    def __hash__(self) -> int:
        return hash(self.text)


class ThinkingDelta(Struct, frozen=True, gc=False):
    """More of the model's reasoning; not part of the answer."""

    text: str


class RefusalDelta(Struct, frozen=True, gc=False):
    """More of a refusal that the provider marked as one."""

    text: str


class ToolCallBegin(Struct, frozen=True, gc=False):
    """The model starts a call; `index` counts the calls of this answer from 0, `id` is the provider's own.

    `extras` go back to the provider with the call.
    """

    index: int
    id: str
    name: str
    extras: Extras = NO_EXTRAS


class ToolCallDelta(Struct, frozen=True, gc=False):
    """More of the argument text of the call at `index`, exactly as it came."""

    index: int
    arguments: str


class ToolWork(Struct, frozen=True, gc=False):
    """What the agent did itself for this answer: hidden messages, calls and results, for who keeps a conversation."""

    messages: tuple[Message, ...]


class UsageReport(Struct, frozen=True, gc=False):
    """The token counts of the answer."""

    usage: Usage


class Finish(Struct, frozen=True, gc=False):
    """The answer is complete, and why it ended."""

    reason: FinishReason


Event = TextDelta | ThinkingDelta | RefusalDelta | ToolCallBegin | ToolCallDelta | ToolWork | UsageReport | Finish
Batch = list[Event]
Stream = AsyncGenerator[Batch, None]
