"""What `serve` checks before it listens, as one step: `check`, `serve` and the other commands all load through it.

It knows the built-in providers, the served wire formats and which optional packages are installed, which
`gateway.config` does not. Nothing is opened, started or connected.
"""

import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from gateway.agents.assumed_model import AssumedModel, with_assumed_model
from gateway.agents.configured import directory_from, embedding_choice
from gateway.agents.directory import Directory
from gateway.agents.embedding_rows import with_embedding_rows
from gateway.agents.model_chain import chain_problems, chain_providers, named_providers
from gateway.config.gateway import TlsConfig
from gateway.config.load import Loaded, load
from gateway.config.problems import Problem, join
from gateway.config.providers import ModelsConfig
from gateway.config.root import Config
from gateway.config.shape import nearest
from gateway.core.names import ModelRef
from gateway.http.server.tls import TlsFiles, server_context
from gateway.tracing import tracing_problems
from gateway.upstream.catalog import CATALOG, REFUSED
from gateway.upstream.configured import provider_problems, providers_from
from gateway.upstream.embedded import MODEL, available
from gateway.upstream.google_login import credentials_file
from gateway.upstream.keys import has_key, key_from
from gateway.upstream.provider import Provider
from gateway.upstream.row_problems import no_format

EMBEDDED_EMBEDDING = ModelRef(MODEL.provider, MODEL.embedding_model)


@dataclass(frozen=True, slots=True)
class Valid:
    """A configuration that can be served. `warnings` are sentences about parts that work less than expected.

    `providers` does not hold the embedded one, which is started with the gateway.
    """

    loaded: Loaded
    providers: Mapping[str, Provider]
    directory: Directory
    warnings: tuple[str, ...]


def validated(
    path: Path | None,
    env: Mapping[str, str],
    *,
    port: int | None = None,
    bind: str | None = None,
    workers: int = 1,
    endpoints: Sequence[str] = (),
    assume_model: bool = True,
    files: set[Path] | None = None,
) -> Valid:
    """Load the configuration as `load` does and check all of it. With `assume_model`, one that names no model gets one.

    `files` gets the paths of all files that decide about the result, also before an error. Raises ConfigError with
    every problem.
    """
    files = set() if files is None else files

    def workers_share(config: Config, _env: Mapping[str, str]) -> Iterator[Problem]:
        if workers > 1 and config.gateway.redis.url is None:
            text = f"is missing, while --workers is {workers}, and workers share limits and state through Redis"
            yield Problem("gateway.redis.url", f"{text}; set it or OPENCLAW_REDIS_URL, or omit --workers")

    embedded = f"{MODEL.provider}/{MODEL.chat_model}" if available() else None

    def with_model(config: Config, env: Mapping[str, str]) -> Config:
        config = with_embedding_rows(config)
        if not assume_model:
            return config
        return with_assumed_model(config, env, embedded if embedded_joins(config.models) else None)

    checks = (
        _certificates,
        _providers,
        _chains,
        _logins,
        _limited_models,
        _tool_servers,
        tracing_problems,
        workers_share,
    )
    loaded = load(path, env, complete=with_model, checks=checks, port=port, bind=bind, endpoints=endpoints, files=files)
    files.update(referenced_files(loaded))
    return valid_from(loaded)


def valid_from(loaded: Loaded) -> Valid:
    """The providers, agents and warnings of a configuration that passed all checks."""
    config = loaded.config
    providers = providers_from(config.models, loaded.env, named_providers(config), config.auth)
    directory = directory_from(
        config,
        providers,
        state=loaded.state_directory,
        clock=time.monotonic,
        fallback_embedding=EMBEDDED_EMBEDDING if embedded_joins(config.models) and available() else None,
    )
    warnings = (
        *loaded.warnings,
        *_left_out(config),
        *_endpoints_off(config),
        *_retired_reload_mode(config),
        *_assumed_default(config),
        *_assumed_model(config),
        *_missing_keys(directory, providers),
        *_uncallable_embeddings(config),
    )
    return Valid(loaded, providers, directory, tuple(str(warning) for warning in warnings))


def referenced_files(loaded: Loaded) -> Iterator[Path]:
    """Files that the configuration names and whose content is not in it."""
    if (tls := tls_files(loaded.config.gateway.tls)) is not None:
        yield from (file for file in (tls.certificate, tls.key, tls.authorities) if file is not None)
    if login := credentials_file(loaded.env):
        yield Path(login)


def embedded_joins(models: ModelsConfig) -> bool:
    """Whether the embedded provider joins the configured ones, if it is installed."""
    return models.mode != "replace" and MODEL.provider not in models.providers


def _providers(config: Config, env: Mapping[str, str]) -> Iterator[Problem]:
    yield from provider_problems(config.models, env, named_providers(config), config.auth)


def _chains(config: Config, env: Mapping[str, str]) -> Iterator[Problem]:
    def unusable(ref: ModelRef, assumed: bool) -> str | None:
        if ref.provider in config.models.providers:
            return None  # a row that can't be used is a problem of its own
        if assumed and (config.models.mode == "replace" or key_from(CATALOG[ref.provider], env) is None):
            return f'{ref.model!r} names no provider, and no configured one lists it; write "provider/model"'
        if ref.provider == MODEL.provider and embedded_joins(config.models):
            return _unusable_embedded(ref)
        if ref.provider not in _known(config.models):
            return REFUSED.get(ref.provider) or _no_provider(ref.provider, _known(config.models))
        return _unusable_built_in(ref.provider)

    left_out = set(_left_out(config))
    yield from (problem for problem in chain_problems(config, unusable) if problem not in left_out)


