"""Documents in a request: fetched or decoded within limits, their text given to the model as untrusted content.

The text goes into a system message of its own (recorded). Pages of a PDF without text become pictures beside the
message that the file was in. What can't be read is refused with a reason.
"""

import base64
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from msgspec.structs import replace

from gateway.core.errors import BadRequest
from gateway.core.message import File, Image, Message, Part, Text
from gateway.core.turn import Turn
from gateway.media.document import Document, PdfLimits, ReadTask, Unreadable
from gateway.media.encoding import decode_surely
from gateway.media.fetch import Fetched
from gateway.media.reader import DocumentReader
from gateway.media.untrusted import file_block

_ONLY_FILES = "User sent file(s) with no text."
_NOT_IN_NAMES = re.compile(r'[<>"\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]')
_CHARSET = re.compile(r"charset\s*=\s*[\"']?([A-Za-z0-9._:-]{1,40})", re.IGNORECASE)
_VAGUE = frozenset({"", "application/octet-stream", "binary/octet-stream"})
_BY_SUFFIX = {
    "txt": "text/plain",
    "md": "text/markdown",
    "markdown": "text/markdown",
    "csv": "text/csv",
    "json": "application/json",
    "html": "text/html",
    "htm": "text/html",
    "pdf": "application/pdf",
}


@dataclass(frozen=True, slots=True)
class FilePolicy:
    """What is let in: declared kinds, bytes of one file, and characters of it that the model gets to see.

    `fetch` gets an http(s) URL and the most bytes; None when URLs are not allowed.
    """

    mimes: frozenset[str]
    max_bytes: int
    max_chars: int
    reader: DocumentReader
    pdf: PdfLimits
    fetch: Callable[[str, int], Awaitable[Fetched]] | None = None


async def with_file_texts(turn: Turn, policy: FilePolicy) -> Turn:
    """The turn with each file's text in a system message after the caller's own. Raises BadRequest."""
    if not any(isinstance(part, File) for message in turn.messages for part in message.parts):
        return turn
    messages: list[Message] = []
    blocks: list[str] = []
    newest = max((i for i, message in enumerate(turn.messages) if message.role == "user"), default=-1)
    room = _Room()
    for index, message in enumerate(turn.messages):
        parts: list[Part] = []
        for part in message.parts:
            if isinstance(part, File):
                block, pages = await (_read if index >= newest else _read_again)(part, policy, room)
                blocks.append(block)
                parts += pages
            else:
                parts.append(part)
        has_files = any(isinstance(part, File) for part in message.parts)
        messages.append(replace(message, parts=_saying_something(tuple(parts))) if has_files else message)
    first = next((i for i, message in enumerate(messages) if message.role not in ("system", "developer")), 0)
    messages.insert(first, Message("system", (Text("\n\n".join(blocks)),)))
    return replace(turn, messages=tuple(messages))


@dataclass(slots=True)
class _Room:
    """How many documents of a request may still take a process, which costs a hundred times what the request costs."""

    parsed: int = 32


def _saying_something(parts: tuple[Part, ...]) -> tuple[Part, ...]:
    says_nothing = all(isinstance(part, Text) and part.blank for part in parts)
    return (Text(_ONLY_FILES),) if says_nothing else parts


async def _read_again(file: File, policy: FilePolicy, room: _Room) -> tuple[str, list[Image]]:
    """A file of the history: judged when it was new, so that it can't be read now is no fault of this request."""
    try:
        return await _read(file, policy, room)
    except BadRequest:
        return file_block(_name(file), "", "[This file of an earlier message can't be read any more]\n"), []


async def _read(file: File, policy: FilePolicy, room: _Room) -> tuple[str, list[Image]]:
    """The file's block, and its pages when they are pictures."""
    name = _name(file)
    declared, data = await _content(file, name, policy)
    mime = _kind(declared, name, data)
    if mime not in policy.mimes:
        kinds = ", ".join(sorted(policy.mimes))
        raise _refusal(name, f"{f'the kind {mime}' if mime else 'an unknown kind'} is not accepted; these are: {kinds}")
    charset = _CHARSET.search(declared)
    try:
        task = ReadTask(mime, charset and charset[1], policy.max_chars, policy.pdf)
        document = await _document(task, data, policy, room)
    except Unreadable as error:
        raise _refusal(name, str(error)) from None
    text, note = document.text, ""
    if document.omitted:
        text += f"\n[RawFields here: {document.omitted} more characters]"
    if document.pages:
        note = f"[Its pages follow as images: {len(document.pages)} rendered, as they hold little text]\n"
    pages = [Image(f"data:image/png;base64,{page}") for page in document.pages]
    return file_block(name, text, note), pages


async def _document(task: ReadTask, data: bytes, policy: FilePolicy, room: _Room) -> Document:
    """Plain text in a known encoding is read at once; whatever takes a parser or a guess, in a process of its own."""
    if task.mime not in ("application/pdf", "text/html"):
        text = decode_surely(data, task.charset)
        if text is not None:
            shown = text[: task.max_chars]
            return Document(shown, len(text) - len(shown))
    if room.parsed == 0:
        raise Unreadable("the request has too many files that take a parser; send fewer at a time")
    room.parsed -= 1
    return await policy.reader.read(task, data)


async def _content(file: File, name: str, policy: FilePolicy) -> tuple[str, bytes]:
    """The declared kind, as it was written, and the bytes."""
    if file.data is not None:
        return file.mime or "", _decoded(file.data, name, policy.max_bytes)
    url = file.url or ""
    if not url[:8].lower().startswith(("http://", "https://")):
        raise _refusal(name, "its URL must begin with http:// or https://")
    if policy.fetch is None:
        raise _refusal(name, "files by URL are not allowed here; send the file itself in `file_data`")
    try:
        fetched = await policy.fetch(url, policy.max_bytes)
    except BadRequest as error:
        raise _refusal(name, "its URL could not be fetched", code=error.code) from None
    if not fetched.body:
        raise _refusal(name, "it is empty")
    return file.mime or fetched.content_type, fetched.body


def _decoded(encoded: str, name: str, max_bytes: int) -> bytes:
    if len(encoded) * 3 // 4 > max_bytes + 2:
        raise _refusal(name, f"it is over {max_bytes} bytes")
    try:
        data = base64.b64decode(encoded, validate=True)
    except ValueError:  # binascii.Error, or characters beyond ASCII
        raise _refusal(name, "its base64 is broken") from None
    if not data:
        raise _refusal(name, "it is empty")
    if len(data) > max_bytes:
        raise _refusal(name, f"it is over {max_bytes} bytes")
    return data


def _kind(declared: str, name: str, data: bytes) -> str:
    """The kind: as declared, else by the name; a PDF is known by its first bytes."""
    if data.startswith(b"%PDF-"):
        return "application/pdf"
    mime = declared.partition(";")[0].strip().lower()
    return _BY_SUFFIX.get(name.rpartition(".")[2].lower(), mime) if mime in _VAGUE else mime


def _name(file: File) -> str:
    """What the caller called it, else the last part of its URL's path; nothing in it can end a tag."""
    name = file.name
    if not name:
        try:
            name = unquote(urlsplit(file.url or "").path.rpartition("/")[2])
        except ValueError:
            name = ""
    return _NOT_IN_NAMES.sub("", name[:200]).strip() or "file"


def _refusal(name: str, why: str, code: str | None = None) -> BadRequest:
    return BadRequest(f"Invalid input_file '{name[:80]}': {why}.", param="input", code=code)
