"""Decodes output items of a provider, whole or as they are streamed, into events.

A complete item is authoritative: what its deltas did not bring is added. Items of tools that the provider itself runs
are passed on whole, for clients of this format.
"""

from typing import Any, Literal

from gateway.core.event import (
    Batch,
    CitationFound,
    ForeignFound,
    RefusalDelta,
    TextDelta,
    ThinkingDelta,
    ThinkingEnd,
    ToolCallBegin,
    ToolCallDelta,
)
from gateway.core.ids import new_id
from gateway.core.message import NO_EXTRAS, Extras, Foreign, Owner, Thinking
from gateway.wire.failures import malformed
from gateway.wire.openai_responses import ITEM, WIRE
from gateway.wire.openai_responses.annotations import read_annotation
from gateway.wire.openai_responses.client_tools import KINDS, arguments_of, is_clients, name_of
from gateway.wire.surrogates import SurrogateJoiner

_BETWEEN_PARTS = "\n\n"
_Kind = Literal["raw", "summary"]


class OutputReader:
    """The output items of one answer of `owner`; `calls` counts the tool calls so far, `items` all items."""

    __slots__ = ("_ids", "_items", "_joiner", "_open_thought", "_owner", "_thoughts", "calls", "items")

    def __init__(self, owner: Owner) -> None:
        self._owner = owner
        self._items: dict[int, _Item] = {}  # by output index
        self._ids: set[str] = set()
        self._open_thought: _Item | None = None
        self._thoughts: list[str] = []
        self.calls = 0
        self.items = 0
        self._joiner = SurrogateJoiner()

    def added(self, index: int, item: dict[str, Any], batch: Batch) -> None:
        """An item begins; its fields may be empty. Raises UpstreamError for a call without a name."""
        if index in self._items:
            return
        self.items += 1
        known = self._items[index] = _Item()
        kind = item.get("type")
        if kind in ("function_call", "custom_tool_call") and name_of(item):
            self._begin_call(known, item, batch)

    def text(self, index: int, part: int, delta: str, logprobs: Any, batch: Batch) -> None:
        """More text of a message's part."""
        item = self._item(index)
        item.add(part, delta)
        if self._open_thought is not None:
            self.end_thinking(batch)
        if text := self.exact(delta):
            batch.append(TextDelta(text, {"content": logprobs} if logprobs else None))

    def refusal(self, index: int, part: int, delta: str, batch: Batch) -> None:
        """More of a refusal."""
        self._item(index).add(part, delta)
        self.end_thinking(batch)
        if text := self.exact(delta):
            batch.append(RefusalDelta(text))

    def annotation(self, index: int, part: int, raw: Any, batch: Batch) -> None:
        """A source of a text part."""
        item = self._item(index)
        item.sources[part] = item.sources.get(part, 0) + 1
        if (citation := read_annotation(raw)) is not None:
            batch.append(CitationFound(citation))

    def thinking(self, index: int, kind: _Kind, part: int, delta: str, batch: Batch) -> None:
        """More of a reasoning item; the parts of a summary are separate paragraphs."""
        if not delta:
            return
        item = self._item(index)
        if item.closed:
            return
        if item is not self._open_thought:
            self.end_thinking(batch)
            self._open_thought = item
        elif item.thought != (kind, part):
            delta = _BETWEEN_PARTS + delta
        item.thought = kind, part
        self._thoughts.append(delta)
        batch.append(ThinkingDelta(delta, kind))

    def end_thinking(self, batch: Batch) -> None:
        """Close a block of reasoning whose item the provider did not end before other content, or at all."""
        item, self._open_thought = self._open_thought, None
        if item is not None and item.thought is not None:
            item.closed = True
            text, self._thoughts = "".join(self._thoughts), []
            batch.append(ThinkingEnd(Thinking(text, kind=item.thought[0], owner=self._owner)))

    def arguments(self, index: int, delta: str, batch: Batch) -> None:
        """More of a call's arguments. Raises UpstreamError if no call has begun."""
        item = self._items.get(index)
        if item is None or item.call is None:
            raise malformed("a tool call has no name")
        if delta:
            item.add(0, delta)
            batch.append(ToolCallDelta(item.call, delta))

    def done(self, index: int, raw: dict[str, Any], batch: Batch) -> None:
        """An item is complete: add what its deltas did not bring. Raises UpstreamError for a call without a name."""
        item = self._item(index)
        if item.closed:
            return
        item.closed = True
        kind = raw.get("type")
        if kind == "message":
            self._message(item, raw, batch)
        elif kind == "reasoning":
            self._reasoning(item, raw, batch)
        elif is_clients(raw):
            if item.call is None:
                self._begin_call(item, raw, batch)
            self._complete_call(item, arguments_of(raw), batch)
        elif isinstance(kind, str):
            self.end_thinking(batch)
            batch.append(ForeignFound(Foreign(WIRE, {ITEM: raw}, "")))

    def output(self, items: list[Any], batch: Batch) -> None:
        """All items of a complete response: those that were not streamed."""
        for index, item in enumerate(items):
            if isinstance(item, dict):
                self.done(index, item, batch)
        self.end_thinking(batch)

    def exact(self, text: str) -> str:
        """The text with surrogate pairs rejoined that JSON escapes split over two deltas."""
        return text if text.isascii() and not self._joiner.pending else self._joiner.feed(text)

    def _item(self, index: int) -> "_Item":
        item = self._items.get(index)
        if item is None:
            self.items += 1
            item = self._items[index] = _Item()
        return item

    def _begin_call(self, item: "_Item", raw: dict[str, Any], batch: Batch) -> None:
        name = name_of(raw)
        if not name or name.isspace():
            raise malformed("a tool call has no name")
        self.end_thinking(batch)
        namespace = raw.get("namespace")
        item.call, self.calls = self.calls, self.calls + 1
        batch.append(
            ToolCallBegin(
                item.call,
                self._unique(raw.get("call_id")),
                name,
                NO_EXTRAS,
                KINDS[raw["type"]],
                namespace if isinstance(namespace, str) and namespace else None,
            )
        )

    def _complete_call(self, item: "_Item", arguments: str, batch: Batch) -> None:
        missing = arguments[item.received(0) :]
        if missing and item.call is not None:
            batch.append(ToolCallDelta(item.call, missing))

    def _message(self, item: "_Item", raw: dict[str, Any], batch: Batch) -> None:
        content = raw.get("content")
        for index, part in enumerate(content if isinstance(content, list) else ()):
            if not isinstance(part, dict):
                continue
            field = "refusal" if part.get("type") == "refusal" else "text"
            text = part.get(field)
            missing = text[item.received(index) :] if isinstance(text, str) else ""
            if missing:
                self.end_thinking(batch)
            if missing and field == "refusal":
                batch.append(RefusalDelta(self.exact(missing)))
            elif missing:
                logprobs = None if item.received(index) else part.get("logprobs")
                batch.append(TextDelta(self.exact(missing), {"content": logprobs} if logprobs else None))
            sources = part.get("annotations")
            for source in sources[item.sources.get(index, 0) :] if isinstance(sources, list) else ():
                if (citation := read_annotation(source)) is not None:
                    batch.append(CitationFound(citation))

    def _reasoning(self, item: "_Item", raw: dict[str, Any], batch: Batch) -> None:
        summary, content = _texts(raw.get("summary")), _texts(raw.get("content"))
        kind: _Kind = "raw" if content else "summary"
        text = _BETWEEN_PARTS.join((*summary, *content))
        encrypted, item_id = raw.get("encrypted_content"), raw.get("id")
        encrypted = encrypted if isinstance(encrypted, str) and encrypted else None
        if item is self._open_thought:
            self._open_thought, self._thoughts = None, []
        else:
            self.end_thinking(batch)
        if item.thought is None:
            if text:
                batch.append(ThinkingDelta(text, kind))
            elif encrypted is None:
                return
        parts = {name: texts for name, texts in (("summary", summary), ("content", content)) if texts}
        extras = Extras(WIRE, parts) if len(summary) + len(content) > 1 else NO_EXTRAS
        item_id = item_id if isinstance(item_id, str) else None
        batch.append(ThinkingEnd(Thinking(text, None, encrypted, item_id, kind, self._owner, extras)))

    def _unique(self, call_id: Any) -> str:
        """The provider's id, or a new one if it gives none or repeats one."""
        if not isinstance(call_id, str) or not call_id.strip() or call_id in self._ids:
            call_id = new_id("call_")
        self._ids.add(call_id)
        return str(call_id)


class _Item:
    """What was received of one item: characters and sources of each part, its reasoning, the index of its call."""

    __slots__ = ("call", "closed", "sizes", "sources", "thought")

    def __init__(self) -> None:
        self.call: int | None = None
        self.closed = False
        self.sizes: dict[int, int] = {}
        self.sources: dict[int, int] = {}
        self.thought: tuple[_Kind, int] | None = None

    def add(self, part: int, text: str) -> None:
        self.sizes[part] = self.sizes.get(part, 0) + len(text)

    def received(self, part: int) -> int:
        return self.sizes.get(part, 0)


def _texts(parts: Any) -> list[str]:
    texts = [part.get("text") for part in parts if isinstance(part, dict)] if isinstance(parts, list) else []
    return [text for text in texts if isinstance(text, str) and text]
