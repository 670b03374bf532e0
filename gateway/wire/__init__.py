"""Wire formats. The table of codecs towards providers, by the name that a configuration gives as `api`."""

from collections.abc import Mapping

from gateway.wire.anthropic_messages.upstream import AnthropicMessages
from gateway.wire.contract import UpstreamFormat
from gateway.wire.google_generative.upstream import GoogleGenerative
from gateway.wire.ollama.upstream import Ollama
from gateway.wire.openai_chat.upstream import OpenAIChat

UPSTREAMS: Mapping[str, UpstreamFormat] = {
    "openai-completions": OpenAIChat(),
    "anthropic-messages": AnthropicMessages(),
    "ollama": Ollama(),
    "google-generative-ai": GoogleGenerative(),
}

DEFAULT_UPSTREAM = "openai-completions"
"""The format of a row that names none."""
