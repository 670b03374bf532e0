"""The provider-facing codec of the Responses format: its request, its whole response, its stream."""

from collections.abc import Mapping
from typing import Any

from gateway.core.event import Batch
from gateway.core.turn import Turn
from gateway.core.upstream_error import UpstreamError
from gateway.wire.contract import CountingFormat, EmbeddingsFormat, OwnTools, Parser, WireRequest
from gateway.wire.model import ModelSpec
from gateway.wire.openai_error import classify
from gateway.wire.openai_responses import AZURE, WIRE
from gateway.wire.openai_responses.answer import StreamParser, parse_answer
from gateway.wire.openai_responses.counting import ResponsesCounting
from gateway.wire.openai_responses.profile import profile_from, profile_of
from gateway.wire.openai_responses.request import build_request

_PATH = "/responses"


class OpenAIResponses:
    """See UpstreamFormat. `embeddings` are those of OpenAI's API, which both of its formats share."""

    name: str = WIRE
    key_header: str | None = None
    counting: CountingFormat | None = ResponsesCounting()
    base_version: str | None = None
    own_tools: OwnTools = "any"
    stop_sequences = False
    listing: WireRequest | None = WireRequest("/models", b"")

    def __init__(self, embeddings: EmbeddingsFormat) -> None:
        self.embeddings = embeddings

    def profile(self, quirks: Mapping[str, object]) -> object:
        """See `profile.Profile`."""
        return profile_from(quirks)

    def reads_pdfs(self, model: ModelSpec) -> bool:
        """Servers that speak the format differ; OpenAI's models do that see images."""
        return profile_of(model).pdfs and model.images is True

    def paths(self) -> tuple[str, ...]:
        """See UpstreamFormat."""
        return (_PATH,)

    def request(self, turn: Turn, model: ModelSpec) -> WireRequest:
        """See `request.build_request`."""
        return WireRequest(_PATH, build_request(turn, model))

    def parse_answer(self, body: bytes, model: ModelSpec) -> Batch:
        """See `answer.parse_answer`."""
        return parse_answer(body, model)

    def parser(self, model: ModelSpec) -> Parser:
        """See `answer.StreamParser`."""
        return StreamParser(model)

    def error(self, status: int, payload: Any, retry_after: float | None) -> UpstreamError:
        """See `openai_error.classify`; a failed response holds the same error object."""
        return classify(status, payload, retry_after=retry_after)


class AzureResponses(OpenAIResponses):
    """The same at Azure, which has the key in a header of its own. The model is the name of a deployment."""

    name = AZURE
    key_header = "api-key"
    listing = None
