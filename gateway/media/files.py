"""Documents in a request: fetched or decoded within limits. The model gets their text, marked as untrusted content.

The text goes into a separate system message (recorded). The pages of a PDF without text become images in the message
that contains the file. A document that can't be read is refused with a reason.
"""

import base64
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from msgspec.structs import replace

from gateway.core.errors import BadRequest
from gateway.core.message import FROM_TOOLS, Content, File, Image, Message, Part, Text, ToolResult
from gateway.core.turn import Turn
from gateway.media.document import Document, PdfLimits, ReadTask, Unreadable
from gateway.media.encoding import decode_known
from gateway.media.fetch import NOBODY, Fetched, Requester
from gateway.media.reader import DocumentReader
from gateway.media.untrusted import file_block

_ONLY_FILES = "User sent file(s) with no text."
_NOT_IN_NAMES = re.compile(r'[<>"\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]')
_CHARSET = re.compile(r"charset\s*=\s*[\"']?([A-Za-z0-9._:-]{1,40})", re.IGNORECASE)
_GENERIC_MIMES = frozenset({"", "application/octet-stream", "binary/octet-stream"})
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
    """The accepted kinds, the maximum of bytes per file, and the maximum of characters per file for the model.

    `fetch` takes an http(s) URL, the maximum of bytes and for whom. It is None if URLs are not allowed.
    """

    mimes: frozenset[str]
    max_bytes: int
    max_chars: int
    reader: DocumentReader
    pdf: PdfLimits
    fetch: Callable[[str, int, Requester], Awaitable[Fetched]] | None = None


async def with_file_texts(
    turn: Turn, policy: FilePolicy, *, requester: Requester = NOBODY, native_pdfs: bool = False
) -> Turn:
    """The turn with each file's text in a system message after the client's own. With `native_pdfs`, PDFs stay where
    they are, with their data. A file in the result of a tool becomes text of the result: few models read files there.

    Raises BadRequest, or Overloaded if too many documents of `requester`, or of all, wait.
    """
    if not any(_has_file(part) for message in turn.messages for part in message.parts):
        return turn
    messages: list[Message] = []
    blocks: list[str] = []
    newest = max((i for i, message in enumerate(turn.messages) if message.role == "user"), default=-1)
    budget = _Budget(requester, native_pdfs=native_pdfs)
    for index, message in enumerate(turn.messages):
        parts: list[Part] = []
        for part in message.parts:
            if isinstance(part, File):
                read = (
                    _read_of_tool
                    if message.extras.wire == FROM_TOOLS.wire
                    else _read
                    if index >= newest
                    else _read_from_history
                )
                block, shown = await read(part, policy, budget)
                blocks += [block] if block else []
                parts += shown
            elif isinstance(part, ToolResult) and _has_file(part):
                parts.append(await _read_result(part, policy, budget))
            else:
                parts.append(part)
        if any(isinstance(part, File) for part in message.parts):
            messages.append(replace(message, parts=_with_text(tuple(parts))))
        else:
            messages.append(replace(message, parts=tuple(parts)) if message.role == "tool" else message)
    first = next((i for i, message in enumerate(messages) if message.role not in ("system", "developer")), 0)
    if blocks:
        messages.insert(first, Message("system", (Text("\n\n".join(blocks)),)))
    return replace(turn, messages=tuple(messages))


def _has_file(part: Part) -> bool:
    return isinstance(part, File) or (
        isinstance(part, ToolResult) and any(isinstance(item, File) for item in part.content)
    )


async def _read_result(result: ToolResult, policy: FilePolicy, budget: "_Budget") -> ToolResult:
    """The result with the text of each file, and its rendered pages, in place of the file."""
    content: list[Content] = []
    native_pdfs, budget.native_pdfs = budget.native_pdfs, False
    for item in result.content:
        if isinstance(item, File):
            block, pages = await _read_of_tool(item, policy, budget)
            content += [Text(block), *pages]
        else:
            content.append(item)
    budget.native_pdfs = native_pdfs
    return replace(result, content=tuple(content))


@dataclass(slots=True)
class _Budget:
    """How many more documents of a request may start a process, which costs a hundred times as much as the request.
    `native_pdfs`: the model reads PDFs itself.
    """

    requester: Requester
    processes: int = 32
    native_pdfs: bool = False


