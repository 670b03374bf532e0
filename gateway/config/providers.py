"""`models`: providers, their models, and the quirks of each (`compat`), under OpenClaw's names."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr

from gateway.config import accepted
from gateway.config.params import RequestParams
from gateway.config.secret import Secret
from gateway.config.section import PositiveCount, Seconds, Section


def _provider_id(name: str) -> str:
    name = name.strip().lower()
    if not name or "/" in name or any(c.isspace() for c in name):
        raise ValueError("is not a provider id: use a name without slashes or spaces")
    return name


ProviderId = Annotated[str, AfterValidator(_provider_id)]


def _unique(providers: object) -> object:
    if isinstance(providers, dict) and len({str(name).strip().lower() for name in providers}) < len(providers):
        raise ValueError("holds the same id twice (case is ignored in ids); keep one")
    return providers


class CompatConfig(Section):
    """What an endpoint can and can't do; None means that the provider's or the wire format's default holds.

    OpenClaw's names and meanings (its page on custom providers), then ours at the end.
    """

    UNUSED: ClassVar[frozenset[str]] = accepted.COMPAT

    supports_tools: bool | None = None
    supports_developer_role: bool | None = None
    supports_store: bool | None = None
    supports_temperature: bool | None = None
    supports_prompt_cache_key: bool | None = None
    supports_reasoning_effort: bool | None = None
    supports_usage_in_streaming: bool | None = None
    supports_strict_mode: bool | None = None
    supports_json_schema_response_format: bool | None = None
    max_tokens_field: Literal["max_completion_tokens", "max_tokens"] | None = None
    requires_tool_result_name: bool | None = None
    requires_string_content: bool | None = None
    requires_reasoning_content_on_assistant_messages: bool | None = None
    strict_message_keys: bool | None = None
    supported_reasoning_efforts: tuple[str, ...] | None = None
    reasoning_effort_map: dict[str, str] | None = None
    thinking_format: (
        Literal["openai", "openrouter", "deepseek", "zai", "together", "qwen", "qwen-chat-template"] | None
    ) = None
    requires_assistant_after_tool_result: bool | None = None
    requires_thinking_as_text: bool | None = None
    visible_reasoning_detail_types: tuple[str, ...] | None = None
    zai_tool_stream: bool | None = None
    requires_mistral_tool_ids: bool | None = None
    cache_control_format: Literal["anthropic"] | None = None
    unsupported_tool_schema_keywords: tuple[str, ...] | None = None
    tool_schema_profile: Literal["gemini", "llamacpp", "xai"] | None = None
    accepts_prefill: bool | None = None
    supports_tool_choice: bool | None = None
    supports_parallel_tool_calls: bool | None = None
    embedding_base64: bool | None = None
    embedding_batch_size: PositiveCount | None = None
    supports_embedding_tokens: bool | None = None
    supports_tool_call_fields: bool | None = None
    supports_late_system: bool | None = None
    supports_own_tools: bool | None = None
    supports_pdf_input: bool | None = None
    supports_unknown_fields: bool | None = None
    supports_prompt_cache: bool | None = None
    supports_block_binding: bool | None = None
    seed_field: Literal["seed", "random_seed"] | None = None
    open_router_routing: dict[str, Any] | None = None
    vercel_gateway_routing: dict[str, Any] | None = None


Dollars = Annotated[float, Field(ge=0, le=10**6)]
"""US dollars per million tokens."""


class TierConfig(Section):
    """The prices of requests whose prompt has at least `range[0]` tokens."""

    input: Dollars | None = None
    output: Dollars | None = None
    cache_read: Dollars | None = None
    cache_write: Dollars | None = None
    cache_write_1h: Dollars | None = Field(default=None, alias="cacheWrite1h")
    range: Annotated[tuple[float, ...], Field(min_length=1, max_length=2)]


class CostConfig(Section):
    """Prices of a model. A missing one comes from the catalogue; without any, the price is unknown."""

    input: Dollars | None = None
    output: Dollars | None = None
    cache_read: Dollars | None = None
    cache_write: Dollars | None = None
    cache_write_1h: Dollars | None = Field(default=None, alias="cacheWrite1h")
    tiered_pricing: tuple[TierConfig, ...] = ()


ThinkingLevel = Literal["off", "minimal", "low", "medium", "high", "xhigh", "max"]


class ModelConfig(Section):
    """One model of a provider. `base_url`, `api` and `headers` replace or extend those of its provider."""

    UNUSED: ClassVar[frozenset[str]] = accepted.MODEL
    INERT: ClassVar[frozenset[str]] = frozenset({"name"})

    id: Annotated[str, Field(min_length=1)]
    name: str | None = None
    api: str | None = None
    base_url: str | None = None
    reasoning: bool = False
    input: tuple[Literal["text", "image", "audio", "video"], ...] = ("text",)
    context_window: PositiveCount | None = None
    context_tokens: PositiveCount | None = None
    max_tokens: PositiveCount | None = None
    cost: CostConfig = CostConfig()
    compat: CompatConfig = CompatConfig()
    headers: dict[str, Secret] = Field(default_factory=dict)
    params: RequestParams = Field(default_factory=dict)
    thinking_level_map: dict[ThinkingLevel, str | None] = Field(default_factory=dict)


class RequestAuthConfig(Section):
    """`request.auth`: how a call is authorised. `authorization-bearer` sends `token`, `header` sends `prefix` and
    `value` in the header `header_name`, and `provider-default` the key as the wire format has it.
    """

    mode: Literal["provider-default", "authorization-bearer", "header"] = "provider-default"
    token: Secret | None = None
    header_name: str = ""
    value: Secret | None = None
    prefix: str = ""


class TlsConfig(Section):
    """`tls`: PEM texts of certificates to trust (`ca`) and of the gateway's own certificate (`cert`, `key`)."""

    ca: SecretStr | None = None  # several lines, unlike other secrets
    cert: SecretStr | None = None
    key: SecretStr | None = None
    passphrase: Secret | None = None
    server_name: str | None = None
    insecure_skip_verify: bool = False


