"""Counts the values of a JSON text while its parts arrive, before it is decoded.

The time and the memory of decoding depend on the number of values more than on the number of bytes: a megabyte of
brackets takes a hundred times as much of both as a megabyte of text.
"""

_COUNTED = b'",[{'
_OTHERS = bytes(byte for byte in range(256) if byte not in _COUNTED)


class ValueCounter:
    """`count` is the number of array elements and object members so far; an empty container counts as one more.
    `plain` is how many of them are at least elements of arrays that are no strings, arrays or objects, such as numbers:
    they cost a small part of the others.

    The text need not be valid: the decoder refuses what is not JSON, at the latest where the count goes wrong.
    """

    __slots__ = ("_commas", "_escape", "_in_string", "_strings", "count")

    def __init__(self) -> None:
        self.count = 0
        self._commas = 0
        self._strings = 0
        self._escape = b""  # a backslash whose escaped character has not arrived
        self._in_string = False

    def feed(self, part: bytes) -> None:
        """Count the next part of the text, in the time of a few copies."""
        text = self._escape + part
        backslashes = len(text) - len(text.rstrip(b"\\"))
        self._escape = b"\\" if backslashes % 2 else b""
        if self._escape:
            text = text[:-1]
        if b"\\" in text:
            text = text.replace(b"\\\\", b"").replace(b'\\"', b"")
        pieces = text.translate(None, _OTHERS).split(b'"')
        outside = b"".join(pieces[1::2] if self._in_string else pieces[::2])
        self.count += len(outside)
        self._commas += outside.count(b",")
        self._strings += (len(pieces) - self._in_string) // 2  # those that begin here
        self._in_string ^= len(pieces) % 2 == 0

    @property
    def plain(self) -> int:
        """See the class."""
        # Each string, array or object takes a comma's place, as a value or as the name of a member.
        return max(0, 2 * self._commas - self._strings - self.count)
