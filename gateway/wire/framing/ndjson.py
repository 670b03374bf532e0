"""Newline-delimited JSON: an incremental decoder for any split of the bytes.

The format is https://github.com/ndjson/ndjson-spec: one JSON document per line. Blank lines are skipped.
"""

from gateway.wire.framing.error import FramingError

_MAX_LINE = 8 * 1024 * 1024


class NdjsonDecoder:
    """Turns bytes into whole lines, without their line ends."""

    __slots__ = ("_pending",)

    def __init__(self) -> None:
        self._pending: list[bytes] = []

    def feed(self, data: bytes) -> list[bytes]:
        """The lines that `data` completes. Raises FramingError."""
        if b"\n" not in data:
            if data:
                self._pending.append(data)
                if sum(map(len, self._pending)) > _MAX_LINE:
                    raise FramingError(f"a line of more than {_MAX_LINE} bytes")
            return []
        *lines, tail = b"".join((*self._pending, data)).split(b"\n")
        self._pending = [tail] if tail else []
        return [line for line in lines if line and not line.isspace()]

    def flush(self) -> list[bytes]:
        """The last line, if it has no line end."""
        return self.feed(b"\n") if self._pending else []
