"""What `serve` checks before it listens, as one step: `check`, `serve` and the other commands all load through it.

It knows the built-in providers, the served wire formats and which optional packages are installed, which
`gateway.config` does not. Nothing is opened, started or connected.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from gateway.agents.assumed_model import AssumedModel, with_assumed_model
from gateway.agents.configured import directory_from
from gateway.agents.directory import Directory
from gateway.agents.embedding_rows import with_embedding_rows
from gateway.agents.model_chain import named_providers
from gateway.config.load import Loaded, load
from gateway.config.problems import Problem
from gateway.config.root import Config
from gateway.tracing import tracing_problems
from gateway.upstream.configured import provider_problems, providers_from
from gateway.upstream.embedded import MODEL, available
from gateway.upstream.google_login import credentials_file
from gateway.upstream.provider import Provider
from gateway.validation.certificates import certificates, tls_files
from gateway.validation.credentials import logins, missing_keys
from gateway.validation.embedded import EMBEDDED_EMBEDDING, embedded_joins
from gateway.validation.references import assumed_formats, chains, left_out, limited_models, uncallable_embeddings


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
        certificates,
        _providers,
        chains,
        logins,
        limited_models,
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
        *left_out(config),
        *_endpoints_off(config),
        *_retired_reload_mode(config),
        *_assumed_default(config),
        *_assumed_model(config),
        *missing_keys(directory, providers),
        *uncallable_embeddings(config),
        *assumed_formats(config, providers),
    )
    return Valid(loaded, providers, directory, tuple(str(warning) for warning in warnings))


def referenced_files(loaded: Loaded) -> Iterator[Path]:
    """Files that the configuration names and whose content is not in it."""
    if (tls := tls_files(loaded.config.gateway.tls)) is not None:
        yield from (file for file in (tls.certificate, tls.key, tls.authorities) if file is not None)
    if login := credentials_file(loaded.env):
        yield Path(login)


def _providers(config: Config, env: Mapping[str, str]) -> Iterator[Problem]:
    yield from provider_problems(config.models, env, named_providers(config), config.auth)


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


def _assumed_default(config: Config) -> Iterator[Problem]:
    agents = config.agents
    if agents.default is None:
        text = f"is missing, so the first of several agents, {agents.default_id!r}, answers for openclaw"
        yield Problem("agents.default", f"{text}; name one here")


def _assumed_model(config: Config) -> Iterator[Problem]:
    model = config.agents.defaults.model
    if isinstance(model, AssumedModel):
        yield Problem("agents.defaults.model", f"is missing, so {model.primary} is asked; name a model here")
