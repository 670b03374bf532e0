"""The provider-facing codec of Google's format: its request, its whole answer, its stream."""

from collections.abc import Mapping
from typing import Any

from gateway.core.event import Batch
from gateway.core.turn import Turn
from gateway.core.upstream_error import UpstreamError
from gateway.wire.contract import CountingFormat, EmbeddingsFormat, OwnTools, Parser, WireRequest
from gateway.wire.google_generative import VERTEX, WIRE
from gateway.wire.google_generative.answer import StreamParser, parse_answer
from gateway.wire.google_generative.counting import GoogleCounting, VertexCounting
from gateway.wire.google_generative.embeddings import GoogleEmbeddings, VertexEmbeddings
from gateway.wire.google_generative.errors import classify
from gateway.wire.google_generative.paths import model_path, publisher_path
from gateway.wire.google_generative.profile import generation_of, profile_from
from gateway.wire.google_generative.request import build_request, demand_in_words
from gateway.wire.model import ModelSpec


class GoogleGenerative:
    """See UpstreamFormat. The key belongs in a header (`x-goog-api-key`), never into the URL, which servers log."""

    name: str = WIRE
    key_header: str | None = "x-goog-api-key"
    embeddings: EmbeddingsFormat | None = GoogleEmbeddings()
    counting: CountingFormat | None = GoogleCounting()
    base_version: str | None = "v1beta"
    own_tools: OwnTools = "none"
    stop_sequences = True
    listing: WireRequest | None = WireRequest("/models?pageSize=1000", b"")
    _path = staticmethod(model_path)

    def profile(self, quirks: Mapping[str, object]) -> object:
        """See `profile.Profile`."""
        return profile_from(quirks)

    def reads_pdfs(self, model: ModelSpec) -> bool:
        """Every Gemini does; the other models of this API do not."""
        return generation_of(model.id).pdfs

    def paths(self) -> tuple[str, ...]:
        """Every path names a model."""
        return ()

    def request(self, turn: Turn, model: ModelSpec) -> WireRequest:
        """See `request.build_request`. Without `alt=sse` a stream would be one JSON array."""
        method = ":streamGenerateContent?alt=sse" if turn.stream else ":generateContent"
        in_words = demand_in_words(turn, model) is not None
        return WireRequest(self._path(model.id) + method, build_request(turn, model), choice_in_words=in_words)

    def parse_answer(self, body: bytes, model: ModelSpec) -> Batch:
        """See `answer.parse_answer`."""
        return parse_answer(body, model)

    def parser(self, model: ModelSpec) -> Parser:
        """See `answer.StreamParser`."""
        return StreamParser(model)

    def error(self, status: int, payload: Any, retry_after: float | None) -> UpstreamError:
        """See `errors.classify`."""
        return classify(status, payload, retry_after=retry_after)


class GoogleVertex(GoogleGenerative):
    """The same at Vertex AI: other paths and other embeddings."""

    name = VERTEX
    embeddings = VertexEmbeddings()
    counting = VertexCounting()
    base_version = "v1"
    listing = None
    _path = staticmethod(publisher_path)
