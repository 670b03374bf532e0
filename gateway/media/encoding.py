"""Bytes of a text file → text: by byte order mark, declared encoding or UTF-8, or by a library's guess."""

import codecs
import re

_NEVER_IN_TEXT = re.compile(r"[\x00-\x08\x0e-\x1a\x1c-\x1f\ufffe\uffff]")
# Python's codecs for files. Other codecs only escape characters, and one takes quadratic time.
_FILE_ENCODINGS = re.compile(
    r"ascii|utf-(8|16|32).*|cp\d+|(big5|euc|gb|iso|koi8|mac|shift)[-_\w]*|hz|johab|(hp|kz|pt|tis).*"
)
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, because it begins with UTF-16's mark
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def decode_known(data: bytes, charset: str | None) -> str | None:
    """The text, if a byte order mark, the declared `charset` or UTF-8 decodes it; else None."""
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return data.decode(encoding, "replace")
    for name in (charset, "utf-8"):
        if name is not None and (text := _decoded(data, name)) is not None and "\0" not in text:
            return text
    return None


def decode_by_guess(data: bytes) -> str | None:
    """The text in the most probable encoding. None if the bytes don't look like text."""
    from charset_normalizer import from_bytes  # noqa: PLC0415  only the reading process needs it

    best = from_bytes(data).best()
    text = data.decode("cp1252", "replace") if best is None else str(best)
    return None if _NEVER_IN_TEXT.search(text) else text


def _decoded(data: bytes, name: str) -> str | None:
    try:
        codec = codecs.lookup(name)
    except LookupError:
        return None
    if not _FILE_ENCODINGS.fullmatch(codec.name):
        return None
    try:
        return data.decode(name)
    except UnicodeError:
        return None
