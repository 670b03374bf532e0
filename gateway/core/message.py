"""Messages as pure values, in no provider's format; identity and storage belong to the stores.

`Extras` and `Foreign` hold what a wire format knows and the core does not. Both are labelled with that format and go
back to it only. `Thinking` goes back only to the model that produced it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from msgspec import Struct

from gateway.core.raw_text import RawText, is_blank, text_of

Role = Literal["system", "developer", "user", "assistant", "tool", "function"]


@dataclass(frozen=True, slots=True)
class Extras:
    """Unknown fields of one object, labelled with the wire format that they came from."""

    wire: str
    fields: Mapping[str, Any]

    def of(self, wire: str) -> Mapping[str, Any]:
        """The fields, for the wire format that they belong to; empty for any other."""
        return self.fields if wire == self.wire else {}


NO_EXTRAS = Extras("", {})


class Text(Struct, frozen=True, eq=False):
    """Plain text as it arrived; `text` decodes it."""

    raw: RawText
    extras: Extras = NO_EXTRAS

    @property
    def text(self) -> str:
        """The decoded text."""
        return text_of(self.raw)

    @property
    def blank(self) -> bool:
        """Whether it is empty or white space."""
        return is_blank(self.raw)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Text) and self.text == other.text and self.extras == other.extras

    def __hash__(self) -> int:
        return hash(self.text)


class Image(Struct, frozen=True):
    """A picture by `data:` URI or by URL; `detail` is the caller's hint (`auto`, `low`, `high`)."""

    url: str
    detail: str | None = None
    extras: Extras = NO_EXTRAS


class Audio(Struct, frozen=True):
    """A recording: base64 `data` in a `format` such as `wav` or `mp3`."""

    data: str
    format: str
    extras: Extras = NO_EXTRAS

    def __repr__(self) -> str:
        """Without the data, which may be long and is the caller's own."""
        return f"Audio(format={self.format!r})"


class File(Struct, frozen=True):
    """A document: base64 `data`, or a `url` to fetch. `mime` is what the caller declared, None when nothing."""

    name: str | None = None
    mime: str | None = None
    data: str | None = None
    url: str | None = None

    def __repr__(self) -> str:
        """Without the data, which may be long and is the caller's own."""
        return f"File(name={self.name!r}, mime={self.mime!r}, url={self.url!r})"


class Owner(Struct, frozen=True):
    """The model that produced some thinking, at its provider, in a wire format: nobody else can verify it."""

    wire: str
    provider: str
    model: str


class Thinking(Struct, frozen=True):
    """One block of a model's reasoning, complete with what its owner needs to accept it again.

    `signature` covers the text; `encrypted` is opaque state in place of the text, or beside it; `id` is the provider's
    own. `owner` is None when a client sent the block and its producer is unknown.
    """

    text: str = ""
    signature: str | None = None
    encrypted: str | None = None
    id: str | None = None
    kind: Literal["raw", "summary"] = "raw"
    owner: Owner | None = None
    extras: Extras = NO_EXTRAS


class ToolCall(Struct, frozen=True):
    """A call that the model made.

    `arguments` is the model's own text, byte for byte: JSON for a `function`, free text for a `custom` tool.
    `namespace` tells functions of one name apart.
    """

    id: str
    name: str
    arguments: str
    extras: Extras = NO_EXTRAS
    kind: Literal["function", "custom"] = "function"
    namespace: str | None = None


class Refusal(Struct, frozen=True):
    """The model's own refusal, marked as one."""

    text: str
    extras: Extras = NO_EXTRAS


class Citation(Struct, frozen=True):
    """A source of the text of the same message; `start` and `end` are characters of that text, None when unknown."""

    url: str
    title: str | None = None
    start: int | None = None
    end: int | None = None
    extras: Extras = NO_EXTRAS


class Foreign(Struct, frozen=True):
    """A part that only its own wire format understands."""

    wire: str
    payload: Mapping[str, Any]


Content = Text | Image | Audio | Refusal | Foreign


class ToolResult(Struct, frozen=True, eq=False):
    """What a tool answered to the call `call_id`; `is_error` when the tool failed.

    `content_is_array` records that the client wrote the content as an array; it carries no meaning.
    """

    call_id: str
    content: tuple[Content, ...]
    content_is_array: bool = False
    is_error: bool = False

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ToolResult) and self._meaning() == other._meaning()

    def __hash__(self) -> int:
        return hash((self.call_id, self.content))

    def _meaning(self) -> tuple[object, ...]:
        return self.call_id, self.content, self.is_error


Part = Text | Image | Audio | File | Thinking | Refusal | Citation | Foreign | ToolCall | ToolResult


class Message(Struct, frozen=True, eq=False):
    """One message.

    `content_is_array` records that the client wrote the content as an array. `hidden` marks what no client was shown:
    a call that the agent answered itself, or its result. Neither carries meaning.
    """

    role: Role
    parts: tuple[Part, ...]
    name: str | None = None
    extras: Extras = NO_EXTRAS
    content_is_array: bool = False
    hidden: bool = False

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Message) and self._meaning() == other._meaning()

    def __hash__(self) -> int:
        return hash((self.role, self.parts))

    def _meaning(self) -> tuple[object, ...]:
        return self.role, self.parts, self.name, self.extras

    @property
    def blank(self) -> bool:
        """Whether it says nothing: white space at most, and thinking, which no reader gets to see."""
        for part in self.parts:
            if type(part) is Thinking:
                continue
            if type(part) is not Text or not part.blank:
                return False
        return True

    @property
    def calls_tools(self) -> bool:
        """Whether the model calls tools in it."""
        return any(type(part) is ToolCall for part in self.parts)
