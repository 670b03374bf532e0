"""A prompt goes to the address that the configuration names for its provider and model, with the headers set there."""

import pytest

from tests.e2e.answers import embeds, says
from tests.e2e.conftest import TOKEN
from tests.e2e.provider import KEY, Provider

pytestmark = pytest.mark.asyncio(loop_scope="module")

HI = [{"role": "user", "content": "hi"}]


@pytest.fixture(scope="module")
def config(config, provider):
    """A row with the id of a built-in provider, and models with an address and headers of their own."""
    row = {
        "baseUrl": provider.url,
        "apiKey": KEY,
        "headers": {"X-Team": "all", "X-Tier": "low"},
        "models": [
            {"id": "plain"},
            {"id": "tagged", "headers": {"X-Tier": "high"}},
            {"id": "moved", "baseUrl": provider.url.replace("/v1", "/v1/elsewhere")},
        ],
    }
    gateway = config["gateway"] | {"auth": {"mode": "token", "token": TOKEN}}
    return {
        "gateway": gateway,
        "models": {"providers": {"ollama": row}},
        "agents": {"defaults": {"model": "ollama/plain"}},
        "memory": {"search": {"provider": "ollama", "model": "vectors"}},
    }


@pytest.mark.parametrize(
    ("name", "path", "tier"),
    [
        ("plain", "/v1/chat/completions", "low"),
        ("tagged", "/v1/chat/completions", "high"),
        ("moved", "/v1/elsewhere/chat/completions", "low"),
        ("unlisted", "/v1/chat/completions", "low"),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
async def test_a_model_is_asked_at_its_address_with_its_headers(
    client, provider: Provider, name, *, path, tier, stream
):
    model = provider.model(says("Hello"), name)
    chosen = {"x-openclaw-model": f"ollama/{name}"}
    body = {"model": "openclaw", "messages": HI, "stream": stream}
    async with client.post("/v1/chat/completions", json=body, headers=chosen) as response:
        assert response.status == 200
        await response.read()
    (asked,) = model.asked
    assert asked.path == path
    headers = {key.lower(): value for key, value in asked.headers.items()}
    assert (headers["x-team"], headers["x-tier"], headers["authorization"]) == ("all", tier, f"Bearer {KEY}")


async def test_embeddings_go_to_the_configured_address_too(client, provider: Provider):
    model = provider.model(embeds([1.0]), "vectors")
    async with client.post("/v1/embeddings", json={"model": "openclaw", "input": "a"}) as response:
        assert response.status == 200
    (asked,) = model.asked
    assert asked.path == "/v1/embeddings"
