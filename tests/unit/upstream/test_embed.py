import asyncio
import math

import pytest

from gateway.core.upstream_error import UpstreamError, UpstreamKind
from gateway.upstream.deadline import Deadlines
from gateway.upstream.embed import HttpEmbedder
from gateway.upstream.http import Limits, Timeouts
from gateway.upstream.provider import Provider
from gateway.wire.contract import EmbeddingRequest
from gateway.wire.model import ModelSpec
from gateway.wire.openai_chat.profile import Profile

MODEL = ModelSpec("vectors")
TEXTS = EmbeddingRequest("openclaw", ("a", "b"), base64=True)
VECTORS = {"data": [{"embedding": [1]}, {"embedding": [2]}], "usage": {"prompt_tokens": 2, "total_tokens": 2}}


async def failure(awaitable):
    with pytest.raises(UpstreamError) as caught:
        await awaitable
    return caught.value


@pytest.mark.parametrize(("packs", "sent"), [(False, {}), (True, {"encoding_format": "base64"})])
async def test_texts_are_embedded(http, remote, packs, sent):
    remote.says(VECTORS)
    model = ModelSpec("vectors", profile=Profile(embedding_base64=packs))
    reply = await HttpEmbedder(http, Limits(), Deadlines()).embed(remote.provider(), model, TEXTS, math.inf)
    assert ([bytes(vector) for vector in reply.vectors], reply.prompt_tokens) == ([b"[1]", b"[2]"], 2)
    ((request, body),) = remote.asked
    assert request.path == "/v1/embeddings"
    assert body == {"model": "vectors", "input": ["a", "b"], **sent}


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (401, {"error": {"message": "bad key-of-the-tests-0123456789"}}, UpstreamKind.AUTH),
        (429, {}, UpstreamKind.RATE_LIMITED),
        (200, {"data": []}, UpstreamKind.MALFORMED),
        (200, {"error": {"message": "x", "code": 503}}, UpstreamKind.OVERLOADED),
    ],
)
async def test_a_failed_embedding_is_classified(http, remote, status, body, kind):
    remote.says(body, status)
    error = await failure(HttpEmbedder(http, Limits(), Deadlines()).embed(remote.provider(), MODEL, TEXTS, math.inf))
    assert error.kind is kind
    assert remote.key not in error.message


async def test_an_unreachable_provider_is_an_error(http, unused_tcp_port):
    provider = Provider("acme", f"http://127.0.0.1:{unused_tcp_port}/v1")
    error = await failure(HttpEmbedder(http, Limits(), Deadlines()).embed(provider, MODEL, TEXTS, math.inf))
    message = f"The provider 'acme' (127.0.0.1:{unused_tcp_port}) refused the connection."
    assert (error.kind, error.message) == (UpstreamKind.CONNECT, message)


@pytest.mark.parametrize(
    ("wait", "total", "kind"), [(0.1, 60.0, UpstreamKind.TIMEOUT), (60.0, 0.1, UpstreamKind.TOTAL_TIMEOUT)]
)
async def test_a_silent_provider_times_out(http, remote, wait, total, kind):
    async def silence(request):
        await asyncio.Event().wait()

    remote.answer = silence
    limits = Limits(last=Timeouts(1.0, 1.0, 1.0, wait))
    end = asyncio.get_running_loop().time() + total
    error = await failure(HttpEmbedder(http, limits, Deadlines()).embed(remote.provider(), MODEL, TEXTS, end))
    assert error.kind is kind


async def test_a_server_without_embeddings_is_named_with_the_endpoint_that_it_lacks(http, remote):
    remote.says({"detail": "Not Found"}, 404)
    error = await failure(HttpEmbedder(http, Limits(), Deadlines()).embed(remote.provider(), MODEL, TEXTS, math.inf))
    assert "has no endpoint /embeddings there (Not Found); check models.providers." in error.message
