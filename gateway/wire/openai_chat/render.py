"""Renders events as SSE chunks, and an Answer as one `chat.completion` body.

Objects are shaped as OpenClaw's, with OpenAI's nullable fields present and reasoning as `reasoning_content`. A chunk's
constant head and tail are encoded once per answer.
"""

from collections.abc import Iterable, Sequence
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
from gateway.core.message import Extras, Foreign, Part, Text, Thinking, ToolCall
from gateway.core.raw_text import RawText
from gateway.core.upstream_error import UpstreamError, UpstreamKind
from gateway.core.usage import NO_USAGE
from gateway.wire.framing.sse import DONE, sse_frame
from gateway.wire.openai_chat import WIRE
from gateway.wire.openai_chat.beside import fields_of_answer
from gateway.wire.openai_chat.citations import annotation
from gateway.wire.openai_chat.error_body import error_body
from gateway.wire.openai_chat.schema import OBJECT
from gateway.wire.openai_chat.thinking import reasoning_details
from gateway.wire.openai_chat.usage import usage_object


def render_answer(
    answer: Answer,
    *,
    id: str,  # noqa: A002  the field's name
    created: int,
    model: str,
    functions: bool = False,
) -> bytes:
    """A whole answer; `content` is `""` when there are only tool calls, as in OpenClaw.

    `functions`: the client sent `functions`, so it reads `function_call`. Raises UpstreamError for several calls then.
    """
    message: dict[str, Any] = {
        "role": "assistant",
        "content": "" if answer.raw is None else answer.raw,
        "refusal": answer.refusal,
    }
    if answer.thinking:
        message |= _reasoning(answer.thinking)
    beside: dict[str, Any] = {}
    if answer.interleaved:
        fields, beside = fields_of_answer(answer.interleaved)
        message |= fields
        if any(_stands_in(part) for part in answer.interleaved):
            message["content"] = "".join(map(_text, answer.interleaved))
    if answer.citations:
        cited = [annotation(citation) for citation in answer.citations]
        message["annotations"] = [*cited, *message.get("annotations", ())]
    finish: str = answer.finish
    if answer.tool_calls and functions:
        message["function_call"] = _function_call(answer.tool_calls)
        finish = "function_call" if finish == "tool_calls" else finish
    elif answer.tool_calls:
        message["tool_calls"] = [
            _call(call.id, call.name, call.arguments, call.kind, call.extras) for call in answer.tool_calls
        ]
    choice = {"index": 0, "message": message, "logprobs": answer.logprobs, "finish_reason": finish}
    return dumps(
        {
            "id": id,
            "object": OBJECT,
            "created": created,
            "model": model,
            "choices": [choice],
            "usage": usage_object(answer.usage),
            **beside,
        }
    )


def _reasoning(blocks: Iterable[Thinking]) -> dict[str, Any]:
    text = "".join(block.text for block in blocks)
    details = [detail for block in blocks for detail in reasoning_details(block)]
    return ({"reasoning_content": text} if text else {}) | ({"reasoning_details": details} if details else {})


def _stands_in(part: Part) -> bool:
    """Whether a text stands for a part of another format."""
    return isinstance(part, Foreign) and part.wire != WIRE and bool(part.text)


def _text(part: Part) -> str:
    return part.text or "" if isinstance(part, Text) or (isinstance(part, Foreign) and part.wire != WIRE) else ""


def _function_call(calls: Sequence[ToolCall]) -> dict[str, Any]:
    """The legacy form of a call. Raises UpstreamError for several, of which it can hold one."""
    if len(calls) > 1:
        raise _too_many_calls()
    return {"name": calls[0].name, "arguments": calls[0].arguments}


def _too_many_calls() -> UpstreamError:
    text = "The model made several calls, and the form `functions` can hold one. Send `tools` instead."
    return UpstreamError(UpstreamKind.UNSUPPORTED, text, param="functions")


def _call(id_: str, name: str, arguments: str, kind: str, extras: Extras) -> dict[str, Any]:
    called = {"name": name, "input" if kind == "custom" else "arguments": arguments}
    return {"id": id_, "type": kind, kind: called, **extras.of(WIRE)}


