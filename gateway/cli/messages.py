"""What the parent of workers and a worker send each other: bytes on the worker's standard input, lines on its output.

A message to a worker is one byte, or one byte, a length and a pickled value. Nobody but the parent can write to it.
"""

import json
import os
import pickle
import struct
from collections.abc import Iterator
from typing import Any

TERMINATE = b"T"
"""For each SIGTERM of the parent."""
INTERRUPT = b"I"
"""Likewise for each SIGINT."""
PREPARE = b"P"
"""With a `Loaded`: prepare this configuration, and answer DONE or a refusal. The first one, with the status beside it,
is that of the start.
"""
COMMIT = b"C"
"""Put the prepared configuration in force, and answer DONE."""
DISCARD = b"D"
"""Close it: another worker has refused it."""
STATUS = b"S"
"""With the `ReloadStatus` of the parent."""
RESULT = b"R"
"""With the `Reload` that a worker has asked for."""

SERVING = b"serving\n"
"""A worker accepts connections."""
DONE = b"done\n"
RELOAD = b"reload\n"
"""A client of a worker asks for a reload."""
_REFUSED = b"refused "

_WITH_VALUE = PREPARE + STATUS + RESULT
_LENGTH = struct.Struct("!I")


def message(kind: bytes, value: object) -> bytes:
    """A message with a value."""
    data = pickle.dumps(value)
    return kind + _LENGTH.pack(len(data)) + data


class Messages:
    """Splits what a worker receives into messages."""

    def __init__(self) -> None:
        self._data = bytearray()

    def feed(self, data: bytes) -> Iterator[tuple[bytes, Any]]:
        """Each complete message: its kind, and its value or None."""
        self._data += data
        while self._data:
            kind = bytes(self._data[:1])
            end = 1
            value: Any = None
            if kind in _WITH_VALUE:
                start = 1 + _LENGTH.size
                if len(self._data) < start:
                    return
                end = start + _LENGTH.unpack(self._data[1:start])[0]
                if len(self._data) < end:
                    return
                value = pickle.loads(self._data[start:end])  # noqa: S301  only the parent can have written it
            del self._data[:end]
            yield kind, value


def read_first(pipe: int) -> Any:
    """The value of the first message; what follows stays in the pipe. Raises EOFError when the parent is gone."""
    if _read_exactly(pipe, 1) != PREPARE:
        raise EOFError("the parent stops this worker")
    (length,) = _LENGTH.unpack(_read_exactly(pipe, _LENGTH.size))
    return pickle.loads(_read_exactly(pipe, length))  # noqa: S301  only the parent can have written it


def _read_exactly(pipe: int, size: int) -> bytes:
    data = b""
    while len(data) < size:
        piece = os.read(pipe, size - len(data))
        if not piece:
            raise EOFError("the parent of this worker has ended")
        data += piece
    return data


def refused(problems: tuple[str, ...]) -> bytes:
    """The line of a worker that can't prepare a configuration."""
    return _REFUSED + json.dumps(problems).encode() + b"\n"


def refusal(line: bytes) -> tuple[str, ...] | None:
    """The problems of such a line, None for another one."""
    return tuple(json.loads(line.removeprefix(_REFUSED))) if line.startswith(_REFUSED) else None


def write_all(file: int, line: bytes) -> None:
    """Write to a blocking pipe."""
    while line:
        line = line[os.write(file, line) :]
