"""Configuration → agents: each agent's settings over the defaults, names of models resolved."""

from collections.abc import Callable, Mapping
from pathlib import Path

from gateway.agents.agent import Agent
from gateway.agents.directory import Directory
from gateway.agents.model_chain import ModelNames, chain_of, embedding_provider, model_names
from gateway.agents.model_params import model_params
from gateway.agents.prompt import Caps, Prompt
from gateway.agents.tool_limits import ToolLimits
from gateway.config.agents import AgentSettings
from gateway.config.root import Config
from gateway.config.tools import ToolAccess, ToolsConfig
from gateway.core.errors import ConfigError
from gateway.core.names import ModelRef, parse_model_ref
from gateway.core.params import layered
from gateway.core.paths import user_path
from gateway.tools.filter import ToolFilter
from gateway.tools.registry import Registry, Toolset
from gateway.upstream.provider import Provider


def directory_from(
    config: Config,
    providers: Mapping[str, Provider],
    *,
    state: Path,
    clock: Callable[[], float],
    fallback_embedding: ModelRef | None,
    tools: Registry | None = None,
) -> Directory:
    """Every configured agent. `fallback_embedding` serves agents whose provider has no embedding model; `tools` are
    those that agents may run themselves.

    Raises ConfigError when an agent has no model.
    """
    agents = config.agents
    problems: list[str] = []
    built = []
    for name, entry in agents.entries.items():
        names = model_names(entry, agents.defaults, config.models)
        chain = chain_of(entry, agents.defaults, names)
        if not chain:
            problems.append(f"agents.entries.{name}.model: is missing; set it or agents.defaults.model")
            continue
        settings = entry.over(agents.defaults)
        provider, model, dimensions = embedding_choice(config, entry)
        built.append(
            Agent(
                id=name,
                candidates=chain,
                prompt=_prompt(name, settings, state, clock, is_default=name == agents.default_id),
                allowed=_allowed(entry, agents.defaults, names),
                aliases=names.aliases,
                params=layered(agents.defaults.params, entry.params),
                model_params=model_params(config, entry, (*chain, *names.aliases.values()), providers),
                embedding=_embedding(provider, model, providers, chain[0], fallback_embedding),
                embedding_dimensions=dimensions,
                upstream_streaming=settings.upstream_streaming,
                timeout=float(settings.timeout_seconds) if settings.timeout_seconds else None,
                toolset=_toolset(config.tools, settings.tools, tools),
                tool_limits=ToolLimits(config.tools.max_rounds, config.tools.timeout_ms / 1000),
            )
        )
    if problems:
        raise ConfigError(tuple(problems))
    return Directory(built, agents.default_id)


def embedding_choice(config: Config, entry: AgentSettings) -> tuple[str | None, str | None, int | None]:
    """Provider, model and dimensions for embeddings: the agent's own, the defaults', then `memory.search`.

    The first of them that names a provider is the last one read: a model beyond it belongs to another provider.
    """
    provider = model = dimensions = None
    for source in (entry.embedding, config.agents.defaults.embedding, config.memory.search):
        if source is None or provider is not None:
            continue
        provider = embedding_provider(source, config.models)
        model = model or source.model
        dimensions = dimensions or source.output_dimensionality
    return provider, model, dimensions


def _allowed(entry: AgentSettings, defaults: AgentSettings, names: ModelNames) -> frozenset[str] | None:
    policy = entry.model_policy if entry.model_policy.allow is not None else defaults.model_policy
    if not policy.allow:
        return None
    return frozenset(str(names.resolve(name) or name) for name in policy.allow)


def _prompt(name: str, settings: AgentSettings, state: Path, clock: Callable[[], float], *, is_default: bool) -> Prompt:
    directory = "workspace" if is_default else f"workspace-{name}"
    workspace = user_path(settings.workspace) if settings.workspace else state / directory
    caps = Caps(settings.bootstrap_max_chars, settings.bootstrap_total_max_chars)
    return Prompt(settings.system_prompt, workspace, caps, clock)


def _toolset(common: ToolsConfig, own: ToolAccess, tools: Registry | None) -> Toolset | None:
    """The tools that both `tools` and the agent's own `tools` allow; None when that is nothing."""
    levels: tuple[ToolAccess, ...] = (common, own)
    if tools is None or any(level.profile == "minimal" or "*" in level.deny for level in levels):
        return None
    return Toolset(tools, [ToolFilter(level.allow, level.deny) for level in levels], common.max_tools)


def _embedding(
    provider: str | None,
    model: str | None,
    providers: Mapping[str, Provider],
    primary: ModelRef,
    fallback: ModelRef | None,
) -> ModelRef | None:
    if model is not None:
        return parse_model_ref(model, primary.provider) if provider is None else ModelRef(provider, model)
    row = providers.get(provider or primary.provider)
    if row is not None and row.embedding_model:
        return ModelRef(row.id, row.embedding_model)
    return fallback if provider is None or (fallback is not None and fallback.provider == provider) else None
