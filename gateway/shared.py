"""The replication link to the Redis that instances share: this module opens, watches and closes it.

`gateway.app` decides which parts use the link; `openclaw_ratelimit` handles a Redis that is not available.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog

from gateway.config.gateway import RedisConfig
from gateway.config.redis_url import redis_address
from gateway.state.connect import close_client, create_client
from openclaw_ratelimit import Event, EventKind, ReplicationLink

log = structlog.get_logger(__name__)


def link_from(config: RedisConfig) -> ReplicationLink | None:
    """The link to the configured Redis, not opened yet; None without one."""
    address = redis_address(config)
    if address is None:
        return None
    return ReplicationLink(create_client(address), name=config.key_prefix, on_event=_log)


@asynccontextmanager
async def open_link(link: ReplicationLink) -> AsyncIterator[None]:
    """Open the link, and close it and its client at the end.

    A gateway starts also with a Redis that it can't use: it counts alone, and the log says why.
    """
    await link.open(keep_trying=True)
    try:
        yield
    finally:
        await link.close()
        await close_client(link.client)


def _log(event: Event) -> None:
    """Log each change of state once."""
    if event.kind is EventKind.BACK:
        log.info("Redis is in use: limits are shared between instances")
    else:
        log.warning("Redis is not available: this instance counts alone", reason=event.reason)
