"""Posts signed JSON to one URL of the operator, in the background and with retries. Callers decide what it posts.

`x-openclaw-signature: t=<Unix seconds>,v1=<hex>` is the HMAC-SHA256 of `<t>.<body>` with the shared secret.
"""

import asyncio
import hashlib
import hmac
import random
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import aiohttp
import structlog

from gateway.core.jsonio import dumps

log = structlog.get_logger(__name__)

MAX_WAITING = 100
"""Posts that wait to be sent; beyond them new ones are dropped, and the log says so."""
_ATTEMPTS = 6
_BACKOFF = 1.0  # seconds before the first retry; it doubles with each further one
_TIMEOUT = aiohttp.ClientTimeout(total=10.0)
_LAST_WAIT = 3.0  # seconds for what is still waiting at the end
_TRANSIENT = frozenset({408, 425, 429})


class Webhook:
    """Sends in the order of `post`. As a context manager it owns its task and its connections."""

    def __init__(
        self,
        *,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._url = ""
        self._host: str | None = None
        self._secret = b""
        self._clock = clock
        self._sleep = sleep
        self._waiting: asyncio.Queue[bytes] = asyncio.Queue(MAX_WAITING)
        self._task: asyncio.Task[None] | None = None

    def configure(self, url: str | None, secret: str | None) -> None:
        """Send to this URL from now on, with this secret; to nobody without both."""
        self._url, self._secret = (url, secret.encode()) if url and secret else ("", b"")
        self._host = urlsplit(self._url).hostname  # the rest may hold a secret, which no log line may have

    def post(self, payload: dict[str, Any]) -> None:
        """Send this object soon; returns at once."""
        if not self._url:
            return
        try:
            self._waiting.put_nowait(dumps(payload))
        except asyncio.QueueFull:
            log.warning("An alert is lost: too many wait for the webhook", host=self._host)

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._run(), name="post alerts")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._task is None:
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(_LAST_WAIT):
                await self._waiting.join()
        self._task.cancel()
        await asyncio.wait({self._task})
        if lost := self._waiting.qsize():
            log.warning("Alerts are lost: the webhook did not take them", host=self._host, alerts=lost)

    async def _run(self) -> None:
        jar = aiohttp.DummyCookieJar()
        async with aiohttp.ClientSession(timeout=_TIMEOUT, cookie_jar=jar, trust_env=False) as session:
            while True:
                body = await self._waiting.get()
                try:
                    await self._deliver(session, body)
                except Exception:  # no caller waits for this task, and later alerts must still be sent
                    log.exception("An alert is lost", host=self._host)
                finally:
                    self._waiting.task_done()

    async def _deliver(self, session: aiohttp.ClientSession, body: bytes) -> None:
        problem: str | None = None
        for attempt in range(_ATTEMPTS):
            if attempt:
                await self._sleep(_BACKOFF * 2 ** (attempt - 1) * random.uniform(0.5, 1.0))  # noqa: S311  no secret
            problem, is_final = await self._try(session, body)
            if problem is None:
                return
            if is_final:
                break
        log.warning("An alert is lost: the webhook does not take it", host=self._host, reason=problem)

    async def _try(self, session: aiohttp.ClientSession, body: bytes) -> tuple[str | None, bool]:
        """Why the webhook did not take it, None if it did; and whether another attempt is of no use."""
        stamp = str(int(self._clock()))
        signature = hmac.new(self._secret, f"{stamp}.".encode() + body, hashlib.sha256).hexdigest()
        headers = {"Content-Type": "application/json", "x-openclaw-signature": f"t={stamp},v1={signature}"}
        try:
            async with session.post(self._url, data=body, headers=headers, allow_redirects=False) as response:
                status = response.status
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            return type(error).__name__, False
        except UnicodeError:  # of the system's resolver
            return "its host name can't be encoded", True
        if 200 <= status < 300:
            return None, True
        return f"status {status}", status < 500 and status not in _TRANSIENT
