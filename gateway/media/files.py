"""Documents in a request: decoded within limits, their text given to the model as untrusted content.

The text goes into a system message of its own, between markers that it can't forge (recorded form). What is no text,
or is not in the request itself, is refused with a reason.
"""

import base64
import hashlib
import re
from dataclasses import dataclass, replace

from gateway.core.errors import BadRequest
from gateway.core.message import File, Message, Part, Text
from gateway.core.turn import Turn

_ONLY_FILES = "User sent file(s) with no text."
_NO_TEXT = "[No extractable text]"
_NOT_IN_NAMES = re.compile(r'[<>"\x00-\x1f\x7f]')
_FORGED = re.compile(r"<<<\s{0,8}(END_)?EXTERNAL_UNTRUSTED_CONTENT(?:[^>\n]{0,200}>>>)?", re.IGNORECASE)
_FILE_TAG = re.compile(r"</?\s{0,8}file\b(?:[^>\n]{0,200}>)?", re.IGNORECASE)
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
    """What is let in: declared kinds, bytes of one file, and characters of it that the model gets to see."""

    mimes: frozenset[str]
    max_bytes: int
    max_chars: int


def with_file_texts(turn: Turn, policy: FilePolicy) -> Turn:
    """The turn with each file's text in a system message after the caller's own. Raises BadRequest."""
    messages: list[Message] = []
    blocks: list[str] = []
    for message in turn.messages:
        files = [part for part in message.parts if isinstance(part, File)]
        blocks += (_block(file, policy) for file in files)
        messages.append(replace(message, parts=_without_files(message.parts)) if files else message)
    if not blocks:
        return turn
    first = next((i for i, message in enumerate(messages) if message.role not in ("system", "developer")), 0)
    messages.insert(first, Message("system", (Text("\n\n".join(blocks)),)))
    return replace(turn, messages=tuple(messages))


def _without_files(parts: tuple[Part, ...]) -> tuple[Part, ...]:
    rest = tuple(part for part in parts if not isinstance(part, File))
    says_nothing = all(isinstance(part, Text) and part.blank for part in rest)
    return (Text(_ONLY_FILES),) if says_nothing else rest


def _block(file: File, policy: FilePolicy) -> str:
    name = _NOT_IN_NAMES.sub("", file.name or "").strip() or "file"
    text = _text(file, name, policy)
    shown = text[: policy.max_chars]
    if len(shown) < len(text):
        shown += f"\n[Cut here: {len(text) - len(shown)} more characters]"
    safe = _FORGED.sub(lambda found: f"[[{(found[1] or '').upper()}MARKER_SANITIZED]]", shown)
    safe = _FILE_TAG.sub(lambda found: found[0].replace("<", "&lt;").replace(">", "&gt;"), safe)
    # Told by the content, so that the same request reads the same; no text can hold its own digest.
    mark = hashlib.sha256(safe.encode("utf-8", "surrogatepass")).hexdigest()[:16]
    return (
        f'<file name="{name}">\n\n<<<EXTERNAL_UNTRUSTED_CONTENT id="{mark}">>>\nSource: External\n---\n'
        f'{safe if safe.strip() else _NO_TEXT}\n<<<END_EXTERNAL_UNTRUSTED_CONTENT id="{mark}">>>\n</file>'
    )


def _text(file: File, name: str, policy: FilePolicy) -> str:
    if file.data is None:
        raise _refusal(name, "files by URL are not read yet; send the file itself in `file_data`")
    mime = (file.mime or _BY_SUFFIX.get(name.rpartition(".")[2].lower(), "")).partition(";")[0].strip().lower()
    if mime not in policy.mimes:
        kinds = ", ".join(sorted(policy.mimes))
        raise _refusal(name, f"{f'the kind {mime}' if mime else 'an unknown kind'} is not accepted; these are: {kinds}")
    if mime == "application/pdf":
        raise _refusal(name, "PDF files are not read yet; send their text")
    if len(file.data) * 3 // 4 > policy.max_bytes + 2:
        raise _refusal(name, f"it is over {policy.max_bytes} bytes")
    try:
        data = base64.b64decode(file.data, validate=True)
    except ValueError:  # binascii.Error, or characters beyond ASCII
        raise _refusal(name, "its base64 is broken") from None
    if not data:
        raise _refusal(name, "it is empty")
    if len(data) > policy.max_bytes:
        raise _refusal(name, f"it is over {policy.max_bytes} bytes")
    if b"\0" in data:
        raise _refusal(name, f"its content is not {mime} in UTF-8")
    return data.decode("utf-8-sig", "replace")


def _refusal(name: str, why: str) -> BadRequest:
    return BadRequest(f"Invalid input_file '{name[:80]}': {why}.", param="input")
