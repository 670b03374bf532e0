"""Output items of a streamed answer. Each step returns the events that report it, without sequence numbers."""

from collections.abc import Sequence
from typing import Any, Literal

from gateway.core.accumulator import Accumulator
from gateway.core.event import CitationFound, RefusalDelta, TextDelta, ThinkingDelta, ToolCallBegin, ToolCallDelta
from gateway.core.jsonio import InvalidJSON, dumps, loads
from gateway.core.message import Thinking
from gateway.core.upstream_error import UpstreamError, UpstreamKind
from gateway.wire.openai_responses.client_tools import ID_PREFIXES
from gateway.wire.openai_responses.item_id import output_id
from gateway.wire.openai_responses.reasoning import reasoning_item
from gateway.wire.openai_responses.response_object import (
    Head,
    Phase,
    Status,
    annotation,
    call_item,
    message_item,
    refusal_part,
    text_part,
)

Announcement = tuple[str, dict[str, Any]]
PartKind = Literal["output_text", "refusal"]

TEXT_DELTA = "response.output_text.delta"


class OpenMessage:
    """A message: a text part, a refusal part, or both.

    `text_head` is the constant head of a text delta's frame (without logprobs); empty unless a text part is open. Most
    frames of a long answer share it, so it is encoded once.
    """

    __slots__ = ("_annotations", "_kind", "_part", "_parts", "id", "index", "text_head")

    def __init__(self, response: str, index: int) -> None:
        self.id = output_id("msg", response, index)
        self.index = index
        self.text_head = b""
        self._kind: PartKind | None = None
        self._parts: list[dict[str, Any]] = []
        self._part = Accumulator()
        self._annotations: list[dict[str, Any]] = []

    def open_event(self) -> Announcement:
        """The event that adds the empty item."""
        item = message_item(self.id, "in_progress", ())
        return "response.output_item.added", {"output_index": self.index, "item": item}

    @property
    def part(self) -> dict[str, Any]:
        """The ids and indexes that locate the open part."""
        return {"item_id": self.id, "output_index": self.index, "content_index": len(self._parts)}

    def begin(self, kind: PartKind) -> list[Announcement]:
        """Ensure that a part of this kind is open, closing a part of another kind."""
        if self._kind == kind:
            return []
        events = self._end_part()
        self._kind = kind
        if kind == "output_text":
            known = dumps({"type": TEXT_DELTA, **self.part, "logprobs": ()})
            self.text_head = b"event: " + TEXT_DELTA.encode() + b"\ndata: " + known[:-1] + b',"delta":'
        return [*events, ("response.content_part.added", {**self.part, "part": self._content()})]

    def add(self, event: TextDelta | RefusalDelta) -> None:
        """Add a delta to the open part."""
        self._part.add([event])

    def cite(self, event: CitationFound) -> Announcement:
        """Add a citation to the open text part."""
        added = annotation(event.citation)
        self._annotations.append(added)
        where = {**self.part, "annotation_index": len(self._annotations) - 1}
        return "response.output_text.annotation.added", {**where, "annotation": added}

    def close(self, status: Status, phase: Phase) -> tuple[dict[str, Any], list[Announcement]]:
        """The complete item, and the events that end it."""
        events = self._end_part()
        item = message_item(self.id, status, self._parts, phase)
        return item, [*events, ("response.output_item.done", {"output_index": self.index, "item": item})]

    def _content(self) -> dict[str, Any]:
        if self._kind == "refusal":
            return refusal_part(self._part.refusal)
        logprobs: Sequence[Any] = (self._part.logprobs or {}).get("content") or []
        return text_part(self._part.text, logprobs, self._annotations)

    def _end_part(self) -> list[Announcement]:
        if self._kind is None:
            return []
        part, where = self._content(), self.part
        value = {"refusal": part["refusal"]} if self._kind == "refusal" else {k: part[k] for k in ("text", "logprobs")}
        self._parts.append(part)
        self._part, self._annotations, self.text_head = Accumulator(), [], b""
        return [
            (f"response.{self._kind}.done", {**where, **value}),
            ("response.content_part.done", {**where, "part": part}),
        ]


