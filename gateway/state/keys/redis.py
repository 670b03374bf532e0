"""Client keys in Redis, for all instances: a hash of name → digest and record, and a hash of last uses."""

import re
from collections.abc import AsyncIterator, Awaitable, Mapping, Sequence
from typing import Any, cast

import structlog

from gateway.core.client_key import KeyRecord
from gateway.state.connect import Client
from gateway.state.keys.store import MAX_KEYS, TooManyKeys, decode_records, encode_record
from gateway.state.redis_client import RedisClient
from gateway.state.script import load_script

_ADD_KEY = load_script(__file__, "add_key")
_REMOVE_KEY = load_script(__file__, "remove_key")
_PAGE = 1000  # keys; each page is one call
_DIGITS = 64  # of the digest before each record
_TIME = re.compile(rb"[0-9]{1,12}(\.[0-9]{1,20})?")
_MAX_VERSION = 18  # digits, as in the scripts
_FULL = -1

log = structlog.get_logger(__name__)


def version_key(prefix: str) -> str:
    """The name of the hash with the store's version, in the field `version`."""
    return f"{{{prefix}}}:client-keys-version"


def read_version(value: bytes | int | None) -> int:
    """The version in that field. 0 for a damaged one: the next change of a key makes a new one."""
    if isinstance(value, int):
        return value
    return int(value) if value and value.isdigit() and len(value) <= _MAX_VERSION else 0


class RedisKeys:
    """See KeyStore. All keys of Redis begin with `{prefix}`, so that they are in one slot of a cluster."""

    def __init__(self, redis: RedisClient, *, prefix: str, max_keys: int = MAX_KEYS) -> None:
        self._redis = redis
        self._keys = f"{{{prefix}}}:client-keys"
        self._uses = f"{{{prefix}}}:client-key-uses"
        self._version = version_key(prefix)
        self._max_keys = max_keys

    async def version(self) -> int:
        """See KeyStore."""
        value = await self._redis.execute(
            lambda client: cast(Awaitable[bytes | None], client.hget(self._version, "version"))
        )
        version = read_version(value)
        if value and not version:
            log.warning("The version of the stored client keys is damaged; the next change of a key replaces it")
        return version

    async def add(self, record: KeyRecord) -> int | None:
        """See KeyStore."""
        value = record.digest.encode() + encode_record(record)
        version = int(
            await self._redis.run_script(
                _ADD_KEY, [self._keys, self._version], [record.name, value, self._max_keys], full_timeout=True
            )
        )
        if version == _FULL:
            raise TooManyKeys
        return version or None

    async def remove(self, name: str, digest: str | None = None) -> int | None:
        """See KeyStore."""
        keys = [self._keys, self._version, self._uses]
        return int(await self._redis.run_script(_REMOVE_KEY, keys, [name, digest or ""])) or None

    async def read(self, names: Sequence[str]) -> list[KeyRecord]:
        """See KeyStore."""
        return _decode([value for value in await self._values(self._keys, names) if value is not None])

    async def read_all(self) -> AsyncIterator[list[KeyRecord]]:
        """See KeyStore."""
        cursor = 0
        while True:
            cursor, values = await self._page(cursor)
            yield _decode(values)
            if not cursor:
                return

    async def mark_used(self, uses: Mapping[str, float]) -> None:
        """See KeyStore."""

        async def call(client: Client) -> None:
            await client.hset(self._uses, mapping={name: repr(at) for name, at in uses.items()})

        await self._redis.execute(call)

    async def last_used(self, names: Sequence[str]) -> dict[str, float]:
        """See KeyStore."""
        values = await self._values(self._uses, names)
        return {
            name: float(value)
            for name, value in zip(names, values, strict=True)
            if value is not None and _TIME.fullmatch(value) is not None  # a damaged one must not hide the others
        }

    async def _page(self, cursor: int) -> tuple[int, list[bytes]]:
        async def call(client: Client) -> Any:
            return await client.hscan(self._keys, cursor, count=_PAGE)

        following, page = await self._redis.execute(call, full_timeout=True)
        return int(following), list(page.values())

    async def _values(self, key: str, names: Sequence[str]) -> list[bytes | None]:
        if not names:
            return []

        async def call(client: Client) -> list[Any]:
            return await cast(Awaitable[list[Any]], client.hmget(key, list(names)))

        return await self._redis.execute(call)


def _decode(values: Sequence[bytes]) -> list[KeyRecord]:
    return decode_records([value[_DIGITS:] for value in values])
