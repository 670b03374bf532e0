"""Configuration → stores. A store opens its storage at its first use; this module closes it at the end."""

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from gateway.config.redis_url import redis_address
from gateway.config.root import Config
from gateway.state.budget_windows import BudgetWindows
from gateway.state.events.redis import RedisEvents
from gateway.state.events.sqlite import SqliteEvents
from gateway.state.events.store import EventLog, EventPolicy
from gateway.state.health import StoreHealth
from gateway.state.keys.redis import RedisKeys
from gateway.state.keys.sqlite import SqliteKeys
from gateway.state.keys.store import KeyStore
from gateway.state.reasoning.memory import MemoryReasoning
from gateway.state.reasoning.redis import RedisReasoning
from gateway.state.reasoning.store import ReasoningStore
from gateway.state.redis_client import open_redis
from gateway.state.responses.redis import RedisResponses
from gateway.state.responses.sqlite import SqliteResponses
from gateway.state.responses.store import ResponsePolicy, ResponseStore
from gateway.state.schema import MIGRATIONS
from gateway.state.seals import Seals, redis_seals, sqlite_seals
from gateway.state.sessions.redis import RedisSessions
from gateway.state.sessions.sqlite import SqliteSessions
from gateway.state.sessions.store import SessionPolicy, SessionStore
from gateway.state.sqlite import Database
from gateway.state.steady_clock import SteadyClock
from gateway.state.usage.redis import RedisUsage
from gateway.state.usage.sqlite import SqliteUsage
from gateway.state.usage.store import UsagePolicy, UsageStore

FILE = "gateway.sqlite"
"""The name of the database file in the state directory."""


@dataclass(frozen=True, slots=True)
class Stores:
    """The data that outlives a request."""

    sessions: SessionStore
    responses: ResponseStore
    events: EventLog
    reasoning: ReasoningStore
    seals: Seals
    usage: UsageStore
    keys: KeyStore
    budget_windows: BudgetWindows | None = None
    """None where instances count budgets in Redis."""
    survives_restart: bool = False
    """Whether the data are still there after the process has ended."""
    health: StoreHealth = field(default_factory=StoreHealth)
    inspect: Callable[[], Awaitable[None]] | None = None
    """Looks at the storage without changing anything, and updates `health`; it may raise Unavailable."""
    backend: Literal["redis", "sqlite", "memory"] = "memory"


@asynccontextmanager
async def stores_from(config: Config, state: Path) -> AsyncIterator[Stores]:
    """The stores of one configuration. They connect, write and start a thread only when a caller uses them."""
    settings, redis = config.gateway.state, config.gateway.redis
    responses = ResponsePolicy(settings.keep_responses, settings.max_response_bytes)
    sessions = SessionPolicy(config.session.maintenance.prune_after, config.session.max_bytes)
    ledger = config.gateway.ledger
    usage = UsagePolicy(ledger.retention_days * 86_400.0, ledger.max_bytes)
    address = redis_address(redis)
    if address is not None and settings.backend == "auto":
        async with open_redis(address) as shared:
            session_store = RedisSessions(shared, sessions, prefix=redis.key_prefix)
            try:
                yield Stores(
                    session_store,
                    RedisResponses(shared, responses, prefix=redis.key_prefix),
                    RedisEvents(shared, EventPolicy(), prefix=redis.key_prefix),
                    RedisReasoning(shared, prefix=redis.key_prefix),
                    redis_seals(shared, prefix=redis.key_prefix),
                    RedisUsage(shared, usage, prefix=redis.key_prefix, clock=time.time),
                    RedisKeys(shared, prefix=redis.key_prefix),
                    None,
                    True,
                    shared.health,
                    shared.check,
                    "redis",
                )
            finally:
                await session_store.close()
    else:
        database = Database(None if settings.backend == "memory" else state / FILE, MIGRATIONS)
        clock = SteadyClock(time.time, time.monotonic)
        try:
            yield Stores(
                SqliteSessions(database, sessions, clock=clock),
                SqliteResponses(database, responses, clock=clock),
                SqliteEvents(database, EventPolicy(), clock=clock),
                MemoryReasoning(clock=time.monotonic),
                sqlite_seals(database),
                SqliteUsage(database, usage, clock=clock),
                SqliteKeys(database),
                BudgetWindows(database, clock=clock),
                settings.backend != "memory",
                database.health,
                database.inspect,
                "memory" if settings.backend == "memory" else "sqlite",
            )
        finally:
            await database.close()
