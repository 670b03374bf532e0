"""Decodes a `delta` of a stream, or the `message` of a whole answer, into events.

Surrogate pairs that JSON escapes split over two deltas are rejoined. Tool calls are distinguished by index and id,
however a server numbers them. What can't be read safely fails as MALFORMED; nothing is guessed.
"""

from typing import Any

from msgspec import Raw

from gateway.core.event import (
    Batch,
    CitationFound,
    RefusalDelta,
    TextDelta,
    ThinkingDelta,
    ThinkingEnd,
    ToolCallBegin,
    ToolCallDelta,
)
from gateway.core.ids import new_id
from gateway.core.jsonio import InvalidJSON, dumps, loads
from gateway.core.message import NO_EXTRAS, Extras, Owner
from gateway.core.raw_text import RawText, is_empty, is_string
from gateway.wire.failures import malformed
from gateway.wire.model import ModelSpec
from gateway.wire.openai_chat import WIRE
from gateway.wire.openai_chat.beside import message_events
from gateway.wire.openai_chat.citations import read_annotations
from gateway.wire.openai_chat.profile import profile_of
from gateway.wire.openai_chat.shapes import CALL_FIELDS, Call, Delta
from gateway.wire.openai_chat.thinking import ThinkingReader
from gateway.wire.surrogates import SurrogateJoiner


class DeltaReader:
    """Reads the deltas of one answer of `model`; tracks open calls, open reasoning and half a surrogate pair."""

    __slots__ = ("_bare", "_halves", "_ids", "_model", "_open_calls", "_without_id", "calls", "cited", "thinking")

    def __init__(self, model: ModelSpec) -> None:
        self._model = model
        self._open_calls: dict[int, tuple[int, str, str]] = {}  # the event's index, the id and the name
        self._without_id: dict[int, list[str]] = {}  # the arguments of calls without an id
        self._ids: set[str] = set()
        self._bare: set[int] = set()  # the calls without arguments so far
        self.thinking = ThinkingReader()
        self._halves = SurrogateJoiner()
        self.calls = 0
        self.cited = False  # whether the message itself has named a source

    @property
    def plain(self) -> bool:
        """Whether the next text needs no processing: no reasoning is open, no half of a surrogate pair pending."""
        return not (self._halves.pending or self.thinking.open)

    def read(self, delta: Delta, logprobs: Any, batch: Batch) -> None:
        """Add the events of one `delta`, or of a whole `message`, to `batch`."""
        visible = ""
        if (
            delta.reasoning_content is not None
            or delta.reasoning is not None
            or delta.reasoning_details
            or delta.thinking_blocks
        ):
            visible = self._reasoning(delta, batch)
        content: str | list[Any] | Raw | None = delta.content
        if visible and _is_absent(content):
            content = visible
        if isinstance(content, Raw) and not is_string(content):
            content = _decoded(content)
        if isinstance(content, list):
            content = self._read_parts(content, delta, batch)
        text_raw = self._text(content)
        calls = delta.tool_calls
        if calls is None and delta.function_call is not None:
            calls = [Call(delta.function_call)]
        if text_raw is not None or calls or delta.refusal:
            self.end_thinking(batch)
        if text_raw is not None:
            batch.append(TextDelta(text_raw, logprobs))
        if delta.refusal:
            batch.append(RefusalDelta(delta.refusal))
        if delta.annotations or delta.audio or delta.images:
            self._read_beside(delta, batch)
        if calls:
            self._tool_calls(calls, batch)

    def _reasoning(self, delta: Delta, batch: Batch) -> str:
        """Add the delta's reasoning to `batch`; returns the text of its details that belongs to the answer."""
        details, visible = self._details(delta)
        text = self.thinking.feed(delta.reasoning_content, delta.reasoning, details, delta.thinking_blocks)
        if text:
            batch.append(ThinkingDelta(text))
        return visible

    def _details(self, delta: Delta) -> tuple[Any, str]:
        """Its `reasoning_details` without those whose text belongs to the answer, and that text."""
        types = profile_of(self._model).visible_details
        if not types or not isinstance(delta.reasoning_details, list):
            return delta.reasoning_details, ""
        visible = [one for one in delta.reasoning_details if isinstance(one, dict) and one.get("type") in types]
        others = [one for one in delta.reasoning_details if not any(one is other for other in visible)]
        return others, "".join(text for one in visible if isinstance(text := one.get("text"), str))

    def _read_beside(self, delta: Delta, batch: Batch) -> None:
        citations = read_annotations(delta.annotations)
        self.cited = self.cited or bool(citations)
        batch += [CitationFound(citation) for citation in citations]
        if events := list(message_events(delta)):
            self.end_thinking(batch)
            batch += events

    def end_thinking(self, batch: Batch) -> None:
        """Close an open block of reasoning: other content begins, or the answer ends."""
        if self.thinking.open:
            batch.append(ThinkingEnd(self.thinking.close(Owner(WIRE, self._model.provider, self._model.id))))

    def end_calls(self, batch: Batch) -> None:
        """The answer ends with its calls: those without arguments get an empty object, as clients expect."""
        batch += [ToolCallDelta(index, "{}") for index in sorted(self._bare)]
        self._bare.clear()

    def _read_parts(self, parts: list[Any], delta: Delta, batch: Batch) -> str:
        """The text in a list of parts; reasoning among them is added to `batch`, images to those of the delta."""
        texts = []
        for part in parts:
            if not isinstance(part, dict):
                continue
            if part.get("type") == "thinking":
                thought = _text_of_parts(part.get("thinking"))
                self.thinking.add(thought, "content")
                if thought:
                    batch.append(ThinkingDelta(thought))
            elif isinstance(text := part.get("text"), str):
                texts.append(text)
            elif part.get("type") == "image_url":
                delta.images = [*(delta.images if isinstance(delta.images, list) else ()), part]
        return "".join(texts)

    def _text(self, content: str | Raw | None) -> RawText | None:
        """The text to pass on, None for none. Exact text stays raw; other text has its surrogate pairs rejoined."""
        if isinstance(content, Raw):
            return None if is_empty(content) else content  # exact, so it holds no half of a pair
        text = content or ""
        if self._halves.pending or not text.isascii():
            text = self._halves.feed(text)
        return text or None

    def _tool_calls(self, calls: list[Call], batch: Batch) -> None:
        for position, call in enumerate(calls):
            function = call.function
            if function is None:
                raise malformed("a tool call has no function")
            key = position if call.index is None else call.index
            index, call_id, name = self._open_calls.get(key, (-1, "", ""))
            if index < 0 or (function.name and self._is_another(call, function.name, index, call_id, name)):
                if not function.name or function.name.isspace():
                    raise malformed("a tool call has no name")
                index = self.calls
                self._open_calls[key] = index, call.id or "", function.name
                if not call.id:
                    self._without_id[index] = []
                self.calls += 1
                self._bare.add(index)
                batch.append(ToolCallBegin(index, self._unique(call.id), function.name, _provider_fields(call)))
            if arguments := function.arguments:
                self._bare.discard(index)
                text = arguments if isinstance(arguments, str) else dumps(arguments).decode()
                batch.append(ToolCallDelta(index, text))
                if index in self._without_id:
                    self._without_id[index].append(text)

    def _is_another(self, call: Call, new_name: str, index: int, call_id: str, name: str) -> bool:
        """Whether a delta with a name begins another call than the open one with the same index.

        Gemini and others give all calls the index 0 or none; then the ids differ. Raises MALFORMED for a name that
        changes within a call: it came in pieces, and the client has its first piece.
        """
        if call.id and call.id != call_id:
            return True
        if new_name.isspace():
            return False
        if not (call.id or call_id) and index not in self._bare:
            return new_name != name or _is_json("".join(self._without_id[index]))
        if new_name != name:
            raise malformed("the name of a tool call changes within it")
        return False

    def _unique(self, call_id: str | None) -> str:
        """The provider's id, or a new one if it gives none or repeats one.

        Ids pair calls with results over a whole conversation, so a new id must be random.
        """
        if not call_id or call_id.isspace() or call_id in self._ids:
            call_id = new_id("call_")
        self._ids.add(call_id)
        return call_id


