"""Entries of a background run's log: neutral, so that every reader renders them anew.

The first entry is the head, then one entry for each batch of events, last the end. Nothing in it is in a client's
format.
"""

from typing import Any

from gateway.core.jsonio import dumps, loads

_END = b'{"end":'


def head_entry(*, sealed: bool) -> bytes:
    """The first entry; `sealed` is as in `Head`."""
    return dumps({"sealed": sealed})


def is_sealed(entry: bytes) -> bool:
    """What `head_entry` wrote."""
    fields: dict[str, Any] = loads(entry)
    return bool(fields.get("sealed"))


def end_entry(status: str) -> bytes:
    """The last entry; the response with this status is in the store of responses."""
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
