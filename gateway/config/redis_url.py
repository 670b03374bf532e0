"""`gateway.redis.url` → the address of a Redis: one server, a service that Sentinels know, or a cluster.

    redis://[[user]:password@]host[:6379][/db]          rediss:// with TLS          unix:///path/to/socket[?db=0]
    (?db=N is understood in all of them)
    redis+sentinel://[[user]:password@]host[:26379],host…/service[/db]              rediss+sentinel:// with TLS
    redis+cluster://[[user]:password@]host[:6379],host…                             rediss+cluster:// with TLS

Parsing only; `gateway.state.connect` connects.
"""

import re
from dataclasses import dataclass, field, replace
from typing import Literal
from urllib.parse import parse_qsl, unquote

from gateway.config.gateway import RedisConfig

Kind = Literal["server", "socket", "sentinel", "cluster"]

_KINDS: dict[str, tuple[Kind, bool]] = {
    "redis": ("server", False),
    "rediss": ("server", True),
    "unix": ("socket", False),
    "redis+sentinel": ("sentinel", False),
    "rediss+sentinel": ("sentinel", True),
    "redis+cluster": ("cluster", False),
    "rediss+cluster": ("cluster", True),
}
_SPACE = re.compile(r"\s")
_PORTS = {"server": 6379, "sentinel": 26379, "cluster": 6379}


@dataclass(frozen=True, slots=True)
class RedisAddress:
    """`hosts` are the server, the Sentinels, or some nodes of the cluster; `service` is its name at the Sentinels."""

    kind: Kind
    tls: bool = False
    hosts: tuple[tuple[str, int], ...] = ()
    path: str = ""
    service: str = ""
    database: int = 0
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    sentinel_username: str | None = None
    sentinel_password: str | None = field(default=None, repr=False)
    """The Sentinels' own credential. Without one, those that want a credential get that of the servers."""


def redis_address(config: RedisConfig) -> RedisAddress | None:
    """The configured Redis with its credentials; None without one. Raises ValueError as `parse_redis_url`."""
    if config.url is None:
        return None
    address = parse_redis_url(config.url.get_secret_value())
    password = config.sentinel_password
    return replace(
        address,
        sentinel_username=config.sentinel_username,
        sentinel_password=password.get_secret_value() if password is not None else None,
    )


def parse_redis_url(url: str) -> RedisAddress:
    """Read the URL. Raises ValueError with a sentence that quotes nothing of the URL."""
    scheme, _, remainder = url.strip().partition("://")
    if scheme not in _KINDS:
        raise ValueError(f"must begin with one of {', '.join(f'{known}://' for known in _KINDS)}")
    kind, tls = _KINDS[scheme]
    credentials, _, location = remainder.rpartition("@")
    username, colon, password = credentials.partition(":")
    secrets = (unquote(username) or None, unquote(password) if colon else None)
    location, _, query = location.partition("?")
    if "#" in location + query:
        raise ValueError("has a # outside of its login, and what follows would have no effect; leave it out")
    chosen = _database_in(query)
    if kind == "socket":
        path = location
        if not path.startswith("/"):
            raise ValueError("needs an absolute path, such as unix:///run/redis.sock")
        return RedisAddress(kind, tls, (), path, "", _database(chosen), *secrets)
    authority, _, path = location.partition("/")
    hosts = tuple(_host(text, _PORTS[kind]) for text in authority.split(","))
    if kind == "server" and len(hosts) > 1:
        raise ValueError("names several hosts; several servers are redis+sentinel:// or redis+cluster://")
    service, database = ("", path) if kind != "sentinel" else path.partition("/")[::2]
    if kind == "sentinel" and not service:
        raise ValueError("needs the name of the service, such as redis+sentinel://host:26379/mymaster")
    if chosen and database.strip("/") and _database(chosen) != _database(database):
        raise ValueError("names two databases, one in its path and one in its query; leave one out")
    database = chosen or database
    if kind == "cluster" and database.strip("/0"):
        raise ValueError("names a database, and a cluster has only one; leave it out")
    return RedisAddress(kind, tls, hosts, "", unquote(service), _database(database), *secrets)


def _database_in(query: str) -> str:
    """The database that a query names, "" without one. Nothing else can stand there: it would have no effect."""
    pairs = parse_qsl(query, keep_blank_values=True)
    if unknown := sorted({name for name, _ in pairs} - {"db"}):
        raise ValueError(f"has {unknown[0]!r} in its query, which has no effect here; only db=N is understood")
    if len(pairs) > 1 or any(not value.strip("/") for _, value in pairs):
        raise ValueError("must name one database in its query, as db=N")
    return pairs[0][1] if pairs else ""


def _host(text: str, default_port: int) -> tuple[str, int]:
    if text.startswith("["):
        host, end, suffix = text[1:].partition("]")
        host = host if end else ""
        colon, port = suffix[:1], suffix[1:]
    else:
        host, colon, port = text.partition(":")
    if (
        not host
        or _SPACE.search(host)
        or (colon and colon != ":")
        or (colon and not (port.isdecimal() and 0 < int(port) < 65_536))
    ):
        raise ValueError("must name hosts as host or host:port, with a comma between several")
    return host, int(port) if port else default_port


def _database(text: str) -> int:
    text = text.strip("/")
    if text and not text.isdecimal():
        raise ValueError("must end with the number of a database, such as /0, or with the host")
    return int(text or 0)
