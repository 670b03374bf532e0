"""The gateway's secret for seals (`gateway.core.seal`), which it generates at its first use.

It is stored beside the data that it belongs to, so that all instances that share a Redis share it.
"""

import secrets
import sqlite3
from collections.abc import Awaitable, Callable

import structlog

from gateway.core.errors import Unavailable
from gateway.core.seal import Seal, seal_for
from gateway.state.connect import Client
from gateway.state.redis_client import RedisClient
from gateway.state.sqlite import Database

log = structlog.get_logger(__name__)

_BYTES = 32
_NAME = "seal"


class Seals:
    """The seals of all users. `load` reads the secret, or stores a new one; it raises Unavailable."""

    def __init__(self, load: Callable[[], Awaitable[bytes]]) -> None:
        self._load = load
        self._secret: bytes | None = None

    async def of(self, user: str | None) -> Seal | None:
        """The seal of a user. None while the secret is not available: then nothing is sealed, and no seal is valid."""
        if self._secret is None:
            try:
                self._secret = await self._load()
            except Unavailable as error:
                log.warning("The secret for encrypted_content is not available", reason=error.message)
                return None
        return seal_for(self._secret, user)


def sqlite_seals(database: Database) -> Seals:
    """Seals whose secret is in the database."""

    def work(connection: sqlite3.Connection) -> bytes:
        row = (_NAME, secrets.token_bytes(_BYTES))
        connection.execute("INSERT OR IGNORE INTO secrets VALUES (?, ?)", row)
        (secret,) = connection.execute("SELECT value FROM secrets WHERE name = ?", (_NAME,)).fetchone()
        return bytes(secret)

    return Seals(lambda: database.write(work))


def redis_seals(redis: RedisClient, *, prefix: str) -> Seals:
    """Seals whose secret is in Redis; the first instance that needs it stores it."""
    name = f"{prefix}:secret:{_NAME}"

    async def load(client: Client) -> bytes:
        await client.set(name, secrets.token_bytes(_BYTES), nx=True)
        stored = await client.get(name)
        if not isinstance(stored, bytes) or len(stored) != _BYTES:
            raise Unavailable(f"The key {name} in Redis has no valid secret.")
        return stored

    return Seals(lambda: redis.execute(load))