def _left_out(config: Config) -> Iterator[Problem]:
    """Fallbacks at providers that are not configured. A chain works without them, as it does in OpenClaw (recorded)."""
    known = _known(config.models)

    def unknown(ref: ModelRef, assumed: bool) -> str | None:
        return None if assumed or ref.provider in {*known, *REFUSED} else _no_provider(ref.provider, known)

    malformed = set(chain_problems(config, lambda _ref, _assumed: None))
    for problem in chain_problems(config, unknown):
        if problem not in malformed and ".fallbacks[" in problem.path:
            yield problem


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


def _logins(config: Config, env: Mapping[str, str]) -> Iterator[Problem]:
    """Providers of agents whose only credential is a login."""
    for name in sorted(chain_providers(config)):
        if has_key(name, config.models.providers.get(name), CATALOG.get(name), env, config.auth):
            continue
        for profile, login in config.auth.of(name):
            if login.mode == "oauth":
                text = f"signs in to {name!r} with OAuth, which is not supported"
                yield Problem(join("auth.profiles", profile), f"{text}; {_where_to_put_a_key(name)}")


def _where_to_put_a_key(name: str) -> str:
    row = CATALOG.get(name)
    variables = f" or {row.key_variables[0]}" if row and row.key_variables else ""
    return f"set an API key in models.providers.{name}.apiKey{variables}"


def _missing_keys(directory: Directory, providers: Mapping[str, Provider]) -> Iterator[Problem]:
    """Providers of agents that want a key and have none."""
    names = dict.fromkeys(ref.provider for agent in directory.agents for ref in agent.candidates)
    for name in names:
        provider, row = providers.get(name), CATALOG.get(name)
        if provider is None or row is None or provider.local or provider.api_key or provider.headers or provider.signer:
            continue
        if provider.key_id != "none":
            text = f"is missing, so {provider.address} will refuse every call"
            yield Problem(f"models.providers.{name}.apiKey", f"{text}; {_where_to_put_a_key(name)}")


def _assumed_default(config: Config) -> Iterator[Problem]:
    agents = config.agents
    if agents.default is None:
        text = f"is missing, so the first of several agents, {agents.default_id!r}, answers for openclaw"
        yield Problem("agents.default", f"{text}; name one here")


def _assumed_model(config: Config) -> Iterator[Problem]:
    model = config.agents.defaults.model
    if isinstance(model, AssumedModel):
        yield Problem("agents.defaults.model", f"is missing, so {model.primary} is asked; name a model here")


def _limited_models(config: Config, _env: Mapping[str, str]) -> Iterator[Problem]:
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


def _certificates(config: Config, _env: Mapping[str, str]) -> Iterator[Problem]:
    files = tls_files(config.gateway.tls)
    if files is not None:
        try:
            server_context(files)
        except ValueError as error:
            yield Problem("gateway.tls", str(error))


def tls_files(tls: TlsConfig) -> TlsFiles | None:
    """The files of TLS at the gateway, None without it."""
    if not (tls.enabled and tls.cert_path and tls.key_path):
        return None
    authorities = Path(tls.ca_path).expanduser() if tls.ca_path else None
    return TlsFiles(Path(tls.cert_path).expanduser(), Path(tls.key_path).expanduser(), authorities)


def _tool_servers(config: Config, _env: Mapping[str, str]) -> Iterator[Problem]:
    if any(server.enabled for server in config.mcp.servers.values()) and find_spec("mcp") is None:
        yield Problem("mcp.servers", "the package mcp is not installed; install the extra: openclaw-gateway[mcp]")


def _endpoints_off(config: Config) -> Iterator[Problem]:
    endpoints = config.gateway.http.endpoints
    if not endpoints.enabled:
        text = "no endpoint is enabled, so every API request is answered with 404"
        yield Problem(
            "gateway.http.endpoints",
            f"{text}; set chatCompletions.enabled, responses.enabled or messages.enabled, or start with --endpoints "
            "chat,responses,messages",
        )


def _retired_reload_mode(config: Config) -> Iterator[Problem]:
    mode = config.gateway.reload.mode
    if mode in ("hot", "restart"):
        yield Problem("gateway.reload.mode", f'{mode!r} means "hybrid" now, as in OpenClaw; write "hybrid", or "off"')


def _uncallable_embeddings(config: Config) -> Iterator[Problem]:
    known = _known(config.models)
    for name, entry in config.agents.entries.items():
        provider, _, _ = embedding_choice(config, entry)
        if provider is not None and provider not in known:
            text = f"agent {name} can't make embeddings: {_no_provider(provider, known)}"
            yield Problem("memory.search.provider", text)


def _known(models: ModelsConfig) -> Collection[str]:
    """Ids that a reference may name."""
    if models.mode == "replace":
        return models.providers.keys()
    return {*models.providers, *CATALOG, MODEL.provider}


def _no_provider(provider: str, known: Collection[str]) -> str:
    near = nearest(provider, known, cutoff=0.75)  # ids are short: "zai" is not "xai"
    advice = f"did you mean {near!r}?" if near else "add it to models.providers with its baseUrl"
    return f"there is no provider {provider!r}; {advice}"
