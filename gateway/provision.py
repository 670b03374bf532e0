"""Configuration → the snapshot that requests use, with what only it holds. HTTP and the command line share it."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from gateway.access import modes
from gateway.access.client import ClientResolver
from gateway.access.cors import CorsPolicy
from gateway.access.declared_keys import declared_keys
from gateway.access.host import HostPolicy
from gateway.agents.configured import directory_from
from gateway.agents.directory import Directory
from gateway.agents.model_chain import named_providers
from gateway.config.endpoints import EmbeddingsConfig, EndpointsConfig
from gateway.config.gateway import GatewayConfig
from gateway.config.root import Config
from gateway.conversations.conversation import Conversations
from gateway.core.lifetime import Lifetime
from gateway.core.names import ModelRef
from gateway.dispatch.snapshot import MediaPolicies, Services, Snapshot
from gateway.http.quota_policies import budget_policies_from, policies_from
from gateway.media.configured import file_policy_from, image_policy_from
from gateway.metrics.registry import Registry
from gateway.parts import Parts, limits_from, open_parts
from gateway.runs.configured import retry_policy_from
from gateway.runs.context import RunContext
from gateway.runs.filters.hold_back import ALL
from gateway.runs.observers import log_run
from gateway.runs.reasoning import CallReasoning
from gateway.runs.run_metrics import RunMetrics
from gateway.runs.trace import Observer
from gateway.tools.configured import registry_from
from gateway.tools.registry import Registry as ToolRegistry
from gateway.upstream.client import ProviderClient
from gateway.upstream.configured import providers_from
from gateway.upstream.embed import Embedder, HttpEmbedder
from gateway.upstream.embedded import MODEL
from gateway.upstream.local import LocalEmbedder, local_provider
from gateway.upstream.provider import Provider
from gateway.upstream.signers import token_sources
from gateway.validation.embedded import EMBEDDED_EMBEDDING, embedded_joins
from gateway.wire.openai_chat.embeddings import EmbeddingLimits
from openclaw_ratelimit import Quota, QuotaPolicy

_METRICS = frozenset({"metrics"})  # see `gateway.routes`
_BODY_TIMEOUT = 30.0  # seconds for a request body to arrive (recorded)


@dataclass(frozen=True, slots=True)
class Prepared:
    """A snapshot that can be put in force. `close` it once nothing refers to its lifetime, or if it is not used."""

    snapshot: Snapshot
    stack: AsyncExitStack

    async def close(self) -> None:
        """Close what only this snapshot holds, such as tool servers that no later one has."""
        await self.stack.aclose()


@asynccontextmanager
async def provisioned(config: Config, env: Mapping[str, str], state: Path) -> AsyncIterator[tuple[Services, Snapshot]]:
    """What requests of one configuration work with. Raises ConfigError for what `gateway.validation` refuses."""
    async with open_parts(config, state) as parts:
        prepared = await prepared_from(config, env, parts)
        try:
            yield parts.services, prepared.snapshot
        finally:
            await prepared.close()


async def prepared_from(config: Config, env: Mapping[str, str], parts: Parts) -> Prepared:
    """The snapshot of a configuration over the parts of this process. It changes nothing that others use.

    Raises ConfigError for what `gateway.validation` refuses.
    """
    async with AsyncExitStack() as stack:
        snapshot = await _snapshot(config, env, parts, stack)
        return Prepared(snapshot, stack.pop_all())
    raise AssertionError("unreachable: nothing in the stack suppresses exceptions")


async def _snapshot(config: Config, env: Mapping[str, str], parts: Parts, stack: AsyncExitStack) -> Snapshot:
    gateway, lifetime, keys = config.gateway, Lifetime(), parts.services.keys
    declared = declared_keys(gateway.keys)
    budgets, soft_budgets = budget_policies_from(gateway.budgets)
    limits = limits_from(gateway.retry)
    provider_client = ProviderClient(parts.http.with_connect(limits.connect), limits)
    providers = providers_from(config.models, env, named_providers(config), config.auth)
    stack.enter_context(parts.http.serving([origin for one in providers.values() for origin in one.origins()]))
    for tokens in token_sources(providers.values()):
        stack.push_async_callback(tokens.close)
    embedders: dict[str, Embedder] = {
        name: HttpEmbedder(provider_client.http, limits, provider_client.deadlines) for name in providers
    }
    embedded = parts.embedded if embedded_joins(config.models) else None
    if embedded is not None:
        providers[MODEL.provider] = local_provider(embedded.chat)
        embedders[MODEL.provider] = LocalEmbedder(embedded.embeddings)
    tools = await stack.enter_async_context(registry_from(config, parts.tools))
    directory = directory_from(
        config,
        providers,
        state=parts.state,
        clock=asyncio.get_running_loop().time,
        fallback_embedding=None if embedded is None else EMBEDDED_EMBEDDING,
        tools=tools,
    )
    if embedded is not None and _uses_provider(directory, MODEL.provider):
        await embedded.chat.start()
    runs = _run_context(gateway, providers, provider_client, parts, lifetime)
    metrics = _run_metrics(parts.registry, directory, providers, tools)
    return Snapshot(
        endpoints=gateway.http.endpoints.enabled | (_METRICS if gateway.metrics.enabled else frozenset()),
        hosts=HostPolicy((), gateway.http.allowed_hosts) if gateway.http.allowed_hosts else None,
        directory=directory,
        runs=replace(runs, observers=_observers(parts, providers, metrics)),
        conversations=_conversations(config, parts.conversations),
        tools=tools,
        quota=_quota(gateway, parts, budgets),
        soft_budgets=soft_budgets,
        embedders=embedders,
        media=_media_policies(gateway.http.endpoints, stack),
        clients=ClientResolver(gateway.trusted_proxies, gateway.allow_real_ip_fallback),
        authenticator=modes.build(
            gateway.auth,
            allowed_origins=gateway.control_ui.allowed_origins,
            allowed_hosts=gateway.http.allowed_hosts,
            declared=declared.values(),
            stored=None if keys is None else keys.replica,
        ),
        declared_keys=declared,
        report_upstream_model=gateway.http.endpoints.chat_completions.report_model == "upstream",
        heartbeat=gateway.stream.heartbeat_ms / 1000,
        opening=gateway.stream.opening_heartbeat_ms / 1000,
        body_timeout=_BODY_TIMEOUT,
        session_from_user=config.session.from_user,
        cors=CorsPolicy(gateway.control_ui.allowed_origins),
        embedding_limits=_embedding_limits(gateway.http.endpoints.embeddings),
        lifetime=lifetime,
    )


def _embedding_limits(config: EmbeddingsConfig) -> EmbeddingLimits:
    return EmbeddingLimits(config.max_inputs, config.max_input_chars, config.max_total_chars)


def _run_metrics(
    registry: Registry | None, directory: Directory, providers: Mapping[str, Provider], tools: ToolRegistry | None
) -> tuple[Observer, ...]:
    """The models that count by name: those of agents, and those that a provider's row lists."""
    if registry is None:
        return ()
    chains = ((*agent.candidates, agent.embedding) for agent in directory.agents)
    models = {ref: None for chain in chains for ref in chain if ref is not None}
    models |= {ModelRef(name, model): None for name, row in providers.items() for model in row.models}
    agents = (agent.id for agent in directory.agents)
    servers = () if tools is None else (server.name for server in tools.servers)
    return (RunMetrics(registry, providers, models=models, agents=agents, tool_servers=servers),)


