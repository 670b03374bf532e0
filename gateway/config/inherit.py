"""What an agent ends up with: its settings over `agents.defaults`, and the parameters of one model, in OpenClaw's order."""

from typing import Any

from gateway.config.agents import AgentsConfig, AgentSettings, ModelChoice, ModelSettings


def settings_of(agents: AgentsConfig, agent_id: str) -> AgentSettings:
    """The settings of an agent, defaults filled in; KeyError when there is no such agent.

    `models` are merged by model, and a model choice without a primary keeps that of the defaults. `params` are left to
    `params_of`, which needs to know the model.
    """
    entry = agents.entries[agent_id]
    own = {name: getattr(entry, name) for name in entry.model_fields_set & AgentSettings.model_fields.keys()}
    if entry.model is not None and entry.model.primary is None and agents.defaults.model is not None:
        own["model"] = ModelChoice(primary=agents.defaults.model.primary, fallbacks=entry.model.fallbacks)
    if "models" in own:
        own["models"] = _merged(agents.defaults.models, entry.models)
    if "memory" in own or "memory_search" in own:
        own = {"memory": None, "memory_search": None, **own}
    return agents.defaults.model_copy(update=own)


def params_of(agents: AgentsConfig, agent_id: str, model: str) -> dict[str, Any]:
    """The parameters for `model` (`provider/model`) of an agent; KeyError when there is no such agent.

    Later ones win by key: defaults, the defaults' for this model, the agent's for this model, the agent's.
    """
    defaults, entry = agents.defaults, agents.entries[agent_id]
    for_model = [settings[model].params for settings in (defaults.models, entry.models) if model in settings]
    result: dict[str, Any] = {}
    for params in (defaults.params, *for_model, entry.params):
        result.update(params)
    return result


def _merged(base: dict[str, ModelSettings], over: dict[str, ModelSettings]) -> dict[str, ModelSettings]:
    merged = dict(base)
    for name, settings in over.items():
        below = base.get(name, ModelSettings())
        merged[name] = ModelSettings(alias=settings.alias or below.alias, params={**below.params, **settings.params})
    return merged
