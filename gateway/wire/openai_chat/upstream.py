"""The provider-facing codec of the chat completions format: its request, its whole answer, its stream."""

from gateway.core.event import Batch
from gateway.core.turn import Turn
from gateway.wire.compat import ModelSpec
from gateway.wire.contract import Parser
from gateway.wire.openai_chat.answer import StreamParser, parse_reply
from gateway.wire.openai_chat.request import build_request


class OpenAIChat:
    """Stateless; one for all providers."""

    path = "/chat/completions"

    def build_request(self, turn: Turn, model: ModelSpec) -> bytes:
        """See `request.build_request`."""
        return build_request(turn, model)

    def parse_reply(self, body: bytes) -> Batch:
        """See `answer.parse_reply`."""
        return parse_reply(body)

    def parser(self) -> Parser:
        """See `answer.StreamParser`."""
        return StreamParser()