def _conversations(config: Config, conversations: Conversations) -> Conversations:
    session = config.session
    return conversations.with_settings(
        wait=session.wait_ms / 1000,
        summarise_over=session.max_bytes if session.compaction == "summarize" else None,
    )


def _quota(gateway: GatewayConfig, parts: Parts, budgets: Sequence[QuotaPolicy]) -> Quota | None:
    """None where there can be no limits, so that requests then do no extra work."""
    policies = (*policies_from(gateway.limits), *budgets)
    if parts.quota is None or not (policies or parts.services.keys):
        return None
    return parts.quota.with_policies(policies)


def _run_context(
    config: GatewayConfig,
    providers: Mapping[str, Provider],
    client: ProviderClient,
    parts: Parts,
    lifetime: Lifetime,
) -> RunContext:
    stream = config.stream
    hold_back = {"none": 0.0, "all": ALL}.get(str(stream.hold_back))
    ledger, traces = parts.services.ledger, parts.services.traces
    return RunContext(
        providers,
        client,
        retry_policy_from(config.retry),
        parts.cooldowns,
        rescue=stream.rescue,
        hold_back=float(stream.hold_back) if hold_back is None else hold_back,
        reasoning=CallReasoning(parts.services.stores.reasoning),
        metered=ledger is not None or traces is not None,
        on_attempt=None if ledger is None else ledger.on_attempt,
        capture=None if traces is None else traces.capture,
        lifetime=lifetime,
    )


def _observers(parts: Parts, providers: Mapping[str, Provider], metrics: tuple[Observer, ...]) -> tuple[Observer, ...]:
    """Who sees the end of each run."""
    ledger, traces = parts.services.ledger, parts.services.traces
    later = [parts.services.recent.ended, *metrics]
    if ledger is not None:
        later.append(ledger.observer(providers))
    spans = () if traces is None else (traces.observer(providers),)
    return (log_run, *spans, parts.deferred.observer(*later))


def _uses_provider(directory: Directory, provider: str) -> bool:
    return any(ref.provider == provider for agent in directory.agents for ref in agent.candidates)


def _media_policies(endpoints: EndpointsConfig, stack: AsyncExitStack) -> MediaPolicies:
    response_images = image_policy_from(endpoints.responses.images, stack, "input")
    return MediaPolicies(
        images=image_policy_from(endpoints.chat_completions.images, stack, "messages"),
        response_images=response_images,
        message_images=replace(response_images, field="content"),
        response_files=file_policy_from(endpoints.responses.files, stack),
        max_url_parts=endpoints.responses.max_url_parts,
    )