def _with_text(parts: tuple[Part, ...]) -> tuple[Part, ...]:
    is_blank = all(isinstance(part, Text) and part.blank for part in parts)
    return (Text(_ONLY_FILES),) if is_blank else parts


async def _read_from_history(file: File, policy: FilePolicy, budget: _Budget) -> tuple[str, list[Image | File]]:
    """A file in the history. An earlier request has read it, so this request does not fail if it can't be read now."""
    try:
        return await _read(file, policy, budget)
    except BadRequest:
        return file_block(_name(file), "", "[This file of an earlier message can't be read any more]\n"), []


async def _read_of_tool(file: File, policy: FilePolicy, budget: _Budget) -> tuple[str, list[Image | File]]:
    """A file that a client's tool returned. The client would send it again in every request, so none fails for it."""
    try:
        return await _read(file, policy, budget)
    except BadRequest as error:
        return file_block(_name(file), "", f"[This file was left out: {error.message.partition(': ')[2]}]\n"), []


async def _read(file: File, policy: FilePolicy, budget: _Budget) -> tuple[str, list[Image | File]]:
    """The file's block of text, and its rendered pages if it has little text; no text, but the file itself, if the
    model reads it.
    """
    name = _name(file)
    declared, data = await _content(file, name, policy, budget.requester)
    mime = _kind(declared, name, data)
    if mime not in policy.mimes:
        kinds = ", ".join(sorted(policy.mimes))
        raise _refusal(name, f"{f'the kind {mime}' if mime else 'an unknown kind'} is not accepted; these are: {kinds}")
    if budget.native_pdfs and mime == "application/pdf":
        return "", [replace(file, name=name, mime=mime, data=base64.b64encode(data).decode(), url=None)]
    charset = _CHARSET.search(declared)
    try:
        task = ReadTask(mime, charset and charset[1], policy.max_chars, policy.pdf)
        document = await _document(task, data, policy, budget)
    except Unreadable as error:
        raise _refusal(name, str(error)) from None
    text, note = document.text, ""
    if document.omitted:
        text += f"\n[Cut here: {document.omitted} more characters]"
    if document.pages:
        note = f"[Its pages follow as images: {len(document.pages)} rendered, as they hold little text]\n"
    pages: list[Image | File] = [Image(f"data:image/png;base64,{page}") for page in document.pages]
    return file_block(name, text, note), pages


async def _document(task: ReadTask, data: bytes, policy: FilePolicy, budget: _Budget) -> Document:
    """Decodes plain text in a known encoding here. All other documents are read in a separate process."""
    if task.mime not in ("application/pdf", "text/html"):
        text = decode_known(data, task.charset)
        if text is not None:
            head = text[: task.max_chars]
            return Document(head, len(text) - len(head))
    if budget.processes == 0:
        raise Unreadable("the request has too many files that need a parser; send fewer at a time")
    budget.processes -= 1
    return await policy.reader.read(task, data, caller=budget.requester.caller)


async def _content(file: File, name: str, policy: FilePolicy, requester: Requester) -> tuple[str, bytes]:
    """The declared kind, verbatim, and the bytes."""
    if file.data is not None:
        return file.mime or "", _decoded(file.data, name, policy.max_bytes)
    url = file.url or ""
    if not url[:8].lower().startswith(("http://", "https://")):
        raise _refusal(name, "its URL must begin with http:// or https://")
    if policy.fetch is None:
        raise _refusal(name, "files by URL are not allowed here; send the file itself in `file_data`")
    try:
        fetched = await policy.fetch(url, policy.max_bytes, requester)
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
    """The kind of a PDF by its first bytes, else the declared kind, else the kind by the file name."""
    if data.startswith(b"%PDF-"):
        return "application/pdf"
    mime = declared.partition(";")[0].strip().lower()
    return _BY_SUFFIX.get(name.rpartition(".")[2].lower(), mime) if mime in _GENERIC_MIMES else mime


def _name(file: File) -> str:
    """The client's file name, else the last part of the URL's path, without characters that could end a tag."""
    name = file.name
    if not name:
        try:
            name = unquote(urlsplit(file.url or "").path.rpartition("/")[2])
        except ValueError:
            name = ""
    return _NOT_IN_NAMES.sub("", name[:200]).strip() or "file"


def _refusal(name: str, why: str, code: str | None = None) -> BadRequest:
    return BadRequest(f"Invalid input_file '{name[:80]}': {why}.", param="input", code=code)
