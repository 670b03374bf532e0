from gateway.upstream.embedded import MODEL
from gateway.upstream.embedded.chat import EmbeddedChat
from gateway.upstream.local import local_provider


async def test_an_answer_of_the_embedded_model_is_bounded():
    async with EmbeddedChat() as chat:
        model = local_provider(chat).model(MODEL.chat_model)
    assert model.max_tokens is not None
    assert model.max_tokens < MODEL.context_window
