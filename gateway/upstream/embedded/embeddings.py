"""The embedded embedding model, multilingual-e5-small, in one thread of this process."""

import asyncio
import contextlib
import math
import os
from array import array
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from gateway.core.errors import BadRequest
from gateway.upstream.embedded.e5 import E5
from gateway.upstream.embedded.models import MODEL
from gateway.upstream.embedded.weights import embeddings_available, missing


@dataclass(frozen=True, slots=True)
class EmbeddedVectors:
    """One vector of length 1 per text, in order. `tokens` is the model's own count, including its prefix."""

    vectors: list[list[float]]
    tokens: int


class EmbeddedEmbeddings:
    """The model. The first text loads it into its thread.

    Texts of all requests take turns, so no request waits for another one's whole list. A cancelled request drops its
    remaining texts.
    """

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="embedded-embeddings")
        self._model: E5 | None = None

    async def embed(self, texts: Sequence[str], dimensions: int | None = None) -> EmbeddedVectors:
        """Embed each text. With fewer `dimensions`, vectors are cut and normalised to length 1.

        Raises BadRequest for dimensions that the model does not have and for a text above its token limit, and
        Unavailable if the model is not installed.
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
        """Drop the waiting texts, finish the current one, and free the model with its thread."""
        await asyncio.to_thread(self._thread.shutdown, cancel_futures=True)
        if self._model is not None:
            self._model.close()
            self._model = None

    def _embed_one(self, text: str, dimensions: int | None, index: int) -> tuple[list[float], int]:
        if self._model is None:
            self._model = _load()
        # The engine reads C strings: a zero byte would silently end the text. Half a surrogate pair is not UTF-8.
        text = text.replace("\0", " ").encode(errors="replace").decode()
        tokens = self._model.count_tokens(text)
        if tokens > MODEL.embedding_input:
            raise BadRequest(
                f"input[{index}] has {tokens} tokens; {MODEL.embedding_model} takes {MODEL.embedding_input}. Split it.",
                param="input",
            )
        vector = self._model.embed(text)
        return (vector if dimensions is None else _shortened(vector, dimensions)), tokens


def _shortened(vector: list[float], dimensions: int) -> list[float]:
    """The first `dimensions` of the vector, normalised to length 1, in the model's own precision (32 bits)."""
    head = vector[:dimensions]
    length = max(math.sqrt(math.fsum(number * number for number in head)), 1e-12)
    return array("f", (number / length for number in head)).tolist()


def _load() -> E5:
    with _single_threaded():
        return E5()


@contextlib.contextmanager
def _single_threaded() -> Iterator[None]:
    """Set OMP_NUM_THREADS while OpenMP loads, which is when it reads it. An operator's own setting wins."""
    if "OMP_NUM_THREADS" in os.environ:
        yield
        return
    os.environ["OMP_NUM_THREADS"] = "1"
    try:
        yield
    finally:
        del os.environ["OMP_NUM_THREADS"]
