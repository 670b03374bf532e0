"""One attempt at one provider: build → POST → decode. The connection is closed, or given back, in every ending.

Retries, fallback and choice of model are made above. Whatever goes wrong leaves as UpstreamError; cancelling the task
that waits here aborts the request at the provider.
"""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field

import structlog

from gateway.core.event import Batch
from gateway.core.turn import Turn
from gateway.core.upstream_error import UpstreamError, UpstreamKind
from gateway.upstream.deadline import Deadlines
from gateway.upstream.failure import from_exception, from_status, redacted
from gateway.upstream.http import Client, Limits
from gateway.upstream.provider import Provider
from gateway.upstream.transport.errors import TransportError
from gateway.upstream.transport.response import Response
from gateway.wire import UPSTREAMS
from gateway.wire.compat import ModelSpec
from gateway.wire.contract import Parser

log = structlog.get_logger(__name__)

_MAX_ERROR_BODY = 64 * 1024
_MAX_REPLY = 64 * 1024 * 1024
_USAGE_WAIT = 1.0  # seconds for the token counts after a finish; the caller waits for its end meanwhile
_GRACE = 0.05  # seconds for a finished stream to end by itself, so that its connection can be used again


@dataclass(frozen=True, slots=True)
class ProviderClient:
    """Asks providers, over one pool of connections and with one set of limits."""

    http: Client
    limits: Limits
    deadlines: Deadlines = field(default_factory=Deadlines)

    async def whole(self, provider: Provider, model: ModelSpec, turn: Turn, end: float) -> Batch:
        """The answer as one body, which is one batch; before `end` (loop time). Raises UpstreamError."""
        now = asyncio.get_running_loop().time()
        wait = min(provider.timeout or self.limits.silence, end - now)
        try:
            with self.deadlines.at(now + wait):
                response = await self._post(provider, model, turn)
                try:
                    if response.status != 200:
                        raise await refusal(provider, response)
                    return UPSTREAMS[provider.wire].parse_reply(await read_whole(response))
                finally:
                    response.end()
        except UpstreamError as error:
            raise redacted(provider, error) from None
        except (TransportError, TimeoutError) as error:
            raise from_exception(provider, error, connect=self.limits.connect, wait=wait) from error

    async def stream(self, provider: Provider, model: ModelSpec, turn: Turn, end: float) -> AsyncGenerator[Batch, None]:
        """The answer as it comes, one batch per read of the network; before `end` (loop time). Raises UpstreamError.

        Only events move the waiting limit, a server's comments don't; and it stands still while the caller is busy.
        """
        limits, clock = self.limits, asyncio.get_running_loop().time
        wait = provider.timeout or limits.first_event
        try:
            with self.deadlines.at(min(clock() + wait, end)) as deadline:
                response = await self._post(provider, model, turn)
                try:
                    if response.status != 200:
                        raise await refusal(provider, response)
                    if response.content_type == "application/json":
                        # A server that ignores `stream` answers with one body; so do errors inside a 200.
                        batch = UPSTREAMS[provider.wire].parse_reply(await read_whole(response))
                        deadline.when = None
                        yield batch
                        return
                    parser = UPSTREAMS[provider.wire].parser()
                    while not (parser.complete or parser.failure) and (data := await response.read()):
                        if batch := parser.feed(data):
                            deadline.when = None
                            yield batch
                            wait = provider.timeout or limits.idle
                            deadline.when = min(clock() + wait, end)
                    deadline.when = None
                    if batch := await _rest(response, parser) if parser.complete else parser.close():
                        yield batch
                    await _finish(response)
                finally:
                    response.end()
        except UpstreamError as error:
            raise redacted(provider, error) from None
        except (TransportError, TimeoutError) as error:
            raise from_exception(provider, error, connect=limits.connect, wait=wait) from error

    async def _post(self, provider: Provider, model: ModelSpec, turn: Turn) -> Response:
        if provider.prepare is not None:
            await provider.prepare()
        wire = UPSTREAMS[provider.wire]
        return await self.http.post(provider.endpoint(wire.path), wire.build_request(turn, model))


async def refusal(provider: Provider, response: Response) -> UpstreamError:
    """The failure that a response other than 200 reports; as much of its body as may be is read."""
    body = b""
    try:
        async with asyncio.timeout(5):
            while len(body) < _MAX_ERROR_BODY and (data := await response.read()):
                body += data
    except (TransportError, TimeoutError) as error:
        log.info("the body of a refusal broke off", provider=provider.id, reason=type(error).__name__)
    status = response.status if response.status >= 400 else 502
    return from_status(provider, status, response.headers, body)


async def read_whole(response: Response) -> bytes:
    """The body of an answer. Raises UpstreamError as soon as it is too large to be one."""
    pieces: list[bytes] = []
    size = 0
    while data := await response.read():
        size += len(data)
        if size > _MAX_REPLY:
            raise UpstreamError(UpstreamKind.MALFORMED, "The provider's answer is too large.")
        pieces.append(data)
    return b"".join(pieces)


async def _rest(response: Response, parser: Parser) -> Batch:
    """What still belongs to a complete answer: its token counts. The answer stands, however the stream ends now."""
    batch: Batch = []
    try:
        async with asyncio.timeout(_USAGE_WAIT):
            while not parser.done and (data := await response.read()):
                batch += parser.feed(data)
        batch += parser.close()
    except (UpstreamError, TransportError, TimeoutError) as error:
        log.info("stream ended badly after its finish", reason=type(error).__name__)
        response.abandon()
    return batch


async def _finish(response: Response) -> None:
    """Let a finished stream end by itself, which is nearly always at once; else its connection is given up."""
    if not response.read_to_end:
        try:
            async with asyncio.timeout(_GRACE):
                await response.read()
        except (TransportError, TimeoutError):
            response.abandon()
