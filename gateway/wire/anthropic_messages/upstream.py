"""The provider-facing codec of the Messages API: its request, its whole answer, its stream."""

from collections.abc import Mapping
from typing import Any

from gateway.core.event import Batch
from gateway.core.turn import Turn
from gateway.core.upstream_error import UpstreamError
from gateway.wire.anthropic_messages import WIRE
from gateway.wire.anthropic_messages.answer import StreamParser, parse_answer
from gateway.wire.anthropic_messages.counting import MessagesCounting
from gateway.wire.anthropic_messages.errors import classify
from gateway.wire.anthropic_messages.profile import profile_from
from gateway.wire.anthropic_messages.request import VERSION, build_request, headers_of
from gateway.wire.claude import abilities_of
from gateway.wire.contract import CountingFormat, OwnTools, Parser, WireRequest
from gateway.wire.model import ModelSpec

_PATH = "/v1/messages"


class AnthropicMessages:
    """See UpstreamFormat."""

    name = WIRE
    key_header = "x-api-key"
    embeddings = None
    counting: CountingFormat | None = MessagesCounting()
    base_version: str | None = ""
    own_tools: OwnTools = "labelled"
    stop_sequences = True
    listing: WireRequest | None = WireRequest("/v1/models?limit=1000", b"", VERSION)

    def profile(self, quirks: Mapping[str, object]) -> object:
        """See `profile.Profile`."""
        return profile_from(quirks)

    def reads_pdfs(self, model: ModelSpec) -> bool:
        """See `models.Abilities`."""
        return abilities_of(model.id).pdfs

    def paths(self) -> tuple[str, ...]:
        """See UpstreamFormat."""
        return (_PATH,)

    def request(self, turn: Turn, model: ModelSpec) -> WireRequest:
        """See `request.build_request`."""
        built = build_request(turn, model)
        return WireRequest(_PATH, built.body, headers_of(built), built.choice_in_words)

    def parse_answer(self, body: bytes, model: ModelSpec) -> Batch:
        """See `answer.parse_answer`."""
        return parse_answer(body, model)

    def parser(self, model: ModelSpec) -> Parser:
        """See `answer.StreamParser`."""
        return StreamParser(model)

    def error(self, status: int, payload: Any, retry_after: float | None) -> UpstreamError:
        """See `errors.classify`."""
        return classify(status, payload, retry_after=retry_after)
