"""Output items of a streamed answer while they grow: each step gives the events that tell of it, not yet numbered."""

from collections.abc import Sequence
from typing import Any, Literal

from gateway.core.event import ToolCallBegin
from gateway.core.jsonio import InvalidJSON, dumps, loads
from gateway.core.message import ToolCall
from gateway.core.upstream_error import UpstreamError, UpstreamKind
from gateway.wire.openai_responses.item_id import output_id
from gateway.wire.openai_responses.response_object import (
    Phase,
    Status,
    call_item,
    message_item,
    refusal_part,
    text_part,
)

Announcement = tuple[str, dict[str, Any]]
PartKind = Literal["output_text", "refusal"]

TEXT_DELTA = "response.output_text.delta"


class OpenMessage:
    """A message: text, and perhaps a refusal, each a part of its own.

    `text_head` is the frame of a text delta without logprobs, all but its text and number; empty unless text is being
    said. A long answer is made of these, so their constant bytes are made once.
    """

    __slots__ = ("_kind", "_logprobs", "_parts", "_said", "id", "index", "text_head")

    def __init__(self, response: str, index: int) -> None:
        self.id = output_id("msg", response, index)
        self.index = index
        self.text_head = b""
        self._kind: PartKind | None = None
        self._parts: list[dict[str, Any]] = []
        self._said: list[str] = []
        self._logprobs: list[Any] = []

    def opened(self) -> Announcement:
        """The item is there, empty."""
        item = message_item(self.id, "in_progress", ())
        return "response.output_item.added", {"output_index": self.index, "item": item}

    @property
    def place(self) -> dict[str, Any]:
        """Where the part that is being said stands."""
        return {"item_id": self.id, "output_index": self.index, "content_index": len(self._parts)}

    def begin(self, kind: PartKind) -> list[Announcement]:
        """Go on with a part of this kind, a new one unless it is what is being said."""
        if self._kind == kind:
            return []
        events = self._end_part()
        self._kind = kind
        if kind == "output_text":
            known = dumps({"type": TEXT_DELTA, **self.place, "logprobs": ()})
            self.text_head = b"event: " + TEXT_DELTA.encode() + b"\ndata: " + known[:-1] + b',"delta":'
        return [*events, ("response.content_part.added", {**self.place, "part": self._part()})]

    def say(self, text: str, logprobs: Sequence[Any] = ()) -> None:
        """More of the part that was begun."""
        self._said.append(text)
        self._logprobs += logprobs

    def close(self, status: Status, phase: Phase) -> tuple[dict[str, Any], list[Announcement]]:
        """The whole item, and the events of its end."""
        events = self._end_part()
        item = message_item(self.id, status, self._parts, phase)
        return item, [*events, ("response.output_item.done", {"output_index": self.index, "item": item})]

    def _part(self) -> dict[str, Any]:
        text = "".join(self._said)
        return refusal_part(text) if self._kind == "refusal" else text_part(text, self._logprobs)

    def _end_part(self) -> list[Announcement]:
        if self._kind is None:
            return []
        part, place = self._part(), self.place
        said = {"refusal": part["refusal"]} if self._kind == "refusal" else {k: part[k] for k in ("text", "logprobs")}
        self._parts.append(part)
        self._said, self._logprobs, self.text_head = [], [], b""
        return [
            (f"response.{self._kind}.done", {**place, **said}),
            ("response.content_part.done", {**place, "part": part}),
        ]


class OpenCall:
    """A function call, growing by its arguments."""

    __slots__ = ("_arguments", "_begun", "closed", "id", "index")

    def __init__(self, response: str, index: int, begun: ToolCallBegin) -> None:
        self.id = output_id("fc", response, index)
        self.index = index
        self.closed = False
        self._begun = begun
        self._arguments: list[str] = []

    def opened(self) -> Announcement:
        """The item is there, without arguments."""
        return "response.output_item.added", {"output_index": self.index, "item": self._item("in_progress")}

    @property
    def whole(self) -> bool:
        """Whether the arguments are a complete object, so that nothing can follow but the next call."""
        text = "".join(self._arguments)
        if not text.rstrip().endswith("}"):
            return False
        try:
            return isinstance(loads(text.encode("utf-8", "surrogatepass")), dict)
        except InvalidJSON:
            return False

    def add(self, arguments: str) -> list[Announcement]:
        """More arguments. Raises UpstreamError for a call that was whole already."""
        if self.closed:
            if arguments.isspace():
                return []
            raise UpstreamError(UpstreamKind.MALFORMED, "The provider went on with a tool call that was complete.")
        self._arguments.append(arguments)
        where = {"item_id": self.id, "output_index": self.index}
        return [("response.function_call_arguments.delta", {**where, "delta": arguments})]

    def close(self, status: Status) -> tuple[dict[str, Any], list[Announcement]]:
        """The whole item, and the events of its end."""
        self.closed = True
        item = self._item(status)
        done = {
            "item_id": self.id,
            "output_index": self.index,
            "name": self._begun.name,
            "arguments": item["arguments"],
        }
        return item, [
            ("response.function_call_arguments.done", done),
            ("response.output_item.done", {"output_index": self.index, "item": item}),
        ]

    def _item(self, status: Status) -> dict[str, Any]:
        begun = self._begun
        return call_item(self.id, status, ToolCall(begun.id, begun.name, "".join(self._arguments), begun.extras))
