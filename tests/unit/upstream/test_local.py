import pytest

from gateway.core.price import cost
from gateway.core.usage import Usage
from gateway.upstream.embedded import MODEL
from gateway.upstream.embedded.chat import EmbeddedChat
from gateway.upstream.local import local_provider


async def test_an_answer_of_the_embedded_model_is_bounded():
    async with EmbeddedChat() as chat:
        model = local_provider(chat).model(MODEL.chat_model)
    assert model.max_tokens is not None
    assert model.max_tokens < MODEL.context_window


@pytest.mark.parametrize("model", [MODEL.chat_model, MODEL.embedding_model])
async def test_the_embedded_model_costs_nothing_which_is_a_known_price(model):
    async with EmbeddedChat() as chat:
        price = local_provider(chat).prices[model]
    assert (cost(Usage(100, 20, 120, cached=30, cache_write=10), price), price.source) == (0, "embedded")
