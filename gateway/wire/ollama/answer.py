"""Decodes Ollama's answers, whole or as a stream of JSON lines, into events.

A whole answer is the same object as a line, with `done` true. Content and calls may be in the last line of a stream.
Calls come whole, often without ids; a new one is random, because ids pair calls with results over a conversation.
"""

from typing import Any

from msgspec import Raw, Struct

from gateway.core.event import (
    Batch,
    Finish,
    FinishReason,
    TextDelta,
    ThinkingDelta,
    ThinkingEnd,
    ToolCallBegin,
    ToolCallDelta,
    UsageReport,
)
from gateway.core.ids import new_id
from gateway.core.jsonio import InvalidJSON, StructDecoder
from gateway.core.message import Owner, Thinking
from gateway.core.usage import Usage
from gateway.wire.arguments import arguments_text
from gateway.wire.contract import End
from gateway.wire.event_parser import EventParser
from gateway.wire.failures import malformed, require_output, unreadable
from gateway.wire.framing.ndjson import NdjsonDecoder
from gateway.wire.model import ModelSpec
from gateway.wire.ollama import WIRE
from gateway.wire.ollama.errors import error_in
from gateway.wire.surrogates import SurrogateJoiner


class _Function(Struct, gc=False):
    name: str | None = None
    arguments: Raw = Raw(b"null")


class _Call(Struct, gc=False):
    id: str | None = None
    function: _Function | None = None


class _Message(Struct, gc=False):
    content: str | None = None
    thinking: str | None = None
    tool_calls: list[_Call] | None = None


class _Line(Struct, gc=False):
    """One line of a stream, or a whole answer."""

    message: _Message | None = None
    done: bool | None = None
    done_reason: str | None = None
    prompt_eval_count: int | None = None
    eval_count: int | None = None
    logprobs: list[Any] | None = None
    error: Any = None
    status_code: Any = None


_LINE = StructDecoder(_Line)

_FINISH: dict[str, FinishReason] = {"stop": "stop", "length": "length", "tool_calls": "tool_calls"}


def parse_answer(body: bytes, model: ModelSpec) -> Batch:
    """A whole answer, or all lines of a stream, as the events of a stream. Raises UpstreamError."""
    parser = StreamParser(model)
    batch = parser.feed(body)
    return batch + parser.close()


class StreamParser(EventParser):
    """Reads lines until the one with `done`."""

    thinking = False
    """See Parser: reasoning is shown, so there is no other sign of it."""

    end: End = "sure"
    """See Parser: the end has an event of its own."""

    __slots__ = ("_calls", "_decoder", "_empty", "_half", "_ids", "_owner", "_thought")

    def __init__(self, model: ModelSpec) -> None:
        super().__init__()
        self._decoder = NdjsonDecoder()
        self._owner = Owner(WIRE, model.provider, model.id)
        self._half = SurrogateJoiner()
        self._thought: list[str] = []
        self._ids: set[str] = set()
        self._calls = 0
        self._empty = True

    @property
    def complete(self) -> bool:
        """Whether the last line has come."""
        return self.done

    def _feed(self, data: bytes, batch: Batch) -> None:
        self._read(self._decoder.feed(data), batch)

    def _flush(self, batch: Batch) -> None:
        self._read(self._decoder.flush(), batch)

    def _end_answer(self, batch: Batch) -> None:
        """Nothing is held back: the answer ends with its own line."""

    def _read(self, lines: list[bytes], batch: Batch) -> None:
        for raw in lines:
            if self.done:
                return  # nothing belongs to the answer after its last line
            try:
                line = _LINE.read(raw)
            except InvalidJSON as error:
                raise unreadable(error, raw) from None
            if line.error:
                raise error_in({"error": line.error, "status_code": line.status_code})
            if line.message is None and not line.done:
                raise malformed("a line has no message")
            self._started = True
            if line.message is not None:
                self._message(line.message, line.logprobs, batch)
                self._empty = self._empty and not batch
            if line.done:
                self._end(line, batch)

    def _message(self, message: _Message, logprobs: list[Any] | None, batch: Batch) -> None:
        if message.thinking:
            self._thought.append(message.thinking)
            batch.append(ThinkingDelta(message.thinking))
        text = message.content or ""
        if not text.isascii() or self._half.pending:
            text = self._half.feed(text)
        if text or message.tool_calls:
            self._end_thinking(batch)
        if text:
            batch.append(TextDelta(text, {"content": logprobs} if logprobs else None))
        for call in message.tool_calls or ():
            self._call(call, batch)

    def _call(self, call: _Call, batch: Batch) -> None:
        function = call.function
        if function is None or not function.name or function.name.isspace():
            raise malformed("a tool call has no name")
        call_id = call.id
        if not call_id or call_id in self._ids:
            call_id = new_id("call_")
        self._ids.add(call_id)
        batch.append(ToolCallBegin(self._calls, call_id, function.name))
        batch.append(ToolCallDelta(self._calls, arguments_text(function.arguments)))
        self._calls += 1

    def _end_thinking(self, batch: Batch) -> None:
        if self._thought:
            block = Thinking("".join(self._thought), owner=self._owner)
            self._thought.clear()
            batch.append(ThinkingEnd(block))

    def _end(self, line: _Line, batch: Batch) -> None:
        raw = line.done_reason
        if raw in ("load", "unload"):
            raise malformed(f"the server only answered that it did {raw} the model")
        known = _FINISH.get(raw or "stop", "stop")
        if known == "tool_calls" and not self._calls:
            raise malformed("it ends with tool calls, but has none")
        self._end_thinking(batch)
        reason: FinishReason = "tool_calls" if self._calls and known == "stop" else known
        finish = Finish(reason, None if raw == reason else raw)
        prompt, completion = _count(line.prompt_eval_count), _count(line.eval_count)
        if self._empty:
            require_output(finish, completion)
        batch.append(finish)
        batch.append(UsageReport(Usage(prompt, completion, prompt + completion)))
        self.done = True


def _count(value: int | None) -> int:
    return value if value is not None and value > 0 else 0
