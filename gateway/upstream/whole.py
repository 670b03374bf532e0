"""One request to a provider whose answer is read whole: embeddings, counts of tokens."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

from gateway.core.upstream_error import UpstreamError, UpstreamKind
from gateway.upstream.client import ProviderClient
from gateway.upstream.failure import from_exception, named, presentable
from gateway.upstream.provider import Provider
from gateway.upstream.response_body import read_whole, refusal
from gateway.upstream.transport.errors import TransportError
from gateway.wire import UPSTREAMS
from gateway.wire.contract import WireRequest

T = TypeVar("T")


async def ask_whole(
    client: ProviderClient,
    provider: Provider,
    asked: WireRequest,
    parse: Callable[[bytes], T],
    *,
    wait: float,
    end: float,
    fresh: bool = False,
) -> T:
    """The parsed answer, within `wait` seconds and before `end` (loop time). Raises UpstreamError.

    `fresh` forces a new connection. A client that leaves cancels the request at the provider.
    """
    clock = asyncio.get_running_loop().time
    wait = provider.timeout or wait
    try:
        with client.deadlines.at(min(clock() + wait, end)):
            response = await client.http.post(await provider.signed(asked), asked.body, fresh=fresh)
            try:
                if response.status != 200:
                    raise await refusal(response, UPSTREAMS[provider.wire])
                return parse(await read_whole(response))
            finally:
                response.end()
    except UpstreamError as error:
        raise presentable(provider, error, (asked.body,), asked.path) from None
    except TimeoutError as error:
        if clock() >= end:
            text = "did not answer before the time limit of the whole run"
            raise UpstreamError(UpstreamKind.TOTAL_TIMEOUT, f"{named(provider)} {text}.") from error
        raise UpstreamError(UpstreamKind.TIMEOUT, f"{named(provider)} sent no answer within {wait:.3g} s.") from error
    except TransportError as error:
        raise from_exception(provider, error, client.limits.connect) from error
