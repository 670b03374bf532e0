"""Which models an agent asks: names in the configuration → references, and what is wrong with those names."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from gateway.config.agents import AgentSettings
from gateway.config.memory import MemorySearchConfig
from gateway.config.problems import Problem, join
from gateway.config.providers import ModelsConfig
from gateway.config.root import Config
from gateway.core.names import ModelRef, parse_model_ref

_DEFAULT_PROVIDER = "openai"  # OpenClaw's, for a model id without a provider

Unusable = Callable[[ModelRef, bool], str | None]
"""Why a model can't be asked, as a sentence without its path; None when it can. The second argument is whether the
provider was only assumed, because the configuration names none.
"""


@dataclass(frozen=True, slots=True)
class ModelNames:
    """The names of models as one agent understands them: its aliases, `provider/model`, and bare model ids."""

    aliases: dict[str, ModelRef]
    models: ModelsConfig

    def resolve(self, name: str) -> ModelRef | None:
        """The model of this name; None when the name is malformed."""
        return self.aliases.get(name.lower()) or parse_model_ref(name, provider_of_bare(name, self.models))


def model_names(entry: AgentSettings, defaults: AgentSettings, models: ModelsConfig) -> ModelNames:
    """The names of one agent; its own aliases win over those of the defaults."""
    aliases: dict[str, ModelRef] = {}
    for name, settings in (*defaults.models.items(), *entry.models.items()):
        ref = parse_model_ref(name, provider_of_bare(name, models))
        if settings.alias and ref is not None:
            aliases[settings.alias.lower()] = ref
    return ModelNames(aliases, models)


def chain_providers(config: Config) -> frozenset[str]:
    """Ids of providers that some agent asks."""
    agents = config.agents
    chains = (
        chain_of(entry, agents.defaults, model_names(entry, agents.defaults, config.models))
        for entry in agents.entries.values()
    )
    return frozenset(ref.provider for chain in chains for ref in chain)


def named_providers(config: Config) -> frozenset[str]:
    """Ids of providers that agents and embeddings refer to, in whatever form."""
    agents = config.agents
    refs: list[ModelRef | None] = []
    embeddings = [config.memory.search]
    for settings in (agents.defaults, *agents.entries.values()):
        names = model_names(settings, agents.defaults, config.models)
        allowed = settings.model_policy.allow or ()
        written = (name for _, name in _written("", settings))
        refs += [names.resolve(name) for name in (*written, *settings.models, *allowed)]
        if settings.embedding is not None:
            embeddings.append(settings.embedding)
    for search in embeddings:
        refs.append(parse_model_ref(search.model or "", ""))
        provider = embedding_provider(search, config.models)
        refs.append(ModelRef(provider, "") if provider else None)
    return frozenset(ref.provider for ref in refs if ref is not None and ref.provider)


def embedding_provider(search: MemorySearchConfig, models: ModelsConfig) -> str | None:
    """The id of the provider that a search names; OpenClaw has names of its own for some makers' embeddings."""
    name = (search.provider or "").strip().lower()
    if name in models.providers:
        return name
    return _EMBEDDINGS.get(name, name) or None


_EMBEDDINGS = {"gemini": "google", "bedrock": "amazon-bedrock", "auto": ""}


def provider_of_bare(name: str, models: ModelsConfig) -> str:
    """The provider of a model id that names none: the only configured one that lists it, else OpenClaw's default."""
    listing = [
        provider_id
        for provider_id, provider in models.providers.items()
        if any(model.id == name.strip() for model in provider.models)
    ]
    return listing[0] if len(listing) == 1 else _DEFAULT_PROVIDER


def chain_of(entry: AgentSettings, defaults: AgentSettings, names: ModelNames) -> tuple[ModelRef, ...]:
    """Primary, then fallbacks. An agent's own primary without own fallbacks has none, as in OpenClaw."""
    own = entry.model
    choice = own if own is not None and own.primary else defaults.model
    if choice is None or not choice.primary:
        return ()
    fallbacks = own.fallbacks if own is not None and own.fallbacks else choice.fallbacks
    refs = (names.resolve(name) for name in (choice.primary, *fallbacks))
    return tuple(dict.fromkeys(ref for ref in refs if ref is not None))


def chain_problems(config: Config, unusable: Unusable) -> Iterator[Problem]:
    """Agents without a model, and each primary or fallback that can't be asked, at the path where it is written."""
    agents = config.agents
    for path, settings in (
        ("agents.defaults", agents.defaults),
        *((join("agents.entries", name), entry) for name, entry in agents.entries.items()),
    ):
        names = model_names(settings, agents.defaults, config.models)
        for where, name in _written(f"{path}.model", settings):
            if problem := _problem(name, names.resolve(name), unusable):
                yield Problem(where, problem)
    without = [name for name, entry in agents.entries.items() if not _primary(entry, agents.defaults)]
    if without:
        yield Problem("agents.defaults.model", f"is missing, and so is that of {', '.join(without)}; set one of them")


def _written(path: str, settings: AgentSettings) -> Iterator[tuple[str, str]]:
    if settings.model is not None:
        if settings.model.primary:
            yield path, settings.model.primary
        for index, name in enumerate(settings.model.fallbacks):
            yield join(f"{path}.fallbacks", index), name


def _problem(name: str, ref: ModelRef | None, unusable: Unusable) -> str | None:
    if ref is None:
        return f'{name!r} is not a model reference; write "provider/model"'
    return unusable(ref, "/" not in name and ref == ModelRef(_DEFAULT_PROVIDER, name.strip()))


def _primary(entry: AgentSettings, defaults: AgentSettings) -> str | None:
    own = entry.model.primary if entry.model else None
    return own or (defaults.model.primary if defaults.model else None)
