"""Text as a `str`, or as the JSON string that stands for it.

Most text passes through from one document into another, and nobody here looks at it. It stays the bytes that it came
in, `msgspec.Raw`: it is neither decoded nor encoded nor held twice, and `jsonio.dumps` writes either form. Whoever does
look calls `text_of`. A Raw keeps its whole document in memory, so what outlives a request is stored as `str`.
"""

from msgspec import Raw

from gateway.core.jsonio import loads

RawText = str | Raw
"""A text; a Raw must be one well-formed JSON string, as `is_string` tells of a value that a decoder cut out."""

_SOLID = frozenset(range(ord("!"), 0x7F)) - frozenset(b'"\\')
"""Bytes that stand for themselves in a JSON string and are no white space."""


def is_string(value: Raw) -> bool:
    """Whether a JSON value is a string."""
    return memoryview(value)[0] == ord('"')


def text_of(written: RawText) -> str:
    """The text itself."""
    if isinstance(written, str):
        return written
    text = loads(written)
    if not isinstance(text, str):
        raise TypeError("this JSON value is no string")
    return text


def is_empty(written: RawText) -> bool:
    """Whether it has no character."""
    return memoryview(written).nbytes == len('""') if isinstance(written, Raw) else not written


def is_blank(written: RawText) -> bool:
    """Whether it is empty or white space; one look at its beginning nearly always tells."""
    if isinstance(written, Raw) and memoryview(written)[1] in _SOLID:
        return False
    text = text_of(written)
    return not text or text.isspace()


def beginning(written: RawText) -> str:
    """Its first character, "" for none."""
    if isinstance(written, Raw) and (first := memoryview(written)[1]) in _SOLID:
        return chr(first)
    return text_of(written)[:1]