def _is_json(text: str) -> bool:
    try:
        loads(text.encode("utf-8", "replace"))
    except InvalidJSON:
        return False
    return True


def _is_absent(content: str | list[Any] | Raw | None) -> bool:
    """Whether a delta has no text of its own."""
    return not content or (isinstance(content, Raw) and bytes(content) in (b"null", b'""', b"[]"))


def _text_of_parts(parts: Any) -> str:
    if isinstance(parts, str):
        return parts
    texts = [part.get("text") for part in parts if isinstance(part, dict)] if isinstance(parts, list) else []
    return "".join(text for text in texts if isinstance(text, str))


def _decoded(raw: Raw) -> list[Any] | None:
    """Decode `content` that is not a string: an array or null. Raises MALFORMED for anything else."""
    try:
        content = loads(raw)
    except InvalidJSON as error:
        raise malformed(str(error)) from None
    if content is None or isinstance(content, list):
        return content
    raise malformed("its content is not text")


def _provider_fields(call: Call) -> Extras:
    """The provider's own fields, which it expects back with this call."""
    if call.extra_content is None and call.provider_specific_fields is None:
        return NO_EXTRAS
    fields = {name: value for name in CALL_FIELDS if isinstance(value := getattr(call, name), dict)}
    return Extras(WIRE, fields) if fields else NO_EXTRAS
