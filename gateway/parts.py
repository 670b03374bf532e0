"""The parts of a process that outlive its configurations: every snapshot uses the same ones.

So a changed configuration loses no conversation, count, cooldown, connection or started tool server.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from gateway.access.key_registry import KeyRegistry
from gateway.config.gateway import RetryConfig
from gateway.config.ledger import LedgerConfig
from gateway.config.root import Config
from gateway.conversations.conversation import Conversations
from gateway.dispatch.snapshot import Services
from gateway.ledger.journal import FOLDER, Journal
from gateway.ledger.ledger import Ledger
from gateway.metrics.registry import Registry
from gateway.observe.deferred import Deferred
from gateway.runs.configured import cooldowns_from
from gateway.runs.cooldowns import Cooldowns
from gateway.runs.recent_runs import RecentRuns
from gateway.state.configured import Stores, stores_from
from gateway.state.sessions.store import LEASE
from gateway.tools.configured import ToolServers
from gateway.traces.traces import Traces
from gateway.upstream.embedded import available
from gateway.upstream.embedded.chat import EmbeddedChat
from gateway.upstream.embedded.embeddings import EmbeddedEmbeddings
from gateway.upstream.http import Client, Limits, Timeouts, create_client
from gateway.upstream.tapped import TappedClient
from openclaw_ratelimit import Quota

log = structlog.get_logger(__name__)

RENEW = LEASE / 3
"""Seconds between two renewals of a conversation's lease."""


@dataclass(frozen=True, slots=True)
class Embedded:
    """The embedded model: its chat server, and its embeddings."""

    chat: EmbeddedChat
    embeddings: EmbeddedEmbeddings


@dataclass(frozen=True, slots=True)
class Parts:
    """`http` holds the connections to providers, `tools` the started tool servers. `conversations` and `quota` are
    there for each snapshot to put its own settings over them; `quota` is None where nothing is limited. `embedded` is
    None if it is not installed. `registry` counts runs; None counts nothing. `deferred` calls what observes
    the end of runs.
    """

    services: Services
    state: Path
    http: Client
    cooldowns: Cooldowns
    conversations: Conversations
    tools: ToolServers
    embedded: Embedded | None
    quota: Quota | None
    registry: Registry | None = None
    deferred: Deferred = field(default_factory=Deferred)


@asynccontextmanager
async def open_parts(
    config: Config,
    state: Path,
    *,
    cooldowns: Cooldowns | None = None,
    quota: Quota | None = None,
    keys: KeyRegistry | None = None,
    renew: float = RENEW,
    registry: Registry | None = None,
    traces: Traces | None = None,
    deferred: Deferred | None = None,
) -> AsyncIterator[Parts]:
    """The parts for the first configuration and all later ones, closed at the end.

    `cooldowns` are those that other instances know of, too. `keys` are the client keys that are made at run time.
    `renew`: see `create_app`. `registry` counts runs, and `traces` exports their spans;
    `deferred` calls what observes the end of runs.
    """
    gateway = config.gateway
    deferred = deferred or Deferred()
    async with AsyncExitStack() as stack:
        http = await stack.enter_async_context(
            create_client(limits_from(gateway.retry), TappedClient if traces else Client)
        )
        embedded = None
        if available():
            embedded = Embedded(EmbeddedChat(), EmbeddedEmbeddings())
            stack.push_async_callback(embedded.chat.close)
            stack.push_async_callback(embedded.embeddings.close)
        stores = await stack.enter_async_context(stores_from(config, state))
        ledger = await stack.enter_async_context(_ledger(gateway.ledger, stores, state, deferred))
        conversations = Conversations(stores.sessions, wait=config.session.wait_ms / 1000, renew=renew, clock=time.time)
        stack.push_async_callback(conversations.close)
        yield Parts(
            services=Services(
                stores,
                RecentRuns(),
                started=asyncio.get_running_loop().time(),
                keys=keys,
                ledger=ledger,
                traces=traces,
            ),
            state=state,
            http=http,
            cooldowns=cooldowns or cooldowns_from(gateway.retry),
            conversations=conversations,
            tools=ToolServers(),
            embedded=embedded,
            quota=quota,
            registry=registry,
            deferred=deferred,
        )


@asynccontextmanager
async def _ledger(
    config: LedgerConfig, stores: Stores, state: Path, deferred: Deferred
) -> AsyncIterator[Ledger | None]:
    """The ledger, None if it is off: by default where a restart would lose it. Its end stores what waits."""
    if not (stores.survives_restart if config.enabled is None else config.enabled):
        yield None
        return
    journal = _journal(state / FOLDER) if stores.survives_restart else None
    ledger = Ledger(stores.usage, journal=journal, collect=deferred.drain)
    ledger.start()
    try:
        yield ledger
    finally:
        await ledger.close()


def _journal(folder: Path) -> Journal | None:
    try:
        return Journal.open(folder)
    except OSError as error:
        log.warning("If this process is killed, nobody will know how many rows of the ledger are lost",
                    folder=str(folder), reason=error.strerror)  # fmt: skip
        return None


def limits_from(retry: RetryConfig) -> Limits:
    """The timeouts of the configuration (milliseconds) in seconds."""
    whole = retry.silence_timeout_ms / 1000
    return Limits(
        connect=retry.connect_timeout_ms / 1000,
        total=retry.total_timeout_ms / 1000,
        fallback=Timeouts(
            first_event=retry.first_event_timeout_ms / 1000,
            idle=retry.idle_timeout_ms / 1000,
            thinking=retry.thinking_timeout_ms / 1000,
            whole=whole,
        ),
        last=Timeouts(
            first_event=retry.last_first_event_timeout_ms / 1000,
            idle=retry.last_idle_timeout_ms / 1000,
            thinking=retry.last_thinking_timeout_ms / 1000,
            whole=whole,
        ),
        stall_after=retry.stall_after_ms / 1000,
    )
