"""Decodes content blocks of a client's request into parts.

A block that only Anthropic understands becomes a Foreign part, which goes to Anthropic alone. Text stays encoded as it
arrived.
"""

import base64
from collections.abc import Callable, Collection

from msgspec import Raw

from gateway.core.errors import BadRequest
from gateway.core.jsonio import NotAnObject, RawFields, loads, only_objects_of
from gateway.core.message import NO_EXTRAS, Content, Extras, File, Foreign, Image, Part, Text, ToolCall, ToolResult
from gateway.core.raw_text import is_string, text_of
from gateway.core.seal import Seal
from gateway.wire.anthropic_messages import WIRE
from gateway.wire.anthropic_messages.signature import read_redacted, read_thinking
from gateway.wire.arguments import arguments_text

ABSENT = Raw(b"null")


def wrong(path: str, problem: str) -> BadRequest:
    """The refusal of a field."""
    return BadRequest(f"`{path}`: {problem}.", param=path)


def objects(raw: Raw, path: str) -> list[RawFields]:
    """The blocks of an array. Raises BadRequest."""
    if memoryview(raw)[0] != ord("["):
        raise wrong(path, "must be a string or an array of content blocks")
    try:
        return only_objects_of(raw)
    except NotAnObject:
        raise wrong(path, "must hold objects only") from None


def string(fields: RawFields, name: str, path: str) -> str:
    """A required text. Raises BadRequest."""
    value = fields.get(name, ABSENT)
    if not is_string(value):
        raise wrong(f"{path}.{name}", "must be a string")
    return text_of(value)


def optional(fields: RawFields, name: str) -> str | None:
    """A text; None if it is absent or something else."""
    value = fields.get(name, ABSENT)
    return text_of(value) if is_string(value) else None


def unknown(fields: RawFields, known: Collection[str]) -> Extras:
    """The fields of a block that only this format has."""
    others = {name: loads(value) for name, value in fields.items() if name not in known and bytes(value) != b"null"}
    return Extras(WIRE, others) if others else NO_EXTRAS


def user_part(fields: RawFields, path: str) -> Content | ToolResult:
    """A block of a user's message. Raises BadRequest."""
    if optional(fields, "type") == "tool_result":
        return _result(fields, path)
    return _content(fields, path)


def assistant_part(fields: RawFields, path: str, seal: Seal | None) -> Part | None:
    """A block of an assistant's message; None for reasoning that holds nothing. Raises BadRequest."""
    match string(fields, "type", path):
        case "text":
            return _text(fields, path)
        case "tool_use":
            arguments = arguments_text(fields.get("input", ABSENT))
            extras = unknown(fields, ("type", "id", "name", "input"))
            return ToolCall(string(fields, "id", path), string(fields, "name", path), arguments, extras)
        case "thinking":
            return read_thinking(optional(fields, "thinking") or "", optional(fields, "signature") or "", seal)
        case "redacted_thinking":
            return read_redacted(optional(fields, "data") or "", seal)
        case "compaction":  # the summary of what was before it, which the client may have left out
            return _foreign(fields, text=optional(fields, "content") or "")
        case _:
            return _foreign(fields, text="")  # what Anthropic's own tools did can be left out elsewhere


def _content(fields: RawFields, path: str) -> Content:
    reader = _READERS.get(string(fields, "type", path))
    return _foreign(fields) if reader is None else reader(fields, path)


def _foreign(fields: RawFields, text: str | None = None) -> Foreign:
    return Foreign(WIRE, {name: loads(value) for name, value in fields.items()}, text)


def _text(fields: RawFields, path: str) -> Text:
    text = fields.get("text", ABSENT)
    if not is_string(text):
        raise wrong(f"{path}.text", "must be a string")
    return Text(text) if len(fields) == 2 else Text(text, unknown(fields, ("type", "text")))


def _source(fields: RawFields, path: str) -> tuple[str, dict[str, object]]:
    source = loads(fields.get("source", ABSENT))
    kind = source.get("type") if isinstance(source, dict) else None
    if not isinstance(kind, str):
        raise wrong(f"{path}.source", "must be an object with a `type`, such as `base64` or `url`")
    return kind, source


def _field(source: dict[str, object], name: str, path: str) -> str:
    """A text, which may be empty: the media check judges it, because what a tool returned must not end the request."""
    value = source.get(name)
    if not isinstance(value, str):
        raise wrong(f"{path}.source.{name}", "must be a string")
    return value


def _image(fields: RawFields, path: str) -> Content:
    kind, source = _source(fields, path)
    extras = unknown(fields, ("type", "source"))
    match kind:
        case "base64":
            mime, data = _field(source, "media_type", path), _field(source, "data", path)
            return Image(f"data:{mime};base64,{data}", extras=extras)
        case "url":
            return Image(_field(source, "url", path), extras=extras)
        case _:
            return _foreign(fields)


def _document(fields: RawFields, path: str) -> Content:
    kind, source = _source(fields, path)
    name = optional(fields, "title")
    extras = unknown(fields, ("type", "source", "title"))
    match kind:
        case "base64":
            data = _field(source, "data", path)
            return File(name, _field(source, "media_type", path), data, extras=extras)
        case "text":
            text = _field(source, "data", path)
            encoded = base64.b64encode(text.encode("utf-8", "replace")).decode()
            return File(name, "text/plain", encoded, extras=extras)
        case "url":
            return File(name, None, None, _field(source, "url", path), extras)
        case "content":
            return _foreign(fields, _text_of(source.get("content"), name))
        case _:
            return _foreign(fields)


def _search_result(fields: RawFields, _path: str) -> Content:
    title, source = optional(fields, "title"), optional(fields, "source")
    return _foreign(fields, _text_of(loads(fields.get("content", ABSENT)), title, source))


def _text_of(content: object, *heading: str | None) -> str | None:
    """The text that stands for a block elsewhere; None if the block holds more than text."""
    blocks = [{"text": content}] if isinstance(content, str) else content
    if not isinstance(blocks, list):
        return None
    texts = [block.get("text") if isinstance(block, dict) else None for block in blocks]
    lines = [*filter(None, heading), *(text for text in texts if isinstance(text, str))]
    return "\n".join(lines) if all(isinstance(text, str) for text in texts) else None


def _result(fields: RawFields, path: str) -> ToolResult:
    call_id = string(fields, "tool_use_id", path)
    raw = fields.get("content", ABSENT)
    content: tuple[Content, ...] = ()
    if is_string(raw):
        content = (Text(raw),)
    elif bytes(raw) != b"null":
        at = f"{path}.content"
        content = tuple(_content(block, f"{at}[{index}]") for index, block in enumerate(objects(raw, at)))
    return ToolResult(call_id, content, is_error=loads(fields.get("is_error", ABSENT)) is True)


def _tool_reference(fields: RawFields, _path: str) -> Content:
    """A tool that a search for tools has found. It is among those that are offered anyway."""
    return _foreign(fields, f"The tool '{optional(fields, 'tool_name') or ''}' is available.")


def _tool_change(fields: RawFields, _path: str) -> Content:
    """A tool that was added or removed; where no format carries that, the tools of the request say it."""
    return _foreign(fields, text="")


_READERS: dict[str, Callable[[RawFields, str], Content]] = {
    "text": _text,
    "image": _image,
    "document": _document,
    "search_result": _search_result,
    "tool_reference": _tool_reference,
    "tool_addition": _tool_change,
    "tool_removal": _tool_change,
}
