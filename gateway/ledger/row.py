"""A row of the ledger: one request to a provider. Rows are stored in segments, as compressed JSON."""

import zlib
from collections.abc import Sequence
from typing import Literal

import msgspec
from msgspec import Struct

Outcome = Literal["answered", "failed", "cancelled"]
UsageSource = Literal["provider", "estimated", "none"]


class Row(Struct, frozen=True, array_like=True, gc=False):
    """One attempt. New fields go to the end, with a default: older segments don't have them.

    `time` is its start (Unix time in seconds), `attempt` its number in its run from 1. `session` is a digest of the
    conversation's key, "" without one. `key` names the position of the provider's key in the configuration. Tokens are
    as in `Usage`. `cost` is in nanodollars, None if unknown; `price_source` and `price_date` say where the price is
    from. `error` is the kind of the failure, "" without one; `status` the provider's HTTP status if known. `seconds` is
    the duration, `first_event` the time to the first event of a stream. `absorbed`: the client saw nothing of it.
    """

    time: float
    request: str
    attempt: int
    agent: str
    caller: str
    session: str
    endpoint: str
    provider: str
    model: str
    wire: str
    key: str
    prompt: int
    cached: int
    cache_write: int
    completion: int
    reasoning: int | None
    cost: int | None
    price_source: str
    price_date: str
    outcome: Outcome
    error: str
    status: int | None
    seconds: float
    first_event: float | None
    streamed: bool
    absorbed: bool
    usage_source: UsageSource


class Rows(Struct, frozen=True, array_like=True):
    """What a segment holds. `lost` counts the rows before these that this instance could not store."""

    rows: Sequence[Row]
    lost: int = 0


_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder(Rows)


class EncodedRows:
    """Rows as JSON, one behind the other. `count` is their number."""

    __slots__ = ("_data", "count")

    def __init__(self) -> None:
        self._data = bytearray()
        self.count = 0

    def add(self, row: Row) -> None:
        """Encode a row. Nothing of it is referenced after that."""
        data = self._data
        if data:
            data += b","
        _ENCODER.encode_into(row, data, -1)
        self.count += 1

    def segment(self, lost: int) -> bytes:
        """The data of a segment with these rows, before `compress`; `lost` as in Rows."""
        return b"[[%b],%d]" % (bytes(self._data), lost)


def encode_rows(rows: Rows) -> bytes:
    """The data of a segment, before `compress`."""
    return _ENCODER.encode(rows)


def compress(data: bytes) -> bytes:
    """The data as they are stored, an eighth of their size: rows resemble each other. It takes milliseconds, during
    which other threads can run.
    """
    return zlib.compress(data, 1)


def decode_rows(data: bytes) -> Rows:
    """The rows of stored data. Raises ValueError if they can't be read."""
    try:
        return _DECODER.decode(zlib.decompress(data))
    except zlib.error as error:
        raise ValueError(str(error)) from None
