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

UPSTREAMS: Mapping[str, UpstreamFormat] = {
    "openai-completions": OpenAIChat(),
    "openai-responses": OpenAIResponses(ChatEmbeddings(of_openai=True)),
    "azure-openai-responses": AzureResponses(ChatEmbeddings(of_openai=True)),
    "anthropic-messages": AnthropicMessages(),
    "ollama": Ollama(),
    "google-generative-ai": GoogleGenerative(),
    "google-vertex": GoogleVertex(),
    "bedrock-converse-stream": BedrockConverse(),
}

OWN_TOOLS = frozenset({"openai-responses", "azure-openai-responses"})
"""The formats with tools that are no functions (custom, hosted, shell …) which the gateway sends in them unchanged."""

LABELLED_TOOLS = frozenset({"anthropic-messages"})
"""The formats with tools that are no functions which the gateway sends unchanged if the client offered them in them."""

WITHOUT_STOP = frozenset({"openai-responses", "azure-openai-responses"})
"""The formats without stop sequences: the gateway ends the answer."""

DEFAULT_UPSTREAM = "openai-completions"
"""The format of a row that names none."""
