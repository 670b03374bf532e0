"""Wire formats. The table of codecs towards providers, by the name that a configuration gives as `api`."""

from collections.abc import Mapping

from gateway.wire.anthropic_messages.upstream import AnthropicMessages
from gateway.wire.bedrock_converse.upstream import BedrockConverse
from gateway.wire.contract import UpstreamFormat
from gateway.wire.openai_chat.upstream import OpenAIChat

UPSTREAMS: Mapping[str, UpstreamFormat] = {
    "openai-completions": OpenAIChat(),
    "anthropic-messages": AnthropicMessages(),
    "bedrock-converse-stream": BedrockConverse(),
}

DEFAULT_UPSTREAM = "openai-completions"
"""The format of a row that names none."""
