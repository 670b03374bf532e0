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
_NUMBERS = frozenset({"temperature", "top_p", "frequency_penalty", "presence_penalty"})
_COUNTS = frozenset({"max_tokens", "seed", "top_k"})
_TEXTS = frozenset({"safety_identifier", "service_tier", "verbosity"})
_BODY = ("extraBody", "extra_body")
_LIFETIMES = {"5m": "short", "1h": "long"}


def has_effect(name: str, value: object) -> bool:
    """Whether a setting reaches the provider. One of OpenClaw's runtime does not, nor one with a value of a type that
    its field never has, which OpenClaw ignores too.
    """
    field = _RENAMED.get(name, name)
    if name in accepted.PARAMS or value is None:
        return False
    if field in _NUMBERS:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if field in _COUNTS:
        return type(value) is int and (field != "max_tokens" or value > 0)
    if field == "parallel_tool_calls":
        return isinstance(value, bool)
    return field not in _TEXTS or isinstance(value, str)


def _as_fields(params: dict[str, Any]) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for name, value in params.items():
        if name == "cacheControlTtl":  # the older name of `cacheRetention`
            fields.setdefault("cacheRetention", _LIFETIMES.get(value, value))
        elif name not in _BODY and has_effect(name, value):
            fields[_RENAMED.get(name, name)] = value
    for name in _BODY:
        body = params.get(name, {})
        if not isinstance(body, dict):
            raise ValueError(f"has {name!r}, which must be an object of request fields")  # noqa: TRY004 - for pydantic
        fields |= {field: value for field, value in body.items() if has_effect(field, value)}
    return fields


RequestParams = Annotated[dict[str, Any], AfterValidator(_as_fields)]
"""Request fields, ready to be sent."""
