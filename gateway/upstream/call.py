"""One attempt at one provider: build → POST → decode → batches of events. The socket is closed in every ending.

Retries, fallback and choice of model are made above. Whatever goes wrong leaves as UpstreamError.
"""

import asyncio
from collections.abc import AsyncGenerator

import aiohttp

from gateway.core.errors import UpstreamError, UpstreamKind
from gateway.core.event import Batch
from gateway.core.turn import Turn
from gateway.upstream.failure import from_exception, from_status, without_secrets
from gateway.upstream.http import Limits
from gateway.upstream.provider import Provider
from gateway.wire import UPSTREAMS
from gateway.wire.compat import ModelSpec
from gateway.wire.contract import Upstream

_MAX_ERROR_BODY = 64 * 1024
_MAX_REPLY = 64 * 1024 * 1024
_GRACE = 0.05  # seconds for a finished stream to end by itself, so that its connection can be used again


async def call(
    http: aiohttp.ClientSession, provider: Provider, model: ModelSpec, turn: Turn, limits: Limits
) -> AsyncGenerator[Batch, None]:
    """Ask once, the way the client asked: streamed, or as one body that becomes one batch.

    Raises UpstreamError. Closing the generator, or cancelling the task that iterates it, closes the connection.
    """
    wire = UPSTREAMS[provider.wire]
    body = wire.build_request(turn, model)
    if provider.prepare is not None:
        await provider.prepare()
    started = asyncio.get_running_loop().time()
    wait = provider.timeout or (limits.first_event if turn.stream else limits.silence)
    try:
        response = await http.post(
            provider.url(wire.path),
            data=body,
            headers=provider.request_headers(),
            allow_redirects=False,
            # Until the headers; from then on `_stream` has limits of its own, which only events may move.
            timeout=aiohttp.ClientTimeout(total=limits.total, sock_connect=limits.connect, sock_read=wait),
        )
    except (aiohttp.ClientError, OSError) as error:
        raise _translated(provider, error, limits, wait) from error
    try:
        if response.status != 200:
            raise await refusal(provider, response)
        if turn.stream and response.content_type != "application/json":
            batches = _stream(wire, response, started + wait, provider.timeout or limits.idle, started + limits.total)
            try:
                async for batch in batches:
                    yield batch
            finally:
                await batches.aclose()
        else:
            # A server that ignores `stream` answers with one body; so do errors inside a 200.
            yield wire.parse_reply(await _read_at_most(response, _MAX_REPLY))
    except UpstreamError as error:
        raise without_secrets(provider, error) from None
    except (aiohttp.ClientError, OSError) as error:
        raise _translated(provider, error, limits, wait) from error
    finally:
        response.release()


def _translated(provider: Provider, error: Exception, limits: Limits, wait: float) -> UpstreamError:
    if isinstance(error, TimeoutError) and not isinstance(error, aiohttp.ConnectionTimeoutError):
        return UpstreamError(
            UpstreamKind.TIMEOUT, f"The provider '{provider.id}' did not answer within {min(wait, limits.total):g} s."
        )
    return from_exception(provider, error, limits.connect)


async def refusal(provider: Provider, response: aiohttp.ClientResponse) -> UpstreamError:
    """The failure that a response other than 200 reports; as much of its body as may be is read."""
    try:
        async with asyncio.timeout(5):
            body = await response.content.read(_MAX_ERROR_BODY)
    except (aiohttp.ClientError, OSError):
        body = b""  # the status alone says enough
    status = response.status if response.status >= 400 else 502
    return from_status(provider, status, response.headers, body)


async def _read_at_most(response: aiohttp.ClientResponse, limit: int) -> bytes:
    if (response.content_length or 0) > limit:
        raise UpstreamError(UpstreamKind.MALFORMED, "The provider's answer is too large.")
    data = await response.read()
    if len(data) > limit:
        raise UpstreamError(UpstreamKind.MALFORMED, "The provider's answer is too large.")
    return data


async def _stream(
    wire: Upstream, response: aiohttp.ClientResponse, first_event_by: float, idle: float, end: float
) -> AsyncGenerator[Batch, None]:
    """Batches as the network delivers them. Only events count as life: a server's comments don't move the limits."""
    parser = wire.parser()
    content = response.content
    if response.connection is not None and response.connection.protocol is not None:
        response.connection.protocol.read_timeout = None
    limit = min(first_event_by, end)
    clock = asyncio.get_running_loop().time
    while True:
        try:
            async with asyncio.timeout_at(limit):
                data = await content.readany()
        except TimeoutError:
            raise UpstreamError(UpstreamKind.TIMEOUT, "The provider's stream fell silent.") from None
        if not data:
            if batch := parser.close():
                yield batch
            return
        batch = parser.feed(data)
        if batch:
            yield batch
            limit = min(clock() + idle, end)
        if parser.done:
            break
    if batch := parser.close():
        yield batch
    if not content.at_eof():
        try:
            async with asyncio.timeout(_GRACE):
                await content.readany()
        except TimeoutError:
            response.close()
