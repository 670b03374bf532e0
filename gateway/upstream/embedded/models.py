"""The names and limits of the embedded model. This module loads nothing."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class EmbeddedModel:
    """The provider id, its two models and their limits. The chat model supports text only, without tools.

    `context_window` is tokens of prompt and answer together, per request. `embedding_input` is the maximum of tokens
    per text.
    """

    provider: str
    chat_model: str
    context_window: int
    embedding_model: str
    dimensions: int
    embedding_input: int


MODEL = EmbeddedModel(
    provider="local",
    chat_model="smollm2-135m",
    # Half of the model's training window: one core reads about 150 tokens of prompt per second, so a longer prompt
    # would exceed most clients' timeouts, and every 4096 tokens of context take 94 MB.
    context_window=4096,
    embedding_model="multilingual-e5-small",
    dimensions=384,
    # OpenAI's own limit; it takes one core 20 s.
    embedding_input=8192,
)
