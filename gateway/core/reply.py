"""A whole answer: the fold of a stream."""

from dataclasses import dataclass, field
from typing import Any, assert_never

from gateway.core.event import (
    Event,
    Finish,
    FinishReason,
    RefusalDelta,
    Stream,
    TextDelta,
    ThinkingDelta,
    ToolCallBegin,
    ToolCallDelta,
    UsageReport,
)
from gateway.core.message import ToolCall
from gateway.core.usage import NO_USAGE, Usage
from gateway.core.value import value


@value
class Reply:
    """One complete answer; `text` is None when the model gave none, `logprobs` are joined in OpenAI's form."""

    text: str | None
    finish: FinishReason
    usage: Usage = NO_USAGE
    tool_calls: tuple[ToolCall, ...] = ()
    thinking: str | None = None
    refusal: str | None = None
    logprobs: dict[str, Any] | None = None


@dataclass(slots=True)
class _Fold:
    text: list[str] = field(default_factory=list)
    thinking: list[str] = field(default_factory=list)
    refusal: list[str] = field(default_factory=list)
    calls: dict[int, tuple[str, str, list[str]]] = field(default_factory=dict)
    logprobs: dict[str, Any] | None = None
    usage: Usage = NO_USAGE
    finish: FinishReason | None = None

    def add(self, event: Event) -> None:
        match event:
            case TextDelta(text, logprobs):
                self.text.append(text)
                if isinstance(logprobs, dict):
                    self.add_logprobs(logprobs)
            case Finish(reason):
                self.finish = reason
            case UsageReport(usage):
                self.usage = usage
            case ToolCallDelta(index, arguments):
                self.calls[index][2].append(arguments)
            case ToolCallBegin(index, id_, name):
                self.calls[index] = (id_, name, [])
            case ThinkingDelta(text):
                self.thinking.append(text)
            case RefusalDelta(text):
                self.refusal.append(text)
            case _:
                assert_never(event)

    def add_logprobs(self, logprobs: dict[str, Any]) -> None:
        if self.logprobs is None:
            self.logprobs = {}
        for kind, tokens in logprobs.items():
            known = self.logprobs.get(kind)
            self.logprobs[kind] = [*known, *tokens] if known and tokens else known or tokens


async def collect(stream: Stream) -> Reply:
    """Fold a stream into a whole answer. Whatever leaves the stream as an exception leaves here too."""
    fold = _Fold()
    try:
        async for batch in stream:
            for event in batch:
                fold.add(event)
    finally:
        await stream.aclose()
    if fold.finish is None:
        raise AssertionError("a stream ended without Finish and without an error")
    return Reply(
        text="".join(fold.text) if fold.text else None,
        finish=fold.finish,
        usage=fold.usage,
        tool_calls=tuple(ToolCall(id_, name, "".join(parts)) for id_, name, parts in fold.calls.values()),
        thinking="".join(fold.thinking) or None,
        refusal="".join(fold.refusal) or None,
        logprobs=fold.logprobs,
    )