class OpenReasoning:
    """A block of reasoning: the model's own text (`reasoning_text`), or a summary of it (`summary_text`)."""

    __slots__ = ("_head", "_kind", "_text", "id", "index")

    def __init__(self, head: Head, index: int, kind: Literal["raw", "summary"]) -> None:
        self.id = output_id("rs", head.id, index)
        self.index = index
        self._head = head
        self._kind: Literal["raw", "summary"] = kind
        self._text = Accumulator()

    def open_events(self) -> list[Announcement]:
        """The events that add the empty item and its empty part."""
        item = reasoning_item(self.id, "in_progress", Thinking(kind=self._kind), seal=None)
        added: Announcement = "response.output_item.added", {"output_index": self.index, "item": item}
        if self._kind == "summary":
            return [added, ("response.reasoning_summary_part.added", {**self._where(), "part": self._part("")})]
        return [added, ("response.content_part.added", {**self._where(), "part": self._part("")})]

    def add(self, delta: ThinkingDelta) -> Announcement:
        """Add text."""
        self._text.add([delta])
        return f"response.{self._name}.delta", {**self._where(), "delta": delta.text}

    def close(self, block: Thinking | None, status: Status) -> tuple[dict[str, Any], list[Announcement]]:
        """The complete item, and the events that end it; `block` is None if the block was interrupted."""
        thinking = block or Thinking("".join(part.text for part in self._text.thinking), kind=self._kind)
        item = reasoning_item(self.id, status, thinking, seal=None if block is None else self._head.seal)
        part = self._part(thinking.text)
        ended = "reasoning_summary_part" if self._kind == "summary" else "content_part"
        return item, [
            (f"response.{self._name}.done", {**self._where(), "text": thinking.text}),
            (f"response.{ended}.done", {**self._where(), "part": part}),
            ("response.output_item.done", {"output_index": self.index, "item": item}),
        ]

    @property
    def _name(self) -> str:
        return "reasoning_summary_text" if self._kind == "summary" else "reasoning_text"

    def _part(self, text: str) -> dict[str, Any]:
        return {"type": "summary_text" if self._kind == "summary" else "reasoning_text", "text": text}

    def _where(self) -> dict[str, Any]:
        where = {"item_id": self.id, "output_index": self.index}
        return {**where, "summary_index": 0} if self._kind == "summary" else {**where, "content_index": 0}


_INPUTS = {"function": "function_call_arguments", "custom": "custom_tool_call_input"}
"""The names of the events for the arguments of a call; other kinds have none, their items come whole."""


class OpenCall:
    """A call of a client's tool whose arguments are streamed."""

    __slots__ = ("_begin", "_call", "closed", "id", "index")

    def __init__(self, response: str, index: int, begin: ToolCallBegin) -> None:
        self.id = output_id(ID_PREFIXES[begin.kind], response, index)
        self.index = index
        self.closed = False
        self._begin = begin
        self._call = Accumulator()
        self._call.add([begin])

    def open_event(self) -> Announcement:
        """The event that adds the item, without arguments."""
        return "response.output_item.added", {"output_index": self.index, "item": self._item("in_progress")}

    @property
    def whole(self) -> bool:
        """Whether the arguments are a complete JSON object, so that only another call can follow. Free text always may
        be complete.
        """
        text = self._call.tool_calls[self._begin.index].arguments
        if self._begin.kind == "custom":
            return bool(text)
        if not text.rstrip().endswith("}"):
            return False
        try:
            return isinstance(loads(text.encode("utf-8", "surrogatepass")), dict)
        except InvalidJSON:
            return False

    def add(self, delta: ToolCallDelta) -> list[Announcement]:
        """Add arguments. Raises UpstreamError if the call is closed."""
        if self.closed:
            if delta.arguments.isspace():
                return []
            raise UpstreamError(UpstreamKind.MALFORMED, "The provider continued a tool call that was already complete.")
        self._call.add([delta])
        name = _INPUTS.get(self._begin.kind)
        where = {"item_id": self.id, "output_index": self.index}
        return [] if name is None else [(f"response.{name}.delta", {**where, "delta": delta.arguments})]

    def close(self, status: Status) -> tuple[dict[str, Any], list[Announcement]]:
        """The complete item, and the events that end it."""
        self.closed = True
        item = self._item(status)
        ended: Announcement = "response.output_item.done", {"output_index": self.index, "item": item}
        name = _INPUTS.get(self._begin.kind)
        if name is None:
            return item, [ended]
        where = {"item_id": self.id, "output_index": self.index}
        if name == _INPUTS["custom"]:
            return item, [(f"response.{name}.done", {**where, "input": item["input"]}), ended]
        return item, [
            (f"response.{name}.done", {**where, "name": self._begin.name, "arguments": item["arguments"]}),
            ended,
        ]

    def _item(self, status: Status) -> dict[str, Any]:
        return call_item(self.id, status, self._call.tool_calls[self._begin.index])
