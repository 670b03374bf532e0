"""The provider-facing codec of Ollama's format: its request, its whole answer, its stream."""

from collections.abc import Mapping
from typing import Any

from gateway.core.event import Batch
from gateway.core.turn import Turn
from gateway.core.upstream_error import UpstreamError
from gateway.wire.contract import OwnTools, Parser, WireRequest
from gateway.wire.model import ModelSpec
from gateway.wire.ollama import WIRE
from gateway.wire.ollama.answer import StreamParser, parse_answer
from gateway.wire.ollama.embeddings import OllamaEmbeddings
from gateway.wire.ollama.errors import classify
from gateway.wire.ollama.profile import profile_from
from gateway.wire.ollama.request import build_request
from gateway.wire.tool_demand import demand_of

_PATH = "/api/chat"


class Ollama:
    """See UpstreamFormat."""

    name = WIRE
    key_header = None
    embeddings = OllamaEmbeddings()
    counting = None
    base_version: str | None = ""  # /v1 is its OpenAI-compatible side
    own_tools: OwnTools = "none"
    stop_sequences = True
    listing: WireRequest | None = WireRequest("/api/tags", b"")

    def profile(self, quirks: Mapping[str, object]) -> object:
        """See `profile.Profile`."""
        return profile_from(quirks)

    def reads_pdfs(self, model: ModelSpec) -> bool:  # noqa: ARG002  no model does
        """See UpstreamFormat."""
        return False

    def paths(self) -> tuple[str, ...]:
        """See UpstreamFormat."""
        return (_PATH,)

    def request(self, turn: Turn, model: ModelSpec) -> WireRequest:
        """See `request.build_request`."""
        return WireRequest(_PATH, build_request(turn, model), choice_in_words=demand_of(turn.tool_choice) is not None)

    def parse_answer(self, body: bytes, model: ModelSpec) -> Batch:
        """See `answer.parse_answer`."""
        return parse_answer(body, model)

    def parser(self, model: ModelSpec) -> Parser:
        """See `answer.StreamParser`."""
        return StreamParser(model)

    def error(self, status: int, payload: Any, retry_after: float | None) -> UpstreamError:
        """See `errors.classify`."""
        return classify(status, payload, retry_after=retry_after)
