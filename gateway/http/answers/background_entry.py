"""Entries of a background run's log, independent of any client's format; every reader renders them itself.

The first entry is the head, then one entry for each batch of events, last the end.
"""

from typing import Any

from gateway.core.jsonio import dumps, loads

_END = b'{"end":'


def head_entry(*, sealed: bool) -> bytes:
    """The first entry; `sealed` says whether the response has `encrypted_content`."""
    return dumps({"sealed": sealed})


def is_sealed(entry: bytes) -> bool:
    """The value of `sealed` in the first entry."""
    fields: dict[str, Any] = loads(entry)
    return bool(fields.get("sealed"))


def end_entry(status: str) -> bytes:
    """The last entry; the response store holds the response with this status."""
    return dumps({"end": status})


def is_batch(entry: bytes) -> bool:
    """Whether it holds events."""
    return entry[:1] == b"["


def is_end(entry: bytes) -> bool:
    """Whether it is the last entry."""
    return entry.startswith(_END)


def end_status(entry: bytes) -> str:
    """The status in the last entry."""
    status: str = loads(entry)["end"]
    return status
