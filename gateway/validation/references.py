"""References to models: each must name a provider that exists and can be called."""

from collections.abc import Collection, Iterator, Mapping

from gateway.agents.configured import embedding_choice
from gateway.agents.model_chain import chain_problems
from gateway.config.problems import Problem, join
from gateway.config.providers import ModelsConfig
from gateway.config.root import Config
from gateway.config.shape import nearest
from gateway.core.names import ModelRef
from gateway.upstream.catalog import CATALOG, OTHER_NAMES, REFUSED
from gateway.upstream.embedded import MODEL, available
from gateway.upstream.keys import key_from
from gateway.upstream.provider import Provider
from gateway.upstream.row_problems import no_format
from gateway.validation.embedded import embedded_joins
from gateway.wire import DEFAULT_UPSTREAM, OPENAI_FORMATS


def chains(config: Config, env: Mapping[str, str]) -> Iterator[Problem]:
    """Models of agents that can't be called."""

    def unusable(ref: ModelRef, assumed: bool) -> str | None:
        if any(name in config.models.providers for name in (ref.provider, *OTHER_NAMES.get(ref.provider, ()))):
            return None  # a row that can't be used is a problem of its own
        if assumed and (config.models.mode == "replace" or key_from(CATALOG[ref.provider], env) is None):
            return f'{ref.model!r} names no provider, and no configured one lists it; write "provider/model"'
        if ref.provider == MODEL.provider and embedded_joins(config.models):
            return _unusable_embedded(ref)
        if ref.provider not in _known(config.models):
            return REFUSED.get(ref.provider) or _no_provider(ref.provider, _known(config.models))
        return _unusable_built_in(ref.provider)

    skipped = set(left_out(config))
    yield from (problem for problem in chain_problems(config, unusable) if problem not in skipped)


def left_out(config: Config) -> Iterator[Problem]:
    """Fallbacks at providers that are not configured. A chain works without them, as it does in OpenClaw (recorded)."""
    known = _known(config.models)

    def unknown(ref: ModelRef, assumed: bool) -> str | None:
        return None if assumed or ref.provider in {*known, *REFUSED} else _no_provider(ref.provider, known)

    malformed = set(chain_problems(config, lambda _ref, _assumed: None))
    for problem in chain_problems(config, unknown):
        if problem not in malformed and ".fallbacks[" in problem.path:
            yield problem


def limited_models(config: Config, _env: Mapping[str, str]) -> Iterator[Problem]:
    """Limits and budgets of models at providers that do not exist."""
    known = _known(config.models)
    gateway = config.gateway
    rules = (
        *((join("gateway.limits", index), limit.models) for index, limit in enumerate(gateway.limits)),
        *((join("gateway.budgets", index), budget.models) for index, budget in enumerate(gateway.budgets)),
    )
    for rule, references in rules:
        path = f"{rule}.models"
        for position, reference in enumerate(references):
            provider = reference.partition("/")[0]
            if provider not in known:
                yield Problem(join(path, position), _no_provider(provider, known))


def uncallable_embeddings(config: Config) -> Iterator[Problem]:
    """Agents whose embeddings are of a provider that does not exist."""
    known = _known(config.models)
    for name, entry in config.agents.entries.items():
        provider, _, _ = embedding_choice(config, entry)
        if provider is not None and provider not in known:
            text = f"agent {name} can't make embeddings: {_no_provider(provider, known)}"
            yield Problem("memory.search.provider", text)


def assumed_formats(config: Config, providers: Mapping[str, Provider]) -> Iterator[Problem]:
    """Rows with the id of a maker at another address, whose wire format is not named: it is not the maker's."""
    for name, row in config.models.providers.items():
        maker, provider = CATALOG.get(name), providers.get(name)
        if maker is None or provider is None or maker.local or row.api is not None:
            continue
        if provider.wire == DEFAULT_UPSTREAM and maker.api not in OPENAI_FORMATS:
            text = f"is missing, so {provider.address} is asked in {DEFAULT_UPSTREAM}"
            yield Problem(
                f"models.providers.{name}.api", f'{text}; write it, or "{maker.api}" if it has that of {name}'
            )


def _unusable_embedded(ref: ModelRef) -> str | None:
    if not available():
        return "the embedded model is not installed; install the extra: openclaw-gateway[local]"
    if ref.model != MODEL.chat_model:
        return f"the embedded provider has only one chat model: {MODEL.provider}/{MODEL.chat_model}"
    return None


def _unusable_built_in(name: str) -> str | None:
    row = CATALOG.get(name)
    if row is None:
        return None
    if not row.base_url:
        return f"every customer of {name!r} has an own address; set models.providers.{name}.baseUrl to {row.address}"
    return None if row.served else f"provider {name!r}: {no_format(row.api)}"


def _known(models: ModelsConfig) -> Collection[str]:
    """Ids that a reference may name."""
    configured = {other for name in models.providers for other in (name, *OTHER_NAMES.get(name, ()))}
    return configured if models.mode == "replace" else {*configured, *CATALOG, MODEL.provider}


def _no_provider(provider: str, known: Collection[str]) -> str:
    near = nearest(provider, known, cutoff=0.75)  # ids are short: "zai" is not "xai"
    advice = f"did you mean {near!r}?" if near else "add it to models.providers with its baseUrl"
    return f"there is no provider {provider!r}; {advice}"
