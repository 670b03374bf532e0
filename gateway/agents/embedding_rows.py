"""`remote` of OpenClaw's memory search names an endpoint or a key for embeddings alone: it becomes a provider row, so
that what is embedded goes there and nowhere else.
"""

from collections.abc import Mapping
from typing import TypeVar

from gateway.config.agents import AgentSettings
from gateway.config.memory import NO_REMOTE, MemoryConfig, MemorySearchConfig
from gateway.config.providers import ModelsConfig, ProviderConfig
from gateway.config.root import Config
from gateway.upstream.catalog import CATALOG
from gateway.wire import DEFAULT_UPSTREAM

_DEFAULT = "openai"  # OpenClaw's
_FORMATS = {"gemini": "google-generative-ai", "google": "google-generative-ai", "ollama": "ollama"}
_CATALOGUE = {"gemini": "google"}

_Settings = TypeVar("_Settings", bound=AgentSettings)


def with_embedding_rows(config: Config) -> Config:
    """The configuration with a provider row for each endpoint of embeddings, and searches that name these rows."""
    rows: dict[str, ProviderConfig] = {}
    names = config.models.providers

    def settled(search: MemorySearchConfig) -> MemorySearchConfig:
        return _settled(search, rows, names)

    def agent(settings: _Settings) -> _Settings:
        changed = {
            "memory": settings.memory
            and settings.memory.model_copy(update={"search": settled(settings.memory.search)}),
            "memory_search": settings.memory_search and settled(settings.memory_search),
        }
        own = {name: value for name, value in changed.items() if value is not None}
        return settings.model_copy(update=own) if own else settings

    memory: MemoryConfig = config.memory.model_copy(update={"search": settled(config.memory.search)})
    agents = config.agents.model_copy(
        update={
            "defaults": agent(config.agents.defaults),
            "entries": {name: agent(entry) for name, entry in config.agents.entries.items()},
        }
    )
    if not rows:
        return config
    models: ModelsConfig = config.models.model_copy(update={"providers": {**names, **rows}})
    return config.model_copy(update={"memory": memory, "agents": agents, "models": models})


def _settled(
    search: MemorySearchConfig, rows: dict[str, ProviderConfig], configured: Mapping[str, ProviderConfig]
) -> MemorySearchConfig:
    remote = search.remote
    maker = (search.provider or _DEFAULT).strip().lower()
    built_in, own = CATALOG.get(_CATALOGUE.get(maker, maker)), configured.get(maker)
    url = remote.base_url or (own and own.base_url) or (built_in.base_url if built_in else None)
    if remote == NO_REMOTE or not url:
        return search
    api = _FORMATS.get(maker, DEFAULT_UPSTREAM)
    row = ProviderConfig(base_url=url, api_key=remote.api_key, api=api, headers=remote.headers)
    name = next((name for name, other in rows.items() if other == row), "")
    number = 1
    while not name:
        candidate = f"{maker}-embeddings" if number == 1 else f"{maker}-embeddings-{number}"
        if candidate not in rows and candidate not in configured:
            name = candidate
        number += 1
    rows[name] = row
    model = search.model or (built_in.embedding_model if built_in else None)
    return search.model_copy(update={"provider": name, "model": model})
