"""Wire formats. The table of codecs towards providers, by the name that a configuration gives as `api`."""

from collections.abc import Mapping

from gateway.wire.anthropic_messages.upstream import AnthropicMessages
from gateway.wire.bedrock_converse.upstream import BedrockConverse
from gateway.wire.contract import UpstreamFormat
from gateway.wire.google_generative.upstream import GoogleGenerative, GoogleVertex
from gateway.wire.ollama.upstream import Ollama
from gateway.wire.openai_chat.embeddings import ChatEmbeddings
from gateway.wire.openai_chat.upstream import OpenAIChat
from gateway.wire.openai_responses.upstream import AzureResponses, OpenAIResponses

_FORMATS: tuple[UpstreamFormat, ...] = (
    OpenAIChat(),
    OpenAIResponses(ChatEmbeddings(of_openai=True)),
    AzureResponses(ChatEmbeddings(of_openai=True)),
    AnthropicMessages(),
    Ollama(),
    GoogleGenerative(),
    GoogleVertex(),
    BedrockConverse(),
)
UPSTREAMS: Mapping[str, UpstreamFormat] = {upstream.name: upstream for upstream in _FORMATS}

OWN_TOOLS = frozenset(name for name, upstream in UPSTREAMS.items() if upstream.own_tools == "any")
"""The formats whose `own_tools` are `any`."""

AZURE = AzureResponses.name
OPENAI_FORMATS = frozenset({OpenAIChat.name, OpenAIResponses.name})
"""OpenAI's formats; at an address of Azure, they are authorised as `AZURE` is."""

DEFAULT_UPSTREAM = OpenAIChat.name
"""The format of a row that names none."""
