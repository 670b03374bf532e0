"""Makes text from outside safe to print: a terminal obeys control characters, and a line break forges a log line."""

import re

# C0 and C1 controls, delete, the Unicode line ends, and the marks that change the order of a line's text.
_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
_CONTROLS_IN_LINES = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


def printable(text: str, *, lines: bool = False) -> str:
    """The text with each control character escaped as in Python. With `lines`, line breaks and tabs stay."""
    return (_CONTROLS_IN_LINES if lines else _CONTROLS).sub(_escape, text)


def _escape(match: re.Match[str]) -> str:
    return match[0].encode("unicode_escape").decode()
