"""The provider-facing codec of the Converse API: its request, its whole answer, its event stream."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import quote

from gateway.core.event import Batch
from gateway.core.turn import Turn
from gateway.core.upstream_error import UpstreamError
from gateway.wire.bedrock_converse import WIRE
from gateway.wire.bedrock_converse.answer import StreamParser, parse_answer
from gateway.wire.bedrock_converse.embeddings import BedrockEmbeddings
from gateway.wire.bedrock_converse.errors import classify
from gateway.wire.bedrock_converse.profile import profile_from
from gateway.wire.bedrock_converse.request import build_request
from gateway.wire.claude import abilities_of
from gateway.wire.contract import OwnTools, Parser, WireRequest
from gateway.wire.model import ModelSpec


class BedrockConverse:
    """See UpstreamFormat."""

    name = WIRE
    key_header = None
    embeddings = BedrockEmbeddings()
    counting = None
    base_version: str | None = None
    own_tools: OwnTools = "none"
    stop_sequences = True
    listing: WireRequest | None = None

    def profile(self, quirks: Mapping[str, object]) -> object:
        """See `profile.Profile`."""
        return profile_from(quirks)

    def reads_pdfs(self, model: ModelSpec) -> bool:
        """See `claude.Abilities`; other makers' models read the text."""
        return abilities_of(model.id).pdfs

    def paths(self) -> tuple[str, ...]:
        """See UpstreamFormat: the path names the model."""
        return ()

    def request(self, turn: Turn, model: ModelSpec) -> WireRequest:
        """See `request.build_request`."""
        body, in_words = build_request(turn, model)
        return WireRequest(_path(model.id, stream=turn.stream), body, choice_in_words=in_words)

    def parse_answer(self, body: bytes, model: ModelSpec) -> Batch:
        """See `answer.parse_answer`."""
        return parse_answer(body, model)

    def parser(self, model: ModelSpec) -> Parser:
        """See `answer.StreamParser`."""
        return StreamParser(model)

    def error(self, status: int, payload: Any, retry_after: float | None) -> UpstreamError:
        """See `errors.classify`."""
        return classify(status, payload, retry_after=retry_after)


@lru_cache(maxsize=256)
def _path(model: str, *, stream: bool) -> str:
    """Of a model's id, whose colons and slashes are escaped too."""
    return f"/model/{quote(model, safe='')}/{'converse-stream' if stream else 'converse'}"
