"""Creates clients of the Sentinels that name the primary of a service."""

from collections.abc import Mapping
from typing import Any

from redis.asyncio import Connection, ConnectionPool, Redis, Sentinel, SSLConnection
from redis.asyncio.sentinel import MasterNotFoundError
from redis.exceptions import AuthenticationError, RedisError

from gateway.config.redis_url import RedisAddress


def sentinels_of(address: RedisAddress, settings: Mapping[str, Any]) -> Sentinel:
    """The Sentinels of an address. `settings` are those of the connections to the Redis servers.

    Sentinels get the credential that the configuration has for them. Without one they get none, and those that refuse
    that get the servers' credential.
    """
    # A false Sentinel learns nothing by that which it would not learn as the primary that it names.
    own = {"username": address.sentinel_username, "password": address.sentinel_password}
    spare = {"username": address.username, "password": address.password}
    sentinels = _Sentinels(())  # type: ignore[no-untyped-call]
    for host, port in address.hosts:
        pool = ConnectionPool(
            _SSLSentinelConnection if address.tls else _SentinelConnection,
            **{**settings, **own},
            spare=None if own["password"] or not spare["password"] else spare,
            host=host,
            port=port,
        )
        sentinels.sentinels.append(Redis.from_pool(pool))
    return sentinels


class _Sentinels(Sentinel):
    """Says of each Sentinel why it named no primary: redis-py names only the kinds of the errors."""

    async def discover_master(self, service_name: str) -> tuple[str, int]:
        """Host and port of the primary. Raises MasterNotFoundError."""
        problems = []
        for index, sentinel in enumerate(self.sentinels):
            settings = sentinel.connection_pool.connection_kwargs
            try:
                services: Any = await sentinel.sentinel_masters()
            except RedisError as error:
                problem = str(error)
            else:
                primary = services.get(service_name)
                if primary is not None and self.check_master_state(primary, service_name):
                    self.sentinels.insert(0, self.sentinels.pop(index))  # the next question goes to it first
                    return primary["ip"], primary["port"]
                problem = "does not know it" if primary is None else "has lost it"
            problems.append(f"{settings['host']}:{settings['port']}: {problem}")
        raise MasterNotFoundError(f"no Sentinel names a primary of {service_name!r}; {'; '.join(problems)}")


class _SentinelConnection(Connection):
    """A connection that tries a second credential when the server refuses the first one."""

    def __init__(self, *, spare: Mapping[str, str | None] | None, **settings: Any) -> None:
        super().__init__(**settings)
        self._spare = spare

    async def on_connect_check_health(self, check_health: bool = True) -> None:
        """Introduce ourselves. Raises AuthenticationError when no credential is accepted."""
        try:
            await super().on_connect_check_health(check_health)
        except AuthenticationError:
            if self._spare is None:
                raise
            self.username, self.password = self._spare["username"], self._spare["password"]
            self._spare = None
            await super().on_connect_check_health(check_health)


class _SSLSentinelConnection(_SentinelConnection, SSLConnection):
    """The same over TLS."""
