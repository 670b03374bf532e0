"""The interface of embedders, and embeddings from a provider: one POST, one reply."""

import asyncio
from typing import Protocol

from gateway.core.errors import Unavailable
from gateway.core.upstream_error import UpstreamError, UpstreamKind
from gateway.upstream.client import read_whole, refusal
from gateway.upstream.deadline import Deadlines
from gateway.upstream.failure import from_exception, named, presentable
from gateway.upstream.http import Client, Limits
from gateway.upstream.provider import Provider
from gateway.upstream.transport.errors import TransportError
from gateway.wire import UPSTREAMS
from gateway.wire.contract import EmbeddingReply, EmbeddingRequest
from gateway.wire.model import ModelSpec


class Embedder(Protocol):
    """Embeds texts."""

    async def embed(
        self, provider: Provider, model: ModelSpec, request: EmbeddingRequest, end: float, *, fresh: bool = False
    ) -> EmbeddingReply:
        """One vector per input, in order, before `end` (loop time). Raises UpstreamError or BadRequest.

        `provider` is the row with the key to use; `fresh` forces a new connection.
        """
        ...


class HttpEmbedder:
    """Embeds with a provider's `/embeddings`."""

    def __init__(self, http: Client, limits: Limits, deadlines: Deadlines) -> None:
        self._http = http
        self._deadlines = deadlines
        self._limits = limits

    async def embed(
        self, provider: Provider, model: ModelSpec, request: EmbeddingRequest, end: float, *, fresh: bool = False
    ) -> EmbeddingReply:
        """See Embedder. A client that leaves cancels the request at the provider."""
        wire = UPSTREAMS[provider.wire]
        embeddings = wire.embeddings
        if embeddings is None:
            raise Unavailable(f"Provider '{provider.id}' has no embeddings. Name another in memory.search.provider.")
        asked = embeddings.request(request, model)
        clock = asyncio.get_running_loop().time
        wait = provider.timeout or self._limits.last.whole
        try:
            with self._deadlines.at(min(clock() + wait, end)):
                response = await self._http.post(await provider.signed(asked), asked.body, fresh=fresh)
                try:
                    if response.status != 200:
                        raise await refusal(response, wire)
                    return embeddings.parse(await read_whole(response), len(request.inputs))
                finally:
                    response.end()
        except UpstreamError as error:
            raise presentable(provider, error) from None
        except TimeoutError as error:
            if clock() >= end:
                text = "did not answer before the time limit of the whole run"
                raise UpstreamError(UpstreamKind.TOTAL_TIMEOUT, f"{named(provider)} {text}.") from error
            raise UpstreamError(
                UpstreamKind.TIMEOUT, f"{named(provider)} sent no answer within {wait:.3g} s."
            ) from error
        except TransportError as error:
            raise from_exception(provider, error, self._limits.connect) from error
