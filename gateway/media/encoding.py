"""Bytes of a text file → text. The sure signs are looked at here; guessing is left to a library, in another process."""

import codecs
import re

_NEVER_IN_TEXT = re.compile(r"[\x00-\x08\x0e-\x1a\x1c-\x1f\ufffe\uffff]")
# Of Python's codecs, those that files are written in. Others escape characters, and one takes time by the square.
_WRITTEN_IN = re.compile(
    r"ascii|utf-(8|16|32).*|cp\d+|(big5|euc|gb|iso|koi8|mac|shift)[-_\w]*|hz|johab|(hp|kz|pt|tis).*"
)
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark is its beginning
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def decode_surely(data: bytes, charset: str | None) -> str | None:
    """The text, if a byte order mark, the declared `charset` or UTF-8 itself tells how to read it; else None."""
    for mark, marked in _MARKS:
        if data.startswith(mark):
            return data.decode(marked, "replace")
    for name in (charset, "utf-8"):
        if name is not None and (text := _decoded(data, name)) is not None and "\0" not in text:
            return text
    return None


def decode_by_guess(data: bytes) -> str | None:
    """The text in the encoding that fits best; None when the bytes look like no text at all."""
    from charset_normalizer import from_bytes  # noqa: PLC0415  only the reading process needs it

    best = from_bytes(data).best()
    text = data.decode("cp1252", "replace") if best is None else str(best)
    return None if _NEVER_IN_TEXT.search(text) else text


def _decoded(data: bytes, name: str) -> str | None:
    try:
        codec = codecs.lookup(name)
    except LookupError:
        return None
    if not _WRITTEN_IN.fullmatch(codec.name):
        return None
    try:
        return data.decode(name)
    except UnicodeError:
        return None
