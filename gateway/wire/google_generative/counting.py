"""Counts the tokens of a request at Google: https://ai.google.dev/api/tokens."""

from gateway.core.jsonio import dumps
from gateway.core.turn import Turn
from gateway.wire.contract import WireRequest
from gateway.wire.google_generative.paths import model_path, publisher_path
from gateway.wire.google_generative.request import build_body
from gateway.wire.model import ModelSpec
from gateway.wire.token_count import total_tokens

_METHOD = ":countTokens"
_VERTEX_FIELDS = frozenset({"contents", "systemInstruction", "tools", "generationConfig"})


class GoogleCounting:
    """See CountingFormat."""

    def request(self, turn: Turn, model: ModelSpec) -> WireRequest:
        """The whole request: beside it, only contents are counted."""
        path = model_path(model.id)
        body = {"model": path.removeprefix("/"), **build_body(turn, model)}
        return WireRequest(path + _METHOD, dumps({"generateContentRequest": body}))

    def parse(self, body: bytes) -> int:
        """See `total_tokens`."""
        return total_tokens(body)


class VertexCounting(GoogleCounting):
    """The same at Vertex AI, which takes the fields of the prompt themselves."""

    def request(self, turn: Turn, model: ModelSpec) -> WireRequest:
        """The prompt and its tools."""
        body = {name: value for name, value in build_body(turn, model).items() if name in _VERTEX_FIELDS}
        return WireRequest(publisher_path(model.id) + _METHOD, dumps(body))
