"""The built-in providers, as rows.

Base URLs and key variables come from each provider's documentation; quirks differ from the default only where that
documentation requires it. A configured row with the same id overrides the built-in row field by field.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from gateway.upstream.authorise import KeyHeaders
from gateway.wire import DEFAULT_UPSTREAM

_OPENAI = {
    "supports_developer_role": True,
    "max_tokens_field": "max_completion_tokens",
    "embedding_base64": True,
    "supports_tool_call_fields": False,
}


@dataclass(frozen=True, slots=True)
class Row:
    """One endpoint: its address, the environment variables of its key, its default models, its wire format (`api`), and
    the headers that carry its key, None for those of the format. `quirks` are those of `compat` in a configuration, in
    snake case.
    """

    base_url: str
    key_variables: tuple[str, ...] = ()
    model: str | None = None
    embedding_model: str | None = None
    quirks: Mapping[str, object] = field(default_factory=dict)
    local: bool = False
    api: str = DEFAULT_UPSTREAM
    key_headers: KeyHeaders | None = None


CATALOG: Mapping[str, Row] = {
    "openai": Row("https://api.openai.com/v1", ("OPENAI_API_KEY",), "gpt-5.4", "text-embedding-3-small", _OPENAI),
    "anthropic": Row(
        "https://api.anthropic.com", ("ANTHROPIC_API_KEY",), "claude-sonnet-4-6", api="anthropic-messages"
    ),
    "openrouter": Row("https://openrouter.ai/api/v1", ("OPENROUTER_API_KEY",), "openrouter/auto"),
    "groq": Row(
        "https://api.groq.com/openai/v1",
        ("GROQ_API_KEY",),
        "llama-3.3-70b-versatile",
        quirks={"max_tokens_field": "max_completion_tokens", "supports_tool_call_fields": False},
    ),
    "mistral": Row(
        "https://api.mistral.ai/v1",
        ("MISTRAL_API_KEY",),
        "mistral-large-latest",
        "mistral-embed",
        # Mistral answers unknown fields with 422, and reports usage without being asked.
        {
            "supports_usage_in_streaming": False,
            "supports_unknown_fields": False,
            "supports_tool_call_fields": False,
        },
    ),
    "deepseek": Row("https://api.deepseek.com/v1", ("DEEPSEEK_API_KEY",), "deepseek-chat"),
    "together": Row("https://api.together.xyz/v1", ("TOGETHER_API_KEY",), "meta-llama/Llama-3.3-70B-Instruct-Turbo"),
    "xai": Row("https://api.x.ai/v1", ("XAI_API_KEY",), "grok-4"),
    "fireworks": Row(
        "https://api.fireworks.ai/inference/v1", ("FIREWORKS_API_KEY",), quirks={"supports_tool_call_fields": False}
    ),
    "cerebras": Row("https://api.cerebras.ai/v1", ("CEREBRAS_API_KEY",), "llama-3.3-70b"),
    "perplexity": Row("https://api.perplexity.ai", ("PERPLEXITY_API_KEY",), "sonar", quirks={"supports_tools": False}),
    "moonshot": Row("https://api.moonshot.ai/v1", ("MOONSHOT_API_KEY",), "kimi-k2-turbo-preview"),
    "nvidia": Row("https://integrate.api.nvidia.com/v1", ("NVIDIA_API_KEY",)),
    "huggingface": Row("https://router.huggingface.co/v1", ("HF_TOKEN", "HUGGINGFACE_HUB_TOKEN")),
    "google": Row(
        "https://generativelanguage.googleapis.com/v1beta/openai",
        ("GEMINI_API_KEY", "GOOGLE_API_KEY"),
        "gemini-2.5-flash",
        "gemini-embedding-001",
    ),
    "vercel-ai-gateway": Row("https://ai-gateway.vercel.sh/v1", ("AI_GATEWAY_API_KEY",)),
    "ollama": Row("http://127.0.0.1:11434/v1", ("OLLAMA_API_KEY",), local=True),
    "lmstudio": Row("http://127.0.0.1:1234/v1", ("LMSTUDIO_API_KEY",), local=True),
    "vllm": Row("http://127.0.0.1:8000/v1", ("VLLM_API_KEY",), local=True),
    "llamacpp": Row("http://127.0.0.1:8080/v1", ("LLAMACPP_API_KEY",), local=True),
    "sglang": Row("http://127.0.0.1:30000/v1", ("SGLANG_API_KEY",), local=True),
    "litellm": Row("http://127.0.0.1:4000/v1", ("LITELLM_API_KEY",), local=True),
}
