"""What several instances share: one Redis, reached over one link. Opened, watched and closed here.

Who uses the link is the business of `gateway.app`; how it survives a Redis that is away, that of `ratelimit`.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog

from gateway.config.gateway import RedisConfig
from gateway.config.redis_url import parse_redis_url
from gateway.rests import RESTS
from gateway.state.connect import close, redis_client
from openclaw_ratelimit import FAILURES, QUOTAS, Link

log = structlog.get_logger(__name__)


def link_from(config: RedisConfig) -> Link | None:
    """The link to the configured Redis, not opened yet; None without one."""
    if config.url is None:
        return None
    client = redis_client(parse_redis_url(config.url.get_secret_value()))
    return Link(client, name=config.key_prefix, scripts=(FAILURES, QUOTAS, RESTS), told=_tell)


@asynccontextmanager
async def opened(link: Link) -> AsyncIterator[None]:
    """The link in use, or known to be away; its client is closed with it."""
    await link.open()
    try:
        yield
    finally:
        await link.close()
        await close(link.client)


def _tell(available: bool, reason: str) -> None:
    """One line per change of state."""
    if available:
        log.info("redis is in use: limits are shared between instances")
    else:
        log.warning("redis is away: this instance counts alone until it is back", reason=reason)
