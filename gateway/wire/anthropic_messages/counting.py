"""Counts the tokens of a message at the provider: https://platform.claude.com/docs/en/api/messages-count-tokens."""

from gateway.core.jsonio import dumps
from gateway.core.turn import Turn
from gateway.wire.anthropic_messages.request import build_request, headers_of
from gateway.wire.contract import WireRequest
from gateway.wire.model import ModelSpec
from gateway.wire.token_count import input_tokens

_PATH = "/v1/messages/count_tokens"
_FIELDS = frozenset({
    "model", "messages", "system", "tools", "tool_choice", "thinking", "output_config", "cache_control",
    "context_management", "compaction", "mcp_servers", "speed",
})  # fmt: skip
"""What the endpoint accepts; it refuses the settings of an answer."""


class MessagesCounting:
    """See CountingFormat."""

    def request(self, turn: Turn, model: ModelSpec) -> WireRequest:
        """The message without the settings of an answer."""
        built = build_request(turn, model)
        body = {name: value for name, value in built.fields.items() if name in _FIELDS}
        return WireRequest(_PATH, dumps(body), headers_of(built))

    def parse(self, body: bytes) -> int:
        """See `input_tokens`."""
        return input_tokens(body)
