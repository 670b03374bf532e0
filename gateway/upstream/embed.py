"""Embeddings at a provider: one POST, one reply; or whatever else can embed behind the same seam."""

import asyncio
from typing import Protocol

from gateway.core.upstream_error import UpstreamError
from gateway.upstream.client import read_whole, refusal
from gateway.upstream.deadline import Deadlines
from gateway.upstream.failure import from_exception, redacted
from gateway.upstream.http import Client, Limits
from gateway.upstream.provider import Provider
from gateway.upstream.transport.errors import TransportError
from gateway.wire.contract import EmbeddingReply, EmbeddingRequest
from gateway.wire.openai_chat import embeddings as wire


class Embedder(Protocol):
    """Turns texts into vectors."""

    async def embed(self, provider: Provider, model: str, request: EmbeddingRequest, end: float) -> EmbeddingReply:
        """One vector per input, in order, before `end` (loop time). Raises UpstreamError or BadRequest.

        `provider` is the row with the key to use.
        """
        ...


class HttpEmbedder:
    """A provider's `/embeddings`."""

    def __init__(self, http: Client, limits: Limits, deadlines: Deadlines) -> None:
        self._http = http
        self._deadlines = deadlines
        self._limits = limits

    async def embed(self, provider: Provider, model: str, request: EmbeddingRequest, end: float) -> EmbeddingReply:
        """See Embedder. A caller that leaves cancels the request at the provider."""
        body = wire.build_request(request, model, packs_base64=provider.compat.embedding_base64)
        now = asyncio.get_running_loop().time()
        wait = min(provider.timeout or self._limits.silence, end - now)
        try:
            with self._deadlines.at(now + wait):
                response = await self._http.post(provider.endpoint(wire.PATH), body)
                try:
                    if response.status != 200:
                        raise await refusal(provider, response)
                    return wire.parse_reply(await read_whole(response), len(request.inputs))
                finally:
                    response.end()
        except UpstreamError as error:
            raise redacted(provider, error) from None
        except (TransportError, TimeoutError) as error:
            raise from_exception(provider, error, connect=self._limits.connect, wait=wait) from error
