"""`params`: the operator's request fields, under the names of a provider's format or OpenClaw's own.

Providers get them unchanged, so OpenClaw's names become those of the field, and settings of its runtime are left out: a
strict provider refuses a request with a field that it does not know.
"""

from typing import Annotated, Any

from pydantic import AfterValidator

from gateway.config import accepted

_RENAMED = {
    "chatTemplateKwargs": "chat_template_kwargs",
    "frequencyPenalty": "frequency_penalty",
    "maxTokens": "max_tokens",
    "parallelToolCalls": "parallel_tool_calls",
    "presencePenalty": "presence_penalty",
    "reasoningEffort": "reasoning_effort",
    "responseFormat": "response_format",
    "safetyIdentifier": "safety_identifier",
    "serviceTier": "service_tier",
    "textVerbosity": "verbosity",
    "text_verbosity": "verbosity",
    "topK": "top_k",
    "topP": "top_p",
}
_BODY = ("extraBody", "extra_body")
_LIFETIMES = {"5m": "short", "1h": "long"}


def _as_fields(params: dict[str, Any]) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for name, value in params.items():
        if name == "cacheControlTtl":  # the older name of `cacheRetention`
            fields.setdefault("cacheRetention", _LIFETIMES.get(value, value))
        elif name not in accepted.PARAMS and name not in _BODY:
            fields[_RENAMED.get(name, name)] = value
    for name in _BODY:
        body = params.get(name, {})
        if not isinstance(body, dict):
            raise ValueError(f"has {name!r}, which must be an object of request fields")  # noqa: TRY004 - for pydantic
        fields |= body
    return fields


RequestParams = Annotated[dict[str, Any], AfterValidator(_as_fields)]
"""Request fields, ready to be sent."""
