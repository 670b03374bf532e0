"""Every name in a span: OpenTelemetry's semantic conventions for GenAI and HTTP, then ours.

The conventions for GenAI are still in development, and OpenTelemetry's own package of constants no longer has them, so
this is the table, as of https://github.com/open-telemetry/semantic-conventions-genai on 27 November 2026.
"""

from collections.abc import Mapping
from typing import Final

SCOPE: Final = "openclaw-gateway"

# GenAI
OPERATION: Final = "gen_ai.operation.name"
PROVIDER: Final = "gen_ai.provider.name"
AGENT: Final = "gen_ai.agent.name"
CONVERSATION: Final = "gen_ai.conversation.id"
REQUEST_MODEL: Final = "gen_ai.request.model"
REQUEST_STREAM: Final = "gen_ai.request.stream"
RESPONSE_ID: Final = "gen_ai.response.id"
RESPONSE_MODEL: Final = "gen_ai.response.model"
FINISH_REASONS: Final = "gen_ai.response.finish_reasons"
FIRST_CHUNK: Final = "gen_ai.response.time_to_first_chunk"  # seconds
INPUT_TOKENS: Final = "gen_ai.usage.input_tokens"
OUTPUT_TOKENS: Final = "gen_ai.usage.output_tokens"
CACHE_READ_TOKENS: Final = "gen_ai.usage.cache_read.input_tokens"
CACHE_WRITE_TOKENS: Final = "gen_ai.usage.cache_creation.input_tokens"
REASONING_TOKENS: Final = "gen_ai.usage.reasoning.output_tokens"
SYSTEM_INSTRUCTIONS: Final = "gen_ai.system_instructions"  # these three only if content is enabled; JSON
INPUT_MESSAGES: Final = "gen_ai.input.messages"
OUTPUT_MESSAGES: Final = "gen_ai.output.messages"
TOOL: Final = "gen_ai.tool.name"
TOOL_TYPE: Final = "gen_ai.tool.type"

# Values of OPERATION
CHAT: Final = "chat"
GENERATE: Final = "generate_content"
EMBEDDINGS: Final = "embeddings"
INVOKE_AGENT: Final = "invoke_agent"
EXECUTE_TOOL: Final = "execute_tool"

# General
ERROR: Final = "error.type"
SERVER_ADDRESS: Final = "server.address"
SERVER_PORT: Final = "server.port"
METHOD: Final = "http.request.method"
ROUTE: Final = "http.route"
STATUS: Final = "http.response.status_code"

# Ours
REQUEST_ID: Final = "openclaw.request.id"
REQUEST_OUTCOME: Final = "openclaw.request.outcome"
RUN_OUTCOME: Final = "openclaw.run.outcome"
RUN_ENDPOINT: Final = "openclaw.run.endpoint"
RUN_ATTEMPTS: Final = "openclaw.run.attempts"
RUN_RESCUES: Final = "openclaw.run.rescues"
ATTEMPT: Final = "openclaw.attempt.number"
ATTEMPT_OUTCOME: Final = "openclaw.attempt.outcome"
ATTEMPT_PAUSE: Final = "openclaw.attempt.pause"  # seconds before it
ATTEMPT_KEY: Final = "openclaw.attempt.key"  # which key of the configuration, never the key
CONTENT_TRUNCATED: Final = "openclaw.content.truncated"
TOOL_OUTCOME: Final = "openclaw.tool.outcome"

PROVIDERS: Final[Mapping[str, str]] = {
    "amazon-bedrock": "aws.bedrock",
    "amazon-bedrock-mantle": "aws.bedrock",
    "google": "gcp.gemini",
    "google-vertex": "gcp.vertex_ai",
    "microsoft-foundry": "azure.ai.openai",
    "mistral": "mistral_ai",
    "moonshot": "moonshot_ai",
    "xai": "x_ai",
}
"""Values of PROVIDER by the id of the provider, where they differ."""

FORMAT_PROVIDERS: Final[Mapping[str, str]] = {
    "azure-openai-responses": "azure.ai.openai",
    "bedrock-converse-stream": "aws.bedrock",
    "google-vertex": "gcp.vertex_ai",
}
"""The same by a wire format that only one service has, for rows with a name of their own."""

FORMAT_OPERATIONS: Final[Mapping[str, str]] = {"google-generative-ai": GENERATE, "google-vertex": GENERATE}
"""Values of OPERATION by wire format; CHAT for all others."""
