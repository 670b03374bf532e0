"""The replication link to the Redis that instances share: this module opens, watches and closes it.

`gateway.app` decides which parts use the link. `ratelimit` handles an unavailable Redis.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog

from gateway.config.gateway import RedisConfig
from gateway.config.redis_url import parse_redis_url
from gateway.cooldown_sync import COOLDOWNS
from gateway.state.connect import close_client, create_client
from ratelimit import FAILURES, QUOTAS, Link

log = structlog.get_logger(__name__)


def link_from(config: RedisConfig) -> Link | None:
    """A link to the configured Redis, not opened yet; None if no Redis is configured."""
    if config.url is None:
        return None
    client = create_client(parse_redis_url(config.url.get_secret_value()))
    return Link(client, name=config.key_prefix, scripts=(FAILURES, QUOTAS, COOLDOWNS), told=_log_state)


@asynccontextmanager
async def open_link(link: Link) -> AsyncIterator[None]:
    """Open the link; close it and its client at the end. The link also opens while Redis is unavailable."""
    await link.open()
    try:
        yield
    finally:
        await link.close()
        await close_client(link.client)


def _log_state(available: bool, reason: str) -> None:
    """Log a change of the link's state."""
    if available:
        log.info("Redis is in use")
    else:
        log.warning("Redis is not available, this instance counts alone", reason=reason)
