"""Turns the content blocks of one answer into events, for formats whose answers are lists of blocks.

Blocks come one after another: text, reasoning, redacted reasoning, tool calls. Blocks of other kinds are foreign parts.
"""

from typing import Any, Literal

from msgspec import Raw
from msgspec.structs import replace

from gateway.core.event import (
    Batch,
    CitationFound,
    ForeignFound,
    TextDelta,
    ThinkingDelta,
    ThinkingEnd,
    ToolCallBegin,
    ToolCallDelta,
)
from gateway.core.ids import new_id
from gateway.core.jsonio import InvalidJSON, loads
from gateway.core.message import Citation, Foreign, Owner, Thinking
from gateway.core.raw_text import is_empty, text_of
from gateway.wire.arguments import arguments_text
from gateway.wire.failures import malformed
from gateway.wire.surrogates import SurrogateJoiner

Kind = Literal["text", "thinking", "redacted", "call", "other"]

_EMPTY_ARGUMENTS = frozenset({b"", b"null", b'""', b"{}"})


class BlockBuilder:
    """The blocks of one answer of `owner`; `prefix` begins the ids of calls that the provider gives none.

    `kind` is that of the open block, `calls` counts the tool calls, `characters` is the length of the text so far.
    `beside` says whether there is a block of another kind than text.
    """

    __slots__ = (
        "_arguments", "_call", "_citations", "_foreign",
        "_foreign_input", "_halves", "_ids", "_owner", "_prefix", "_redacted", "_signature",
        "_start", "_texts", "_thoughts", "beside", "calls", "characters", "kind",
    )  # fmt: skip

    def __init__(self, owner: Owner, prefix: str) -> None:
        self._owner = owner
        self._prefix = prefix
        self._ids: set[str] = set()
        self._halves = SurrogateJoiner()
        self._thoughts: list[str] = []
        self._signature: list[str] = []
        self._redacted: list[str] = []
        self._arguments: str | None = None  # for a call of which no piece has come
        self._call = -1
        self._citations: list[Citation] = []
        self._foreign: dict[str, Any] | None = None
        self._foreign_input: list[str] = []
        self._texts: list[Raw] = []
        self._start = 0
        self.kind: Kind | None = None
        self.beside = False
        self.calls = 0
        self.characters = 0

    @property
    def thinking(self) -> bool:
        """Whether a block of reasoning is open: it may be silent for minutes."""
        return self.kind in ("thinking", "redacted")

    @property
    def empty(self) -> bool:
        """Whether the answer has no content so far."""
        return not (self.characters or self.beside)

    @property
    def plain(self) -> bool:
        """Whether the next text needs no processing: a block of text is open, and no half of a pair is pending."""
        return self.kind == "text" and not self._halves.pending

    def begin(self, kind: Kind, batch: Batch) -> None:
        """A block begins. An open one ends."""
        if self.kind is not None:
            self.end(batch)
        self.kind = kind
        self.beside = self.beside or kind not in ("text", "other")
        self._start = self.characters

    def begin_call(self, call_id: str | None, name: str | None, arguments: bytes, batch: Batch) -> None:
        """A block with a call begins; `arguments` are those of a call of which no piece follows, as JSON."""
        self.begin("call", batch)
        if not name or name.isspace():
            raise malformed("a tool call has no name")
        self._arguments = "{}" if arguments in _EMPTY_ARGUMENTS else arguments_text(Raw(arguments))
        self._call = self.calls
        self.calls += 1
        batch.append(ToolCallBegin(self._call, self._unique(call_id), name))

    def begin_foreign(self, payload: Any, batch: Batch) -> None:
        """A block begins that only its own format understands."""
        self.begin("other", batch)
        if isinstance(payload, dict) and isinstance(payload.get("type"), str):
            self._foreign, self.beside = payload, True

    def foreign_input(self, piece: str | None) -> None:
        """More of the input of the open block, as JSON."""
        self._foreign_input.append(piece or "")

    def text(self, text: str, batch: Batch, *, exact: bool = False) -> None:
        """More text. `exact` text has no half of a surrogate pair."""
        if not exact or self._halves.pending:
            text = self._halves.feed(text)
        if text:
            self.characters += len(text)
            batch.append(TextDelta(text))

    def whole_text(self, raw: Raw, citations: list[Citation], batch: Batch) -> None:
        """A complete block of text, as it arrived."""
        if self.kind is not None:
            self.end(batch)
        if not is_empty(raw):
            batch.append(TextDelta(raw))
            self._texts.append(raw)
        if citations:  # only they need the lengths, which cost decoding
            self.characters += sum(len(text_of(one)) for one in self._texts)
            self._texts.clear()
            self.begin("text", batch)
            self._start = self.characters - len(text_of(raw))
            self._citations = citations
            self.end(batch)

    def cite(self, citation: Citation | None) -> None:
        """The open block cites a source; its offsets are those of the block."""
        if citation is not None:
            self._citations.append(citation)

    def think(self, text: str | None, batch: Batch) -> None:
        """More reasoning."""
        if text:
            self._thoughts.append(text)
            batch.append(ThinkingDelta(text))

    def add_signature(self, signature: str | None) -> None:
        """More of the signature of the open block of reasoning."""
        self._signature.append(signature or "")

    def redact(self, data: str | None) -> None:
        """More of the open block of redacted reasoning."""
        self._redacted.append(data or "")

    def arguments(self, piece: str | None, batch: Batch) -> None:
        """More arguments of the open call."""
        if piece:
            self._arguments = None
            batch.append(ToolCallDelta(self._call, piece))

    def end(self, batch: Batch) -> None:
        """The open block ends, if one is open."""
        kind, self.kind = self.kind, None
        if kind == "text":
            batch += [CitationFound(replace(one, start=self._start, end=self.characters)) for one in self._citations]
            self._citations = []
        elif kind == "thinking":
            text, signature = "".join(self._thoughts), "".join(self._signature)
            self._thoughts, self._signature = [], []
            batch.append(ThinkingEnd(Thinking(text, signature, owner=self._owner)))
        elif kind == "redacted":
            batch.append(ThinkingEnd(Thinking(encrypted="".join(self._redacted), owner=self._owner)))
            self._redacted = []
        elif kind == "call" and self._arguments is not None:
            batch.append(ToolCallDelta(self._call, self._arguments))
        elif kind == "other":
            self._end_foreign(batch)

    def _end_foreign(self, batch: Batch) -> None:
        payload, given = self._foreign, "".join(self._foreign_input)
        self._foreign, self._foreign_input = None, []
        if payload is None:
            return
        if given:
            try:
                payload["input"] = loads(given.encode("utf-8", "surrogatepass"))
            except InvalidJSON:
                return  # it was cut off
        # What the provider's own tools did can be left out elsewhere: the text around it says what came of it.
        batch.append(ForeignFound(Foreign(self._owner.wire, payload, text="")))

    def _unique(self, call_id: str | None) -> str:
        """The provider's id, or a new one if it gives none or repeats one."""
        if not call_id or call_id.isspace() or call_id in self._ids:
            call_id = new_id(self._prefix)
        self._ids.add(call_id)
        return call_id
