"""The client's half, outward: events → SSE chunks, and a Reply → one `chat.completion` body.

Shapes as recorded, with OpenAI's nullable fields present. A chunk's constant head and tail are made once per answer.
"""

from typing import Any, assert_never

from gateway.core.errors import GatewayError
from gateway.core.event import (
    Batch,
    Event,
    Finish,
    RefusalDelta,
    TextDelta,
    ThinkingDelta,
    ToolCallBegin,
    ToolCallDelta,
    ToolWork,
    UsageReport,
)
from gateway.core.jsonio import dumps, dumps_each
from gateway.core.reply import Reply
from gateway.core.usage import NO_USAGE, Usage
from gateway.core.written import RawText
from gateway.wire.framing.sse import DONE, sse_frame


def usage_object(usage: Usage) -> dict[str, Any]:
    """OpenAI's `usage`; the details appear only when they say something (recorded)."""
    counts: dict[str, Any] = {
        "prompt_tokens": usage.prompt,
        "completion_tokens": usage.completion,
        "total_tokens": usage.total,
    }
    if usage.cached:
        counts["prompt_tokens_details"] = {"cached_tokens": usage.cached}
    if usage.reasoning is not None:
        counts["completion_tokens_details"] = {"reasoning_tokens": usage.reasoning}
    return counts


def render_reply(reply: Reply, *, id: str, created: int, model: str) -> bytes:  # noqa: A002  the field's name
    """A whole answer; `content` is `""` beside bare tool calls (recorded)."""
    message: dict[str, Any] = {
        "role": "assistant",
        "content": "" if reply.written is None else reply.written,
        "refusal": reply.refusal,
    }
    if reply.tool_calls:
        message["tool_calls"] = [
            {
                "id": call.id,
                "type": "function",
                "function": {"name": call.name, "arguments": call.arguments},
                **call.extras.fields,
            }
            for call in reply.tool_calls
        ]
    choice = {"index": 0, "message": message, "logprobs": reply.logprobs, "finish_reason": reply.finish}
    return dumps(
        {
            "id": id,
            "object": "chat.completion",
            "created": created,
            "model": model,
            "choices": [choice],
            "usage": usage_object(reply.usage),
        }
    )


class Renderer:
    """One streamed answer: `feed` batches, then `close`, or `fail`. Every way ends with `[DONE]`, once."""

    __slots__ = ("_include_usage", "_plain_border", "_plain_head", "_prefix", "_started", "_usage")

    def __init__(self, *, id: str, created: int, model: str, include_usage: bool) -> None:  # noqa: A002
        head = {"id": id, "object": "chat.completion.chunk", "created": created, "model": model}
        self._prefix = b"data: " + dumps(head)[:-1] + b',"choices":['
        self._plain_head = self._prefix + b'{"index":0,"delta":{"content":'
        self._plain_border = _PLAIN_TAIL + self._plain_head
        self._include_usage = include_usage
        self._usage = NO_USAGE
        self._started = False

    def feed(self, batch: Batch) -> bytes:
        """The frames of one batch, for one write; the role comes first, as recorded."""
        frames = [] if self._started else [self._start()]
        texts: list[RawText] = []
        for event in batch:
            if event.__class__ is TextDelta and event.logprobs is None:
                texts.append(event.written)
                continue
            if texts:
                frames += self._plain(texts)
                texts = []
            if (frame := self._frame(event)) is not None:
                frames.append(frame)
        if texts:
            frames += self._plain(texts)
        return b"".join(frames)

    def _plain(self, texts: list[RawText]) -> tuple[bytes, ...]:
        """A frame each for texts that follow one another, nearly all of a long answer; in pieces to be joined."""
        return self._plain_head, self._plain_border.join(dumps_each(texts)), _PLAIN_TAIL

    def close(self) -> bytes:
        """The usage chunk, when it was asked for (zeros if the provider gave none, as recorded), and the end."""
        if not self._include_usage:
            return DONE
        return self._prefix[:-1] + b'[],"usage":' + dumps(usage_object(self._usage)) + b"}\n\n" + DONE

    def fail(self, error: GatewayError) -> bytes:
        """One error event, and the end."""
        return sse_frame(dumps(error.payload())) + DONE

    def _start(self) -> bytes:
        self._started = True
        return self._chunk({"role": "assistant", "content": ""})

    def _frame(self, event: Event) -> bytes | None:
        match event:
            case TextDelta(written, logprobs):
                return self._chunk({"content": written}, logprobs=logprobs)
            case RefusalDelta(text):
                return self._chunk({"refusal": text})
            case ToolCallBegin(index, id_, name, extras):
                function = {"name": name, "arguments": ""}
                call = {"index": index, "id": id_, "type": "function", "function": function, **extras.fields}
                return self._chunk({"tool_calls": [call]})
            case ToolCallDelta(index, arguments):
                return self._chunk({"tool_calls": [{"index": index, "function": {"arguments": arguments}}]})
            case Finish(reason):
                return self._chunk({}, finish=reason)
            case UsageReport(usage):
                self._usage = usage
                return None
            case ThinkingDelta() | ToolWork():
                return None  # the recorded surface shows neither
            case _:
                assert_never(event)

    def _chunk(self, delta: dict[str, Any], *, finish: str | None = None, logprobs: Any = None) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": logprobs, "finish_reason": finish}
        return self._prefix + dumps(choice) + b"]}\n\n"


_PLAIN_TAIL = b'},"logprobs":null,"finish_reason":null}]}\n\n'