class ChatRenderer:
    """Renders the answer to one chat request; `now` in Unix seconds. See `gateway.wire.contract.AnswerRenderer`.

    `functions`: see `render_answer`.
    """

    __slots__ = ("_created", "_functions", "_include_usage")

    def __init__(self, *, now: float, include_usage: bool, functions: bool = False) -> None:
        self._created = int(now)
        self._include_usage = include_usage
        self._functions = functions

    def stream(self, model: str) -> "Renderer":
        """See AnswerRenderer."""
        return Renderer(
            id=new_id("chatcmpl_"),
            created=self._created,
            model=model,
            include_usage=self._include_usage,
            functions=self._functions,
        )

    def body(self, answer: Answer, model: str) -> bytes:
        """See AnswerRenderer."""
        return render_answer(
            answer, id=new_id("chatcmpl_"), created=self._created, model=model, functions=self._functions
        )


class Renderer:
    """One streamed answer: `feed` batches, then `close`, or `fail`. Every stream ends with one `[DONE]`."""

    __slots__ = (
        "_custom",
        "_functions",
        "_include_usage",
        "_plain_border",
        "_plain_head",
        "_prefix",
        "_started",
        "_usage",
    )

    def __init__(
        self,
        *,
        id: str,  # noqa: A002
        created: int,
        model: str,
        include_usage: bool,
        functions: bool = False,
    ) -> None:
        head = {"id": id, "object": "chat.completion.chunk", "created": created, "model": model}
        self._prefix = b"data: " + dumps(head)[:-1] + b',"choices":['
        self._plain_head = self._prefix + b'{"index":0,"delta":{"content":'
        self._plain_border = _PLAIN_TAIL + self._plain_head
        self._include_usage = include_usage
        self._usage = NO_USAGE
        self._started = False
        self._functions = functions
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
            case ToolCallBegin() | ToolCallDelta():
                return self._chunk(self._function(event) if self._functions else self._call(event))
            case CitationFound(citation):
                return self._chunk({"annotations": [annotation(citation)]})
            case Finish(reason):
                legacy = self._functions and reason == "tool_calls"
                return self._chunk({}, finish="function_call" if legacy else reason)
            case ForeignFound(part):
                return self._foreign(part)
            case ThinkingEnd(block):
                details = reasoning_details(block)
                return self._chunk({"reasoning_details": details}) if details else None
            case UsageReport(usage):
                self._usage = usage
                return None
            case ToolWork():
                return None  # no client gets it
            case _:
                assert_never(event)

    def _foreign(self, part: Foreign) -> bytes | None:
        message, completion = fields_of_answer((part,))
        if message:
            return self._chunk(message)
        if completion:
            return self._chunk({})[:-3] + b"," + dumps(completion)[1:] + b"\n\n"
        return self._chunk({"content": part.text}) if _stands_in(part) else None

    def _call(self, event: ToolCallBegin | ToolCallDelta) -> dict[str, Any]:
        """The delta of a call."""
        match event:
            case ToolCallBegin(index, id_, name, extras, kind):
                if kind == "custom":
                    self._custom.add(index)
                return {"tool_calls": [{"index": index, **_call(id_, name, "", kind, extras)}]}
            case ToolCallDelta(index, arguments):
                custom = index in self._custom
                called = {"input" if custom else "arguments": arguments}
                return {"tool_calls": [{"index": index, "custom" if custom else "function": called}]}

    def _function(self, event: ToolCallBegin | ToolCallDelta) -> dict[str, Any]:
        """The delta of a legacy call. Raises UpstreamError for a second one."""
        if event.index:
            raise _too_many_calls()
        if isinstance(event, ToolCallBegin):
            return {"function_call": {"name": event.name, "arguments": ""}}
        return {"function_call": {"arguments": event.arguments}}

    def _chunk(self, delta: dict[str, Any], *, finish: str | None = None, logprobs: Any = None) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": logprobs, "finish_reason": finish}
        return self._prefix + dumps(choice) + b"]}\n\n"


_BURST = 16  # events
_PLAIN_TAIL = b'},"logprobs":null,"finish_reason":null}]}\n\n'
