"""What several instances share: one Redis, reached over one link. Opened, logged and closed here.

Who uses the link is the business of `gateway.app`; how it survives a Redis that is away, that of `openclaw_ratelimit`.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog

from gateway.config.gateway import RedisConfig
from gateway.config.redis_url import parse_redis_url
from gateway.state.connect import close, redis_client
from openclaw_ratelimit import Event, EventKind, ReplicationLink

log = structlog.get_logger(__name__)


def link_from(config: RedisConfig) -> ReplicationLink | None:
    """The link to the configured Redis, not opened yet; None without one."""
    if config.url is None:
        return None
    client = redis_client(parse_redis_url(config.url.get_secret_value()))
    return ReplicationLink(client, name=config.key_prefix, on_event=_log)


@asynccontextmanager
async def opened(link: ReplicationLink) -> AsyncIterator[None]:
    """The link in use, or known to be away; its client is closed with it.

    A gateway starts also with a Redis that it can't use: it counts alone, and the log says why.
    """
    await link.open(keep_trying=True)
    try:
        yield
    finally:
        await link.close()
        await close(link.client)


def _log(event: Event) -> None:
    """One line per change of availability."""
    if event.kind is EventKind.BACK:
        log.info("redis is in use: limits are shared between instances")
    else:
        log.warning("redis is away: this instance counts alone until it is back", reason=event.reason)
