"""Counts the tokens of a request at the provider: https://platform.openai.com/docs/api-reference/responses/input-tokens."""

from gateway.core.jsonio import dumps
from gateway.core.turn import Turn
from gateway.wire.contract import WireRequest
from gateway.wire.model import ModelSpec
from gateway.wire.openai_responses.request import build_body
from gateway.wire.token_count import input_tokens

_PATH = "/responses/input_tokens"
_FIELDS = frozenset({
    "model", "input", "instructions", "tools", "tool_choice", "parallel_tool_calls", "reasoning", "text", "truncation",
    "personality",
})  # fmt: skip
"""What the endpoint accepts, without references to what the provider stores: the gateway sends the conversation."""


class ResponsesCounting:
    """See CountingFormat."""

    def request(self, turn: Turn, model: ModelSpec) -> WireRequest:
        """The request without the settings of an answer."""
        body = {name: value for name, value in build_body(turn, model).items() if name in _FIELDS}
        return WireRequest(_PATH, dumps(body))

    def parse(self, body: bytes) -> int:
        """See `input_tokens`."""
        return input_tokens(body)
