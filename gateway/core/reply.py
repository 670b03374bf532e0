"""A whole answer: the fold of the events of a stream."""

from collections.abc import Iterable
from typing import Any, assert_never

from msgspec import Struct

from gateway.core.event import (
    Batch,
    Finish,
    FinishReason,
    RefusalDelta,
    TextDelta,
    ThinkingDelta,
    ToolCallBegin,
    ToolCallDelta,
    ToolWork,
    UsageReport,
)
from gateway.core.message import Message, ToolCall
from gateway.core.usage import NO_USAGE, Usage
from gateway.core.written import RawText, text_of


class Reply(Struct, frozen=True, eq=False):
    """One complete answer, as it was written, None when the model gave no text; `logprobs` joined in OpenAI's form.

    `tool_work` are the hidden messages of what the agent did for it.
    """

    written: RawText | None
    finish: FinishReason
    usage: Usage = NO_USAGE
    tool_calls: tuple[ToolCall, ...] = ()
    thinking: str | None = None
    refusal: str | None = None
    logprobs: dict[str, Any] | None = None
    tool_work: tuple[Message, ...] = ()

    @property
    def text(self) -> str | None:
        """The text itself."""
        return None if self.written is None else text_of(self.written)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Reply) and self._meaning() == other._meaning()

    def __hash__(self) -> int:
        return hash((self.text, self.finish))

    def _meaning(self) -> tuple[object, ...]:
        return self.text, self.finish, self.usage, self.tool_calls, self.thinking, self.refusal, self.logprobs


def fold(events: Batch) -> Reply:
    """All events of one answer as a value; an answer without Finish is a fault of ours."""
    texts: list[RawText] = []
    thoughts = refusal = ""
    tool_work: tuple[Message, ...] = ()
    calls: dict[int, tuple[ToolCallBegin, list[str]]] = {}
    logprobs: dict[str, Any] | None = None
    usage = NO_USAGE
    finish: FinishReason | None = None
    for event in events:
        match event:
            case TextDelta():
                texts.append(event.written)
                if event.logprobs is not None:
                    logprobs = _joined(logprobs, event.logprobs)
            case Finish():
                finish = event.reason
            case UsageReport():
                usage = event.usage
            case ToolCallDelta():
                calls[event.index][1].append(event.arguments)
            case ToolCallBegin():
                calls[event.index] = event, []
            case ThinkingDelta():
                thoughts += event.text
            case RefusalDelta():
                refusal += event.text
            case ToolWork():
                tool_work = event.messages
            case _:
                assert_never(event)
    if finish is None:
        raise AssertionError("a stream ended without Finish and without an error")
    return Reply(
        written=_joined_text(texts),
        finish=finish,
        usage=usage,
        tool_calls=_tool_calls(calls.values()) if calls else (),
        thinking=thoughts or None,
        refusal=refusal or None,
        logprobs=logprobs,
        tool_work=tool_work,
    )


def _tool_calls(calls: Iterable[tuple[ToolCallBegin, list[str]]]) -> tuple[ToolCall, ...]:
    return tuple(ToolCall(begun.id, begun.name, "".join(arguments), begun.extras) for begun, arguments in calls)


def _joined_text(texts: list[RawText]) -> RawText | None:
    if len(texts) < 2:
        return texts[0] if texts else None
    return "".join([text_of(written) for written in texts])


def _joined(known: dict[str, Any] | None, more: Any) -> dict[str, Any] | None:
    """OpenAI's `logprobs` of two pieces of text: their lists of tokens one after the other."""
    if known is None or not isinstance(more, dict):
        return more if isinstance(more, dict) else known
    return known | {
        kind: [*known[kind], *tokens] if tokens and known.get(kind) else tokens or known.get(kind)
        for kind, tokens in more.items()
    }
