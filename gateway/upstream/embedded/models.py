"""What the embedded model is called and what it can do, as one value. Nothing is loaded here."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class EmbeddedModel:
    """The provider id, its two models and their bounds. Chat is text only and knows no tools.

    `context_window` is tokens of prompt and answer together, for each request. `embedding_input` is the most tokens
    of one text.
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
    # Half of what the model was trained for: one core reads about 150 tokens of prompt a second, so a longer prompt
    # would outlast any client's patience, and every 4096 tokens of context take 94 MB.
    context_window=4096,
    embedding_model="multilingual-e5-small",
    dimensions=384,
    # OpenAI's own bound; 20 s of one core.
    embedding_input=8192,
)
