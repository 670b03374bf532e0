"""Connections of our own to the server that a redis-py client names: one for calls, one that listens.

The clients' pools are made for callers who wait; a link that answers within milliseconds needs its own connection, and
may send the next call before the last one is answered.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import Any, Protocol, cast

from redis.asyncio import Redis
from redis.asyncio.cluster import RedisCluster
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import NoPermissionError, ResponseError

from openclaw_ratelimit.errors import ConfigurationError, StorageUnavailable

_OLDEST = (6, 2)


class Connection(Protocol):
    """What a link uses of redis-py's connection."""

    async def connect(self) -> None:
        """Connect and introduce ourselves."""
        ...

    async def disconnect(self, nowait: bool = False) -> None:
        """Close it."""
        ...

    def pack_commands(self, commands: Iterable[Iterable[Any]]) -> list[bytes]:
        """Commands as bytes."""
        ...

    async def send_packed_command(self, command: Iterable[bytes], check_health: bool = True) -> None:
        """Send them."""
        ...

    async def read_response(self, *, disconnect_on_error: bool = True) -> Any:
        """The next reply. Raises redis-py's exceptions. Without `disconnect_on_error` it may be cancelled."""
        ...


async def dedicated(client: Redis | RedisCluster, tag: str) -> Connection:
    """A new connection to the server that holds the keys with this hash tag, connected, without a limit for reads.

    With Sentinel that is the present primary; with a cluster its layout is asked anew, because it may have changed.
    It speaks RESP2, where every reply and every message is simply the next thing to read.
    """
    if isinstance(client, RedisCluster):
        await _look_again(client)
        node = client.get_node_from_key(f"{{{tag}}}")
        if node is None:
            raise StorageUnavailable("no node of the cluster serves the slot of its keys")
        kind: type[Any] = node.connection_class
        settings = node.connection_kwargs
    else:
        kind, settings = client.connection_pool.connection_class, client.connection_pool.connection_kwargs
    ours = {
        "socket_timeout": None,
        "protocol": 2,
        "maint_notifications_config": None,
        "encoding": "utf-8",  # whatever the client's is: instances must store one key alike
        "encoding_errors": "strict",
        "decode_responses": False,
        "retry": Retry(NoBackoff(), 0),  # the link tries again itself; redis-py's pauses would hide the reason
    }
    connection = cast(Connection, kind(**{**settings, **ours}))
    try:
        await connection.connect()
    except BaseException:
        await connection.disconnect(nowait=True)
        raise
    return connection


async def _look_again(client: RedisCluster) -> None:
    """Ask for the layout of a cluster. Goes to its end also when it is cancelled, within redis-py's own limits: cut off
    in the middle, it would leave connections open behind it.
    """
    await client.aclose()
    looking = asyncio.ensure_future(client.initialize())
    cancelled: asyncio.CancelledError | None = None
    while not looking.done():
        try:
            await asyncio.wait({looking})
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        looking.exception()
        raise cancelled
    looking.result()


def database_of(client: Redis | RedisCluster) -> int:
    """The number of the database that the client's connections select."""
    if isinstance(client, RedisCluster):
        return 0
    return int(client.connection_pool.connection_kwargs.get("db") or 0)


async def require_version(connection: Connection) -> None:
    """Raise ConfigurationError when the server is older than Redis 6.2; one that doesn't tell may be any."""
    await connection.send_packed_command(connection.pack_commands([("HELLO",)]), check_health=False)
    try:
        reply = await connection.read_response()
    except NoPermissionError:
        return
    except ResponseError:
        raise ConfigurationError(f"the server is older than Redis {_OLDEST[0]}.{_OLDEST[1]}; use a newer one") from None
    check_version(dict(zip(map(_text, reply[::2]), reply[1::2], strict=True)).get("version", b""))


def check_version(version: bytes | str) -> None:
    """Raise ConfigurationError for the version of a Redis that is too old."""
    major, _, after_major = _text(version).partition(".")
    minor = after_major.partition(".")[0]
    if major.isdecimal() and minor.isdecimal() and (int(major), int(minor)) < _OLDEST:
        raise ConfigurationError(f"the server is Redis {_text(version)}; {_OLDEST[0]}.{_OLDEST[1]} or newer is needed")


def _text(word: object) -> str:
    return word.decode() if isinstance(word, bytes) else str(word)


async def subscribe(connection: Connection, channel: str) -> None:
    """From when this returns, nothing published on the channel is missed by `messages`."""
    await connection.send_packed_command(connection.pack_commands([("SUBSCRIBE", channel)]), check_health=False)
    await connection.read_response()


async def messages(connection: Connection) -> AsyncIterator[bytes]:
    """What is published, as it comes. Raises redis-py's exceptions when the connection ends."""
    while True:
        _kind, _channel, message = await connection.read_response()
        yield message if isinstance(message, bytes) else message.encode()
