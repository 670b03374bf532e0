"""Decodes the content blocks of one answer, whole or streamed, into events.

Blocks come one after another: text, thinking, redacted thinking, tool use. Blocks of tools that the provider runs
itself have no event. What can't be read safely fails as MALFORMED; nothing is guessed.
"""

from typing import Any

from msgspec import Raw

from gateway.core.event import (
    Batch,
    CitationFound,
    TextDelta,
    ThinkingDelta,
    ThinkingEnd,
    ToolCallBegin,
    ToolCallDelta,
)
from gateway.core.ids import new_id
from gateway.core.message import Owner, Thinking
from gateway.core.raw_text import is_empty, is_string, text_of
from gateway.core.upstream_error import UpstreamError, UpstreamKind
from gateway.wire.anthropic_messages import WIRE
from gateway.wire.anthropic_messages.citations import read_citation
from gateway.wire.anthropic_messages.shapes import Block, Delta
from gateway.wire.model import ModelSpec
from gateway.wire.surrogates import SurrogateJoiner

_THINKING = frozenset({"thinking", "redacted_thinking"})
_OWN_CONTENT = frozenset({None, "text", *_THINKING})
_EMPTY_INPUTS = frozenset({b"null", b'""', b"{}"})


def malformed(what: str) -> UpstreamError:
    """The error for an answer that can't be read; `what` completes the sentence "could not be read: …"."""
    return UpstreamError(UpstreamKind.MALFORMED, f"The provider's answer could not be read: {what}.")


class BlockReader:
    """Reads the blocks of one answer of `model`. `calls` counts its tool calls.

    `characters` is the length of the text so far, `thinking` whether a block of reasoning is open.
    """

    __slots__ = (
        "_arguments", "_call", "_cited", "_halves", "_ids", "_model", "_redacted", "_signature", "_start", "_texts",
        "_thoughts", "_type", "calls", "characters",
    )  # fmt: skip

    def __init__(self, model: ModelSpec) -> None:
        self._model = model
        self._type: str | None = None
        self._ids: set[str] = set()
        self._halves = SurrogateJoiner()
        self._thoughts: list[str] = []
        self._signature: list[str] = []
        self._redacted = ""
        self._arguments: str | None = None  # for a call of which no piece has come
        self._call = -1
        self._cited: list[Any] = []
        self._texts: list[Raw] = []
        self._start = 0
        self.calls = 0
        self.characters = 0

    @property
    def thinking(self) -> bool:
        """Whether a block of reasoning is open: it may be silent for minutes."""
        return self._type in _THINKING

    @property
    def plain(self) -> bool:
        """Whether the next text needs no processing: a block of text is open, and no half of a pair is pending."""
        return self._type == "text" and not self._halves.pending

    def whole(self, block: Block, batch: Batch) -> None:
        """Add the events of a complete block."""
        if block.type == "text":
            if not is_string(block.text):
                raise malformed("a text block has no text")
            if not is_empty(block.text):
                batch.append(TextDelta(block.text))
                self._texts.append(block.text)
            if block.citations:
                self._count()
                self._start = self.characters - len(text_of(block.text))
                self._cited = block.citations
                self._end_citations(batch)
            return
        self.begin(block, batch)
        self.end(batch)

    def begin(self, block: Block, batch: Batch) -> None:
        """A block begins; some servers put the whole of a short block into its start. An open one ends."""
        self.end(batch)
        kind = self._type = block.type
        if kind == "text":
            self._start = self.characters
            self._cited = list(block.citations or ())
            if is_string(block.text) and not is_empty(block.text):
                self.text(text_of(block.text), batch)
        elif kind == "thinking":
            self._think(block.thinking, batch)
            self._signature = [block.signature] if block.signature else []
        elif kind == "redacted_thinking":
            self._redacted = block.data or ""
        elif kind == "tool_use":
            self._begin_call(block, batch)

    def feed(self, delta: Delta, batch: Batch, *, exact: bool = True) -> None:
        """More of the open block. `exact` text has no half of a surrogate pair."""
        match delta.type:
            case "text_delta" if delta.text:
                if self._type not in (None, "text"):
                    raise malformed("text arrived in a block of another type")
                self._type = "text"
                self.text(delta.text, batch, exact=exact)
            case "thinking_delta" if self._type == "thinking":
                self._think(delta.thinking, batch)
            case "signature_delta" if self._type == "thinking":
                self._signature.append(delta.signature or "")
            case "input_json_delta" if self._type == "tool_use" and delta.partial_json:
                self._arguments = None
                batch.append(ToolCallDelta(self._call, delta.partial_json))
            case "citations_delta":
                self._cited.append(delta.citation)
            case "input_json_delta" if self._type not in _OWN_CONTENT:
                pass  # an empty piece, or the input of a tool that the provider runs itself
            case "thinking_delta" | "signature_delta" | "input_json_delta":
                raise malformed(f"a {delta.type} arrived in a block of another type")
            case _:
                pass

    def text(self, text: str, batch: Batch, *, exact: bool = False) -> None:
        """More of the answer's text."""
        if not exact or self._halves.pending:
            text = self._halves.feed(text)
        if text:
            self.characters += len(text)
            batch.append(TextDelta(text))

    def end(self, batch: Batch) -> None:
        """The open block ends, if one is open."""
        kind, self._type = self._type, None
        if kind == "text":
            self._end_citations(batch)
        elif kind == "thinking":
            text, self._thoughts = "".join(self._thoughts), []
            signature, self._signature = "".join(self._signature), []
            batch.append(ThinkingEnd(Thinking(text, signature, owner=self._owner())))
        elif kind == "redacted_thinking":
            batch.append(ThinkingEnd(Thinking(encrypted=self._redacted, owner=self._owner())))
        elif kind == "tool_use" and self._arguments is not None:
            batch.append(ToolCallDelta(self._call, self._arguments))

    def _owner(self) -> Owner:
        return Owner(WIRE, self._model.provider, self._model.id)

    def _think(self, text: str | None, batch: Batch) -> None:
        if text:
            self._thoughts.append(text)
            batch.append(ThinkingDelta(text))

    def _begin_call(self, block: Block, batch: Batch) -> None:
        if not block.name or block.name.isspace():
            raise malformed("a tool call has no name")
        given = bytes(block.input)
        self._arguments = "{}" if given in _EMPTY_INPUTS else given.decode()
        self._call = self.calls
        self.calls += 1
        batch.append(ToolCallBegin(self._call, self._unique(block.id), block.name))

    def _unique(self, call_id: str | None) -> str:
        """The provider's id, or a new one if it gives none or repeats one."""
        if not call_id or call_id.isspace() or call_id in self._ids:
            call_id = new_id("toolu_")
        self._ids.add(call_id)
        return call_id

    def _end_citations(self, batch: Batch) -> None:
        for raw in self._cited:
            citation = read_citation(raw, self._start, self.characters)
            if citation is not None:
                batch.append(CitationFound(citation))
        self._cited = []

    def _count(self) -> None:
        """Count the characters of whole texts; done only for answers with citations, as it decodes them."""
        self.characters += sum(len(text_of(raw)) for raw in self._texts)
        self._texts.clear()
