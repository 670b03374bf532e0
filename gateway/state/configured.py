"""Configuration → the stores, opened when something is kept for the first time and closed at the end."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from gateway.config.redis_url import parse_redis_url
from gateway.config.root import Config
from gateway.state.connect import close, redis_client
from gateway.state.events.redis import RedisEvents
from gateway.state.events.sqlite import SqliteEvents
from gateway.state.events.store import EventLog, EventPolicy
from gateway.state.link import RedisLink
from gateway.state.responses.redis import RedisResponses
from gateway.state.responses.sqlite import SqliteResponses
from gateway.state.responses.store import ResponsePolicy, ResponseStore
from gateway.state.schema import MIGRATIONS
from gateway.state.sessions.redis import RedisSessions
from gateway.state.sessions.sqlite import SqliteSessions
from gateway.state.sessions.store import SessionPolicy, SessionStore
from gateway.state.sqlite import Database

FILE = "gateway.sqlite"
"""The database's name in the state directory."""


@dataclass(frozen=True, slots=True)
class Stores:
    """What outlives a request."""

    sessions: SessionStore
    responses: ResponseStore
    events: EventLog


@asynccontextmanager
async def stores_from(config: Config, state: Path) -> AsyncIterator[Stores]:
    """The stores of one configuration. Nothing is connected, written or started before it is needed."""
    kept, redis = config.gateway.state, config.gateway.redis
    responses = ResponsePolicy(kept.keep_responses, kept.max_response_bytes)
    sessions = SessionPolicy(config.session.maintenance.prune_after, config.session.max_bytes)
    if redis.url is not None and kept.backend == "auto":
        client = redis_client(parse_redis_url(redis.url.get_secret_value()))
        link = RedisLink(client)
        kept_sessions = RedisSessions(link, sessions, prefix=redis.key_prefix)
        try:
            yield Stores(
                kept_sessions,
                RedisResponses(link, responses, prefix=redis.key_prefix),
                RedisEvents(link, EventPolicy(), prefix=redis.key_prefix),
            )
        finally:
            await kept_sessions.close()
            await close(client)
    else:
        database = Database(None if kept.backend == "memory" else state / FILE, MIGRATIONS)
        try:
            yield Stores(
                SqliteSessions(database, sessions, clock=time.time),
                SqliteResponses(database, responses, clock=time.time),
                SqliteEvents(database, EventPolicy(), clock=time.time),
            )
        finally:
            await database.close()
