"""Renders events as SSE chunks, and an Answer as one `chat.completion` body.

Objects are shaped as OpenClaw's, with OpenAI's nullable fields present and reasoning as `reasoning_content`. A chunk's
constant head and tail are encoded once per answer.
"""

from typing import Any, assert_never

from gateway.core.answer import Answer
from gateway.core.errors import GatewayError
from gateway.core.event import (
    Batch,
    CitationFound,
    Event,
    Finish,
    ForeignFound,
    RefusalDelta,
    TextDelta,
    ThinkingDelta,
    ThinkingEnd,
    ToolCallBegin,
    ToolCallDelta,
    ToolWork,
    UsageReport,
)
from gateway.core.ids import new_id
from gateway.core.jsonio import dumps, dumps_each
from gateway.core.message import Extras
from gateway.core.raw_text import RawText
from gateway.core.usage import NO_USAGE
from gateway.wire.framing.sse import DONE, sse_frame
from gateway.wire.openai_chat import WIRE
from gateway.wire.openai_chat.citations import annotation
from gateway.wire.openai_chat.error_body import error_body
from gateway.wire.openai_chat.usage import usage_object


def render_answer(answer: Answer, *, id: str, created: int, model: str) -> bytes:  # noqa: A002  the field's name
    """A whole answer; `content` is `""` when there are only tool calls, as in OpenClaw."""
    message: dict[str, Any] = {
        "role": "assistant",
        "content": "" if answer.raw is None else answer.raw,
        "refusal": answer.refusal,
    }
    if answer.thinking and (reasoning := "".join(block.text for block in answer.thinking)):
        message["reasoning_content"] = reasoning
    if answer.citations:
        message["annotations"] = [annotation(citation) for citation in answer.citations]
    if answer.tool_calls:
        message["tool_calls"] = [
            _call(call.id, call.name, call.arguments, call.kind, call.extras) for call in answer.tool_calls
        ]
    choice = {"index": 0, "message": message, "logprobs": answer.logprobs, "finish_reason": answer.finish}
    return dumps(
        {
            "id": id,
            "object": "chat.completion",
            "created": created,
            "model": model,
            "choices": [choice],
            "usage": usage_object(answer.usage),
        }
    )


def _call(id_: str, name: str, arguments: str, kind: str, extras: Extras) -> dict[str, Any]:
    called = {"name": name, "input" if kind == "custom" else "arguments": arguments}
    return {"id": id_, "type": kind, kind: called, **extras.of(WIRE)}


class ChatRenderer:
    """Renders the answer to one chat request; `now` in Unix seconds. See `gateway.wire.contract.AnswerRenderer`."""

    __slots__ = ("_created", "_include_usage")

    def __init__(self, *, now: float, include_usage: bool) -> None:
        self._created = int(now)
        self._include_usage = include_usage

    def stream(self, model: str) -> "Renderer":
        """See AnswerRenderer."""
        return Renderer(id=new_id("chatcmpl_"), created=self._created, model=model, include_usage=self._include_usage)

    def body(self, answer: Answer, model: str) -> bytes:
        """See AnswerRenderer."""
        return render_answer(answer, id=new_id("chatcmpl_"), created=self._created, model=model)


class Renderer:
    """One streamed answer: `feed` batches, then `close`, or `fail`. Every stream ends with one `[DONE]`."""

    __slots__ = ("_custom", "_include_usage", "_plain_border", "_plain_head", "_prefix", "_started", "_usage")

    def __init__(self, *, id: str, created: int, model: str, include_usage: bool) -> None:  # noqa: A002
        head = {"id": id, "object": "chat.completion.chunk", "created": created, "model": model}
        self._prefix = b"data: " + dumps(head)[:-1] + b',"choices":['
        self._plain_head = self._prefix + b'{"index":0,"delta":{"content":'
        self._plain_border = _PLAIN_TAIL + self._plain_head
        self._include_usage = include_usage
        self._usage = NO_USAGE
        self._started = False
        self._custom: set[int] = set()  # indexes of calls of custom tools

    def feed(self, batch: Batch) -> bytes:
        """The frames of one batch, for one write; the first chunk of the answer holds the role."""
        frames = [] if self._started else [self._start()]
        texts: list[RawText] = []
        if len(batch) >= _BURST:  # nearly always text, but for the two events that may end the answer
            texts = [event.raw for event in batch[:-2] if event.__class__ is TextDelta and event.logprobs is None]
            if len(texts) < len(batch) - 2:
                texts = []
        for event in batch[len(texts) :] if texts else batch:
            if event.__class__ is TextDelta and event.logprobs is None:
                texts.append(event.raw)
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
        """One frame for each of consecutive texts, which are nearly all of a long answer; as byte strings to join."""
        return self._plain_head, self._plain_border.join(dumps_each(texts)), _PLAIN_TAIL

    def close(self) -> bytes:
        """The usage chunk if the client requested it (zeros if the provider sent none, as in OpenClaw); `[DONE]`."""
        if not self._include_usage:
            return DONE
        return self._prefix[:-1] + b'[],"usage":' + dumps(usage_object(self._usage)) + b"}\n\n" + DONE

    def fail(self, error: GatewayError) -> bytes:
        """One error event, and the end."""
        return sse_frame(dumps(error_body(error))) + DONE

    def _start(self) -> bytes:
        self._started = True
        return self._chunk({"role": "assistant", "content": ""})

    def _frame(self, event: Event) -> bytes | None:
        match event:
            case TextDelta(raw, logprobs):
                return self._chunk({"content": raw}, logprobs=logprobs)
            case ThinkingDelta(text):
                return self._chunk({"reasoning_content": text})
            case RefusalDelta(text):
                return self._chunk({"refusal": text})
            case ToolCallBegin(index, id_, name, extras, kind):
                if kind == "custom":
                    self._custom.add(index)
                return self._chunk({"tool_calls": [{"index": index, **_call(id_, name, "", kind, extras)}]})
            case ToolCallDelta(index, arguments):
                custom = index in self._custom
                called = {"input" if custom else "arguments": arguments}
                return self._chunk({"tool_calls": [{"index": index, "custom" if custom else "function": called}]})
            case CitationFound(citation):
                return self._chunk({"annotations": [annotation(citation)]})
            case Finish(reason):
                return self._chunk({}, finish=reason)
            case UsageReport(usage):
                self._usage = usage
                return None
            case ThinkingEnd() | ToolWork() | ForeignFound():
                return None  # the format has no field for them
            case _:
                assert_never(event)

    def _chunk(self, delta: dict[str, Any], *, finish: str | None = None, logprobs: Any = None) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": logprobs, "finish_reason": finish}
        return self._prefix + dumps(choice) + b"]}\n\n"


_BURST = 16  # events
_PLAIN_TAIL = b'},"logprobs":null,"finish_reason":null}]}\n\n'
