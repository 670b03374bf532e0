"""What stores of client keys have in common.

A store has a version, which changes with every key that is added or removed, so that instances notice what they have
missed.
"""

import re
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Protocol

import msgspec
import structlog

from gateway.core.client_key import KeyRecord, is_key_name

log = structlog.get_logger(__name__)

MAX_KEYS = 50_000
_DIGEST = re.compile("[0-9a-f]{64}")
_END_OF_TIME = 253_402_300_800.0  # of year 9999, after which `format_time` can write none


class TooManyKeys(Exception):
    """The store holds MAX_KEYS keys."""


class KeyStore(Protocol):
    """Every method raises Unavailable when the storage is not reachable."""

    async def version(self) -> int:
        """The store's version; 0 before its first key."""
        ...

    async def add(self, record: KeyRecord) -> int | None:
        """Store a new key. Returns the new version, None if a key has this name. Raises TooManyKeys."""
        ...

    async def remove(self, name: str, digest: str | None = None) -> int | None:
        """Remove a key with its last use. Returns the new version, None if there is no such key.

        With `digest`, remove it only if it has this one. Returns None also if the answer of an earlier attempt of the
        same removal got lost.
        """
        ...

    async def read(self, names: Sequence[str]) -> list[KeyRecord]:
        """The stored keys among `names`."""
        ...

    def read_all(self) -> AsyncIterator[list[KeyRecord]]:
        """All keys, in pages. One that is added or removed meanwhile may be missing or present; one may come twice."""
        ...

    async def mark_used(self, uses: Mapping[str, float]) -> None:
        """Store when keys were last used: name → Unix time in seconds."""
        ...

    async def last_used(self, names: Sequence[str]) -> dict[str, float]:
        """When these keys were last used, without those that never were."""
        ...


def encode_record(record: KeyRecord) -> bytes:
    """The record as JSON. `decode_records` reads it."""
    return msgspec.json.encode(record)


def decode_records(values: Sequence[bytes]) -> list[KeyRecord]:
    """The records. A record of another version is left out, so that its key opens nothing, and logged."""
    records = []
    for value in values:
        try:
            record = _DECODER.decode(value)
        except msgspec.MsgspecError:
            record = None
        if record is None or not _is_usable(record):
            log.warning("A stored client key can't be read, so it is refused; a newer version may have written it")
            continue
        records.append(record)
    return records


_DECODER = msgspec.json.Decoder(KeyRecord)


def _is_usable(record: KeyRecord) -> bool:
    """Whether a record is one that a gateway has written: a damaged one must not stop the others from being read."""
    times = (record.created, 0.0 if record.expires is None else record.expires)
    return (
        is_key_name(record.name)
        and _DIGEST.fullmatch(record.digest) is not None
        and all(0 <= time < _END_OF_TIME for time in times)
    )
