"""Messages as values, independent of wire formats.

`Extras` and `Foreign` hold fields and parts that only one wire format knows. Both name that format and are sent only in
it. `Thinking` is sent only to the model that produced it.
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
FROM_TOOLS = Extras("tools", {"attached": True})
"""The extras of a user's message that holds what tools returned; no provider gets them."""


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
    """An image by `data:` URI or by URL; `detail` is the client's hint (`auto`, `low`, `high`)."""

    url: str
    detail: str | None = None
    extras: Extras = NO_EXTRAS


class Audio(Struct, frozen=True):
    """Audio: base64 `data` in a `format` such as `wav` or `mp3`."""

    data: str
    format: str
    extras: Extras = NO_EXTRAS

    def __repr__(self) -> str:
        """Without the data, which may be long and is the caller's own."""
        return f"Audio(format={self.format!r})"


class File(Struct, frozen=True):
    """A document: base64 `data`, or a `url` to fetch. `mime` is the type that the client declared, None without one."""

    name: str | None = None
    mime: str | None = None
    data: str | None = None
    url: str | None = None
    extras: Extras = NO_EXTRAS

    def __repr__(self) -> str:
        """Without the data, which may be long and is the caller's own."""
        return f"File(name={self.name!r}, mime={self.mime!r}, url={self.url!r})"


class Owner(Struct, frozen=True):
    """The model, provider and wire format that produced a Thinking block: no other model can verify it."""

    wire: str
    provider: str
    model: str


class Thinking(Struct, frozen=True):
    """One block of a model's reasoning, with the fields that its owner needs to accept it in a later request.

    `signature` covers the text; `encrypted` is opaque state, with or instead of the text; `id` is the provider's id.
    `owner` is None if the producer is unknown, such as for a block that a client sent.
    """

    text: str = ""
    signature: str | None = None
    encrypted: str | None = None
    id: str | None = None
    kind: Literal["raw", "summary"] = "raw"
    owner: Owner | None = None
    extras: Extras = NO_EXTRAS


ToolKind = Literal["function", "custom", "local_shell", "shell", "apply_patch", "tool_search", "hosted"]
"""The kind of a tool. The provider runs `hosted` tools itself; the client runs all others."""


class ToolCall(Struct, frozen=True):
    """A call that the model made.

    `arguments` is the model's text, byte for byte: free text for a `custom` tool, else JSON. `namespace` distinguishes
    tools with the same name. The extras of a call with another kind may hold its form in a wire format.
    """

    id: str
    name: str
    arguments: str
    extras: Extras = NO_EXTRAS
    kind: ToolKind = "function"
    namespace: str | None = None


class Refusal(Struct, frozen=True):
    """A refusal by the model that the provider marked as one."""

    text: str
    extras: Extras = NO_EXTRAS


class Citation(Struct, frozen=True):
    """A source of the text of the same message; `start` and `end` are character offsets in it, None if unknown."""

    url: str
    title: str | None = None
    start: int | None = None
    end: int | None = None
    extras: Extras = NO_EXTRAS


class Foreign(Struct, frozen=True):
    """A part that only its own wire format understands.

    `text` is what stands for it in any other format: "" if it can be left out, None if nothing can, so that a model of
    another format can't be sent it.
    """

    wire: str
    payload: Mapping[str, Any]
    text: str | None = None


Content = Text | Image | Audio | File | Refusal | Foreign


class ToolResult(Struct, frozen=True, eq=False):
    """The result of the tool call `call_id`; `is_error` if the tool failed.

    `content_is_array` records that the client sent the content as an array; it does not affect equality.
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

    `content_is_array` records that the client sent the content as an array. `hidden` marks messages that no client
    gets: the agent's own tool calls and their results. Neither affects equality.
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
        """Whether it has no content: only white space or reasoning."""
        for part in self.parts:
            if type(part) is Thinking:
                continue
            if type(part) is not Text or not part.blank:
                return False
        return True

    @property
    def calls_tools(self) -> bool:
        """Whether it has a tool call."""
        return any(type(part) is ToolCall for part in self.parts)
