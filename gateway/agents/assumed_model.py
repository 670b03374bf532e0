"""The model of a configuration that names none, as OpenClaw accepts such files."""

from collections.abc import Mapping

from gateway.config.agents import ModelChoice
from gateway.config.root import Config
from gateway.upstream.catalog import CATALOG
from gateway.upstream.keys import has_key


class AssumedModel(ModelChoice):
    """A `model` whose primary the configuration does not name."""


def with_assumed_model(config: Config, env: Mapping[str, str], embedded: str | None) -> Config:
    """The configuration with a primary model in `agents.defaults`, if some agent has none and one is usable.

    The first of: a model that the file lists or whose provider it configures, the default model of a built-in provider
    that has a key, the `embedded` model (None if it can't be used). So prompts go only where the file, a key or this
    process is.
    """
    defaults = config.agents.defaults
    agents = (defaults,) if defaults.model and defaults.model.primary else config.agents.entries.values()
    if all(agent.model and agent.model.primary for agent in agents):
        return config
    primary = _configured(config) or _built_in(config, env) or embedded
    if primary is None:
        return config
    model = AssumedModel(primary=primary, fallbacks=defaults.model.fallbacks if defaults.model else ())
    filled = defaults.model_copy(update={"model": model})
    return config.model_copy(update={"agents": config.agents.model_copy(update={"defaults": filled})})


def _configured(config: Config) -> str | None:
    for name, provider in config.models.providers.items():
        chat = [model.id for model in provider.models if "embed" not in model.id]
        row = CATALOG.get(name)
        if model := chat[0] if chat else (row.model if row else None):
            return f"{name}/{model}"
    return None


def _built_in(config: Config, env: Mapping[str, str]) -> str | None:
    if config.models.mode == "replace":
        return None
    usable = (
        f"{name}/{row.model}"
        for name, row in CATALOG.items()
        if row.model and row.served and row.base_url and not row.local and has_key(name, None, row, env, config.auth)
    )
    return next(usable, None)
