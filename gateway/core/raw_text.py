"""Text as a `str`, or as the JSON string that encodes it.

The gateway copies most text from one JSON document to another without reading it. Such text stays a `msgspec.Raw`, the
bytes that arrived: never decoded or encoded, and held once; `jsonio.dumps` writes both forms. Code that reads the text
calls `text_of`. A Raw keeps its whole document in memory, so text that outlives a request is stored as `str`.
"""

from msgspec import Raw

from gateway.core.jsonio import loads

RawText = str | Raw
"""A text; a Raw must be one well-formed JSON string, which `is_string` checks for a decoder's raw value."""

_SOLID = frozenset(range(ord("!"), 0x7F)) - frozenset(b'"\\')
"""Bytes that represent themselves in a JSON string and are not white space."""


def is_string(value: Raw) -> bool:
    """Whether a JSON value is a string."""
    return memoryview(value)[0] == ord('"')


def text_of(raw: RawText) -> str:
    """The decoded text."""
    if isinstance(raw, str):
        return raw
    text = loads(raw)
    if not isinstance(text, str):
        raise TypeError("this JSON value is not a string")
    return text


def is_empty(raw: RawText) -> bool:
    """Whether it has no character."""
    return memoryview(raw).nbytes == len('""') if isinstance(raw, Raw) else not raw


def is_blank(raw: RawText) -> bool:
    """Whether it is empty or white space; its first character nearly always decides."""
    if isinstance(raw, str):
        return not raw or raw.isspace()
    if memoryview(raw)[1] in _SOLID:
        return False
    text = text_of(raw)
    return not text or text.isspace()


def first_character(raw: RawText) -> str:
    """Its first character, "" if it is empty."""
    if isinstance(raw, Raw) and (first := memoryview(raw)[1]) in _SOLID:
        return chr(first)
    return text_of(raw)[:1]