class ProxyConfig(Section):
    """`proxy`: the one at `url`, or with `env-proxy` that of HTTPS_PROXY, HTTP_PROXY and NO_PROXY."""

    mode: Literal["env-proxy", "explicit-proxy"]
    url: Secret | None = None
    """May hold a login."""
    tls: TlsConfig | None = None
    """For a proxy at an https URL."""


class RequestConfig(Section):
    """`request`: how calls are sent."""

    UNUSED: ClassVar[frozenset[str]] = frozenset({"allowPrivateNetwork"})

    headers: dict[str, Secret] = Field(default_factory=dict)
    auth: RequestAuthConfig = RequestAuthConfig()
    proxy: ProxyConfig | None = None
    tls: TlsConfig | None = None


class ProviderConfig(Section):
    """One endpoint. `api_keys` (ours) are used in turn beside `api_key`; header values may be secrets.

    `region` is that of Amazon's endpoints, in their addresses and signatures.
    """

    UNUSED: ClassVar[frozenset[str]] = accepted.PROVIDER

    base_url: str | None = None
    api_key: Secret | None = None
    api_keys: tuple[Secret, ...] = ()
    api: str | None = None
    auth: Literal["api-key", "token", "oauth", "aws-sdk"] | None = None
    auth_header: bool | None = None
    region: str | None = None
    inject_num_ctx: bool = Field(default=True, alias="injectNumCtxForOpenAICompat")
    headers: dict[str, Secret] = Field(default_factory=dict)
    request: RequestConfig = RequestConfig()
    timeout_seconds: Seconds | None = None
    send_trace_context: bool = False
    """Ours: calls carry the `traceparent` of their span, where traces are exported."""
    context_window: PositiveCount | None = None
    context_tokens: PositiveCount | None = None
    max_tokens: PositiveCount | None = None
    params: RequestParams = Field(default_factory=dict)
    models: tuple[ModelConfig, ...] = ()


class ModelsConfig(Section):
    """`models`; ids of providers are lower case. With `replace`, the built-in catalogue is left out."""

    UNUSED: ClassVar[frozenset[str]] = accepted.MODELS

    mode: Literal["merge", "replace"] = "merge"
    providers: Annotated[dict[ProviderId, ProviderConfig], BeforeValidator(_unique)] = Field(default_factory=dict)
