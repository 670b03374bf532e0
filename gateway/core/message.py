"""Messages as pure values, in no provider's format; identity and storage belong to the stores.

`Extras` and `Foreign` hold what a wire format knows and the core does not: kept, labelled with the wire it came from,
and given back to that wire only.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from msgspec import Struct

from gateway.core.written import RawText, is_blank, text_of

Role = Literal["system", "developer", "user", "assistant", "tool", "function"]


@dataclass(frozen=True, slots=True)
class Extras:
    """Unknown fields of one object, labelled with the wire format that they came from."""

    wire: str
    fields: Mapping[str, Any]

    def of(self, wire: str) -> Mapping[str, Any]:
        """The fields, for the wire that they belong to; empty for any other."""
        return self.fields if wire == self.wire else {}


NO_EXTRAS = Extras("", {})


class Text(Struct, frozen=True, eq=False):
    """Plain text, as it was written; `text` decodes it."""

    written: RawText
    extras: Extras = NO_EXTRAS

    @property
    def text(self) -> str:
        """The text itself."""
        return text_of(self.written)

    @property
    def blank(self) -> bool:
        """Whether it is empty or white space."""
        return is_blank(self.written)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Text) and self.text == other.text and self.extras == other.extras

    def __hash__(self) -> int:
        return hash(self.text)


class Image(Struct, frozen=True):
    """A picture by `data:` URI or by URL; `detail` is the caller's hint (`auto`, `low`, `high`)."""

    url: str
    detail: str | None = None
    extras: Extras = NO_EXTRAS


class File(Struct, frozen=True):
    """A document: base64 `data`, or a `url` to fetch. `mime` is what the caller declared, None when nothing."""

    name: str | None = None
    mime: str | None = None
    data: str | None = None
    url: str | None = None

    def __repr__(self) -> str:
        """Without the data, which may be long and is the caller's own."""
        return f"File(name={self.name!r}, mime={self.mime!r}, url={self.url!r})"


class ToolCall(Struct, frozen=True):
    """A call that the model made; `arguments` is the model's own JSON text, byte for byte."""

    id: str
    name: str
    arguments: str
    extras: Extras = NO_EXTRAS


class Foreign(Struct, frozen=True):
    """A part that only its own wire format understands."""

    wire: str
    payload: Mapping[str, Any]


Content = Text | Image | Foreign


class ToolResult(Struct, frozen=True, eq=False):
    """What a tool answered to the call `call_id`."""

    call_id: str
    content: tuple[Content, ...]
    listed: bool = False

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ToolResult) and (self.call_id, self.content) == (other.call_id, other.content)

    def __hash__(self) -> int:
        return hash((self.call_id, self.content))


Part = Text | Image | File | Foreign | ToolCall | ToolResult


class Message(Struct, frozen=True, eq=False):
    """One message. `listed` remembers that a caller wrote its content as a list of parts, `hidden` that no caller was
    shown it: a call that the agent answered itself, or the answer. Neither carries meaning.
    """

    role: Role
    parts: tuple[Part, ...]
    name: str | None = None
    extras: Extras = NO_EXTRAS
    listed: bool = False
    hidden: bool = False

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Message) and self._meaning() == other._meaning()

    def __hash__(self) -> int:
        return hash((self.role, self.parts))

    def _meaning(self) -> tuple[object, ...]:
        return self.role, self.parts, self.name, self.extras

    @property
    def blank(self) -> bool:
        """Whether it says nothing: white space at most."""
        for part in self.parts:
            if type(part) is not Text or not part.blank:
                return False
        return True
