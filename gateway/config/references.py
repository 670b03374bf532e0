"""What must hold between agents, models and providers: names that are used must exist.

A primary model that can never be called is an error; a fallback that can't is a warning, because the agent still works
(OpenClaw starts with one, recorded).
"""

from collections.abc import Collection, Iterator

from gateway.config.agents import AgentSettings
from gateway.config.problems import Problem, join
from gateway.config.root import Config
from gateway.config.shape import nearest

SPOKEN = ("openai-completions", "openai-responses", "anthropic-messages", "google-generative-ai", "ollama")
"""Wire formats that this gateway speaks."""

_NOT_SPOKEN = frozenset({
    "openai-codex-responses", "openai-chatgpt-responses", "azure-openai-responses", "google-vertex", "github-copilot",
    "bedrock-converse-stream", "pi-messages",
})  # fmt: skip


def check(config: Config, catalogue: Collection[str] | None) -> Iterator[Problem]:
    """What makes the configuration unusable. `catalogue` holds the ids of built-in providers, None if not known."""
    yield from _default_agent(config)
    known = known_providers(config, catalogue)
    for path, settings in _agents(config):
        primary = settings.model.primary if settings.model else None
        provider = _provider_of(primary)
        if provider is not None and known is not None and provider not in known:
            yield Problem(f"{path}.model", _no_provider(provider, known))
    yield from _providers(config, catalogue)
    yield from _limits(config, known)


def warnings(config: Config, catalogue: Collection[str] | None) -> Iterator[Problem]:
    """What works less than it says."""
    known = known_providers(config, catalogue)
    for path, settings in _agents(config):
        for index, fallback in enumerate(settings.model.fallbacks if settings.model else ()):
            provider = _provider_of(fallback)
            if provider is not None and known is not None and provider not in known:
                yield Problem(join(f"{path}.model.fallbacks", index), _no_provider(provider, known))
    for path, api in _apis(config):
        if api in _NOT_SPOKEN:
            yield Problem(path, f"{api} is not spoken here; models of this provider can't be called")


def known_providers(config: Config, catalogue: Collection[str] | None) -> Collection[str] | None:
    """Ids that a model reference may name: with `replace` those of the file alone; None when nobody can tell."""
    if config.models.mode == "replace":
        return config.models.providers.keys()
    return None if catalogue is None else {*config.models.providers, *catalogue}


def _default_agent(config: Config) -> Iterator[Problem]:
    agents = config.agents
    marked = [name for name, entry in agents.entries.items() if entry.default]
    if agents.default is None and marked:
        yield Problem("agents.default", f"several agents are marked as default ({', '.join(marked)}); name one here")
    elif agents.default is None:
        names = ", ".join(agents.entries)
        yield Problem(
            "agents.default", f"is missing, and of several agents ({names}) none is called main; name one here"
        )
    elif agents.default not in agents.entries:
        yield Problem("agents.default", _no_agent(agents.default, agents.entries))


def _agents(config: Config) -> Iterator[tuple[str, AgentSettings]]:
    yield "agents.defaults", config.agents.defaults
    for name, entry in config.agents.entries.items():
        yield join("agents.entries", name), entry


def _providers(config: Config, catalogue: Collection[str] | None) -> Iterator[Problem]:
    built_in = () if config.models.mode == "replace" else catalogue
    for name, provider in config.models.providers.items():
        path = join("models.providers", name)
        if not provider.base_url and built_in is not None and name not in built_in:
            yield Problem(f"{path}.baseUrl", "is missing; only built-in providers have one of their own")
        elif provider.base_url and not provider.base_url.startswith(("http://", "https://")):
            yield Problem(f"{path}.baseUrl", "must begin with http:// or https://")
    for path, api in _apis(config):
        if api not in SPOKEN and api not in _NOT_SPOKEN:
            near = nearest(api, SPOKEN)
            advice = f"did you mean {near!r}?" if near else f"use one of {', '.join(SPOKEN)}"
            yield Problem(path, f"there is no wire format {api!r}; {advice}")


def _limits(config: Config, known: Collection[str] | None) -> Iterator[Problem]:
    for index, limit in enumerate(config.gateway.limits):
        path = join("gateway.limits", index)
        for place, agent in enumerate(limit.agents):
            if agent not in config.agents.entries:
                yield Problem(join(f"{path}.agents", place), _no_agent(agent, config.agents.entries))
        for place, model in enumerate(limit.models):
            provider = _provider_of(model)
            if provider is not None and known is not None and provider not in known:
                yield Problem(join(f"{path}.models", place), _no_provider(provider, known))


def _apis(config: Config) -> Iterator[tuple[str, str]]:
    for name, provider in config.models.providers.items():
        path = join("models.providers", name)
        yield f"{path}.api", provider.api
        for index, model in enumerate(provider.models):
            if model.api is not None:
                yield f"{join(f'{path}.models', index)}.api", model.api


def _provider_of(reference: str | None) -> str | None:
    """The provider's id in `provider/model`; None for a bare id or an alias, which are looked up at run time."""
    provider, slash, _ = (reference or "").partition("/")
    return provider.strip().lower() if slash else None


def _no_agent(agent: str, known: Collection[str]) -> str:
    near = nearest(agent, known)
    return f"there is no agent {agent!r}; " + (f"did you mean {near!r}?" if near else "add it to agents.entries")


def _no_provider(provider: str, known: Collection[str]) -> str:
    near = nearest(provider, known)
    return f"there is no provider {provider!r}; " + (
        f"did you mean {near!r}?" if near else "add it to models.providers"
    )
