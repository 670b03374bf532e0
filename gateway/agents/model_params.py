"""The request fields that an agent sets for one of its models (`agents.*.models`), and the effort of those that reason.

From the weakest: `agents.defaults.params`, the model's entry in `agents.defaults.models`, its entry in the agent's own
`models`, the agent's own `params` (OpenClaw's order). `thinkingDefault` holds where none of them sets an effort.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from gateway.agents.model_chain import provider_of_bare
from gateway.config.agents import AgentSettings
from gateway.config.provider_ids import OTHER_IDS, same_provider
from gateway.config.root import Config
from gateway.core.names import ModelRef, parse_model_ref
from gateway.core.params import has_effort, layered
from gateway.upstream.provider import Provider
from gateway.wire import AZURE, OPENAI_FORMATS

_BY_DEFAULT = OPENAI_FORMATS | {AZURE}
"""Formats to whose models `off` is not sent: many of them know no such effort, and don't reason unless asked."""


def model_params(
    config: Config, entry: AgentSettings, refs: Iterable[ModelRef], providers: Mapping[str, Provider]
) -> dict[ModelRef, Mapping[str, Any]]:
    """The fields of each model that has others than the agent's own `params`, those included. `refs` are the models
    that the agent names outside of `models`.
    """
    defaults = config.agents.defaults
    shared, own = _by_model(config, defaults), _by_model(config, entry)
    level = entry.thinking_default or defaults.thinking_default
    common = layered(defaults.params, entry.params)
    result: dict[ModelRef, Mapping[str, Any]] = {}
    for ref in dict.fromkeys((*refs, *shared, *own)):
        params = layered(defaults.params, shared.get(ref, {}), own.get(ref, {}), entry.params)
        if level is not None and not has_effort(params) and _takes(level, ref, providers):
            params["reasoning_effort"] = level
        if params != common:
            result[ref] = params
    return result


def _by_model(config: Config, settings: AgentSettings) -> dict[ModelRef, Mapping[str, Any]]:
    """The fields of each entry, under every id of its provider."""
    result: dict[ModelRef, Mapping[str, Any]] = {}
    for name, model in settings.models.items():
        ref = parse_model_ref(name, provider_of_bare(name, config.models))
        params = model.params if model.thinking is None else layered({"thinking": model.thinking}, model.params)
        if ref is not None and params:
            result |= dict.fromkeys((ModelRef(provider, ref.model) for provider in _ids(ref.provider)), params)
    return result


def _ids(provider: str) -> Iterator[str]:
    first = same_provider(provider)
    yield first
    yield from (other for other, same in OTHER_IDS.items() if same == first)


def _takes(level: str, ref: ModelRef, providers: Mapping[str, Provider]) -> bool:
    """Whether the model reasons, so that the level means something to it."""
    provider = providers.get(ref.provider)
    if provider is None or not provider.model(ref.model).reasoning:
        return False
    return level != "off" or provider.row_for(ref.model).wire not in _BY_DEFAULT
