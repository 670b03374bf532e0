"""The units of a run's stream.

A stream is an async iterator of *batches*: each batch is a non-empty list of the events that were ready together, so
that a stage or a socket write is paid once per batch. Order rules: `ToolCallBegin` comes before the deltas of its
index; a call's joined argument deltas are its JSON text; at most one `UsageReport`; exactly one `Finish`, and only a
`UsageReport` may follow it. Failure is an exception that leaves the iterator, never an event.

Events are plain slotted dataclasses, not frozen ones: creating a frozen one costs twice as much, and a stream makes
thousands. Nobody changes one after it was made.
"""

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Any, Literal

from gateway.core.usage import Usage

FinishReason = Literal["stop", "length", "tool_calls", "content_filter"]


@dataclass(slots=True)
class TextDelta:
    """More of the visible answer; `logprobs` as the provider gave them, in OpenAI's form."""

    text: str
    logprobs: Any = None


@dataclass(slots=True)
class ThinkingDelta:
    """More of the model's reasoning; not part of the answer."""

    text: str


@dataclass(slots=True)
class RefusalDelta:
    """More of a refusal that the provider marked as one."""

    text: str


@dataclass(slots=True)
class ToolCallBegin:
    """The model starts a call; `index` counts the calls of this answer from 0, `id` is the provider's own."""

    index: int
    id: str
    name: str


@dataclass(slots=True)
class ToolCallDelta:
    """More of the argument text of the call at `index`, exactly as it came."""

    index: int
    arguments: str


@dataclass(slots=True)
class UsageReport:
    """The token counts of the answer."""

    usage: Usage


@dataclass(slots=True)
class Finish:
    """The answer is complete, and why it ended."""

    reason: FinishReason


Event = TextDelta | ThinkingDelta | RefusalDelta | ToolCallBegin | ToolCallDelta | UsageReport | Finish
Batch = list[Event]
Stream = AsyncGenerator[Batch, None]
