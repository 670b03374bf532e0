"""Configuration → agents: defaults merged under each agent's own settings, model names resolved."""

from collections.abc import Callable, Mapping
from pathlib import Path

from gateway.agents.agent import Agent
from gateway.agents.directory import Directory
from gateway.agents.prompt import Caps, Prompt
from gateway.agents.tool_limits import ToolLimits
from gateway.config.agents import AgentEntry, AgentSettings
from gateway.config.root import Config
from gateway.config.tools import ToolAccess
from gateway.core.errors import ConfigError
from gateway.core.names import ModelRef, parse_model_ref
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

    Raises ConfigError when an agent has no model: nothing could answer for it.
    """
    agents = config.agents
    problems: list[str] = []
    built = []
    for name, entry in agents.entries.items():
        chain = _chain(entry, agents.defaults)
        if not chain:
            problems.append(f"agents.entries.{name}.model: missing; set it or agents.defaults.model.primary")
            continue
        built.append(
            Agent(
                id=name,
                candidates=chain,
                prompt=_prompt(name, entry, agents.defaults, state, clock, is_default=name == agents.default),
                allowed=_allowed(entry, agents.defaults),
                aliases=_aliases(entry, agents.defaults),
                params={**agents.defaults.params, **entry.params},
                embedding=_embedding(config, entry, providers, chain[0], fallback_embedding),
                embedding_dimensions=_searches(config, entry)[-1],
                upstream_streaming=(
                    entry if "upstream_streaming" in entry.model_fields_set else agents.defaults
                ).upstream_streaming,
                timeout=float(str(_own(entry, agents.defaults, "timeout_seconds") or 0)) or None,
                toolset=_toolset(config, entry, tools),
                tool_limits=ToolLimits(config.tools.max_rounds, config.tools.timeout_ms / 1000),
            )
        )
    if problems:
        raise ConfigError(tuple(problems))
    if agents.default is None:
        raise ConfigError(("agents.default: missing; several agents are configured and none is called main",))
    return Directory(built, agents.default)


def _own(entry: AgentSettings, defaults: AgentSettings, field: str) -> object:
    """The entry's value if it says one, else the defaults'."""
    return getattr(entry if field in entry.model_fields_set else defaults, field)


def _chain(entry: AgentSettings, defaults: AgentSettings) -> tuple[ModelRef, ...]:
    """Primary, then fallbacks. An agent's own primary without own fallbacks has none, as in OpenClaw."""
    own, shared = entry.model, defaults.model
    choice = own if own is not None and own.primary else shared
    if choice is None or not choice.primary:
        return ()
    fallbacks = own.fallbacks if own is not None and own.fallbacks else choice.fallbacks
    aliases = _aliases(entry, defaults)
    refs = []
    for name in (choice.primary, *fallbacks):
        ref = aliases.get(name.lower()) or parse_model_ref(name, "openai")
        if ref is not None and ref not in refs:
            refs.append(ref)
    return tuple(refs)


def _aliases(entry: AgentSettings, defaults: AgentSettings) -> dict[str, ModelRef]:
    named = (*defaults.models.items(), *entry.models.items())
    aliased = ((settings.alias, parse_model_ref(name, "openai")) for name, settings in named)
    return {alias.lower(): ref for alias, ref in aliased if alias and ref is not None}


def _allowed(entry: AgentSettings, defaults: AgentSettings) -> frozenset[str] | None:
    policy = entry.model_policy if entry.model_policy.allow is not None else defaults.model_policy
    if not policy.allow:
        return None
    aliases = _aliases(entry, defaults)
    return frozenset(str(aliases.get(name.lower()) or parse_model_ref(name, "openai") or name) for name in policy.allow)


def _prompt(
    name: str,
    entry: AgentEntry,
    defaults: AgentSettings,
    state: Path,
    clock: Callable[[], float],
    *,
    is_default: bool,
) -> Prompt:
    said = entry.workspace or defaults.workspace
    workspace = Path(said).expanduser() if said else state / ("workspace" if is_default else f"workspace-{name}")
    caps = Caps(
        int(str(_own(entry, defaults, "bootstrap_max_chars"))),
        int(str(_own(entry, defaults, "bootstrap_total_max_chars"))),
    )
    text = entry.system_prompt if entry.system_prompt is not None else defaults.system_prompt
    return Prompt(text, workspace, caps, clock)


def _toolset(config: Config, entry: AgentSettings, tools: Registry | None) -> Toolset | None:
    """What the file allows to all and to this agent: each may only take away. None when that is nothing."""
    own = entry.tools if "tools" in entry.model_fields_set else config.agents.defaults.tools
    levels: tuple[ToolAccess, ...] = (config.tools, own)
    if tools is None or any(level.profile == "minimal" or "*" in level.deny for level in levels):
        return None
    return Toolset(tools, [ToolFilter(level.allow, level.deny) for level in levels], config.tools.max_tools)


def _searches(config: Config, entry: AgentSettings) -> tuple[str | None, str | None, int | None]:
    """Provider, model and dimensions for embeddings: the agent's own, the defaults', then `memory.search`.

    Whoever names a provider says it all: a model named further off belongs to another one.
    """
    provider = model = dimensions = None
    for source in (entry.embedding, config.agents.defaults.embedding, config.memory.search):
        if source is None or provider is not None:
            continue
        provider = source.provider.strip().lower() if source.provider else None
        model = model or source.model
        dimensions = dimensions or source.output_dimensionality
    return provider, model, dimensions


def _embedding(
    config: Config,
    entry: AgentSettings,
    providers: Mapping[str, Provider],
    primary: ModelRef,
    fallback: ModelRef | None,
) -> ModelRef | None:
    provider, model, _ = _searches(config, entry)
    if model is not None:
        return parse_model_ref(model, provider or primary.provider) if provider is None else ModelRef(provider, model)
    home = providers.get(provider or primary.provider)
    if home is not None and home.embedding_model:
        return ModelRef(home.id, home.embedding_model)
    return fallback if provider is None or (fallback is not None and fallback.provider == provider) else None
