"""Configuration → everything that a run needs, opened, and closed at the end. HTTP and the command line share it."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path

from gateway.access import modes
from gateway.access.client import ClientResolver
from gateway.agents.configured import directory_from
from gateway.agents.directory import Directory
from gateway.agents.model_chain import named_providers
from gateway.config.endpoints import EndpointsConfig, FilesConfig, ImagesConfig
from gateway.config.gateway import GatewayConfig, RetryConfig
from gateway.config.root import Config
from gateway.config.session import SessionConfig
from gateway.conversations.conversation import Conversations
from gateway.core.names import ModelRef
from gateway.dispatch.snapshot import MediaPolicies, Services, Snapshot
from gateway.media.document import PdfLimits
from gateway.media.fetch import Fetcher, FetchPolicy
from gateway.media.files import FilePolicy
from gateway.media.images import ImagePolicy
from gateway.media.reader import DocumentReader
from gateway.metrics.registry import Registry
from gateway.runs.attempts import RetryPolicy
from gateway.runs.context import RunContext
from gateway.runs.cooldowns import CooldownPolicy, Cooldowns
from gateway.runs.filters.hold_back import ALL
from gateway.runs.reasoning import CallReasoning
from gateway.runs.run_metrics import RunMetrics
from gateway.runs.trace import RecentRuns
from gateway.state.configured import Stores, stores_from
from gateway.state.sessions.store import LEASE
from gateway.tools.configured import registry_from
from gateway.upstream.client import ProviderClient
from gateway.upstream.configured import providers_from
from gateway.upstream.embed import Embedder, HttpEmbedder
from gateway.upstream.embedded import MODEL, available
from gateway.upstream.embedded.chat import EmbeddedChat
from gateway.upstream.embedded.embeddings import EmbeddedEmbeddings
from gateway.upstream.http import Limits, Timeouts, create_client
from gateway.upstream.local import LocalEmbedder, local_provider
from gateway.upstream.provider import Provider
from gateway.validation import EMBEDDED_EMBEDDING, embedded_joins

RENEW = LEASE / 3
"""Seconds between two renewals of a conversation's lease."""
_BODY_TIMEOUT = 30.0  # seconds for a request body to arrive (recorded)


@asynccontextmanager
async def provisioned(
    config: Config,
    env: Mapping[str, str],
    state: Path,
    cooldowns: Cooldowns | None = None,
    *,
    renew: float = RENEW,
    registry: Registry | None = None,
) -> AsyncIterator[tuple[Services, Snapshot]]:
    """What requests of one configuration work with. Raises ConfigError for what `gateway.validation` refuses.

    `cooldowns` are those that other instances know of, too. `renew`: see `create_app`. `registry` counts the runs; None
    counts nothing.
    """
    clock = asyncio.get_running_loop().time
    limits = limits_from(config.gateway.retry)
    async with AsyncExitStack() as stack:
        http = await stack.enter_async_context(create_client(limits))
        provider_client = ProviderClient(http, limits)
        providers = providers_from(config.models, env, named_providers(config), config.auth)
        embedders: dict[str, Embedder] = {
            name: HttpEmbedder(http, limits, provider_client.deadlines) for name in providers
        }
        chat = None
        if available() and embedded_joins(config.models):
            chat = EmbeddedChat()
            stack.push_async_callback(chat.close)
            vectors = EmbeddedEmbeddings()
            stack.push_async_callback(vectors.close)
            providers[MODEL.provider] = local_provider(chat)
            embedders[MODEL.provider] = LocalEmbedder(vectors)
        fallback = EMBEDDED_EMBEDDING if chat is not None else None
        tools = await stack.enter_async_context(registry_from(config))
        directory = directory_from(
            config, providers, state=state, clock=clock, fallback_embedding=fallback, tools=tools
        )
        if chat is not None and _uses_provider(directory, MODEL.provider):
            await chat.start()
        stores = await stack.enter_async_context(stores_from(config, state))
        conversations = _conversations(config.session, stores, renew)
        stack.push_async_callback(conversations.close)
        gateway = config.gateway
        services = Services(stores, conversations, RecentRuns(), tools, started=clock())
        runs = _run_context(gateway, providers, provider_client, cooldowns or cooldowns_from(gateway.retry))
        if registry is not None:
            servers = (server.name for server in tools.servers) if tools is not None else ()
            runs = replace(runs, observers=(*runs.observers, _run_metrics(registry, directory, providers, servers)))
        snapshot = Snapshot(
            directory=directory,
            runs=replace(runs, reasoning=CallReasoning(stores.reasoning)),
            embedders=embedders,
            media=_media_policies(gateway.http.endpoints, stack),
            clients=ClientResolver(gateway.trusted_proxies, gateway.allow_real_ip_fallback),
            authenticator=modes.build(gateway.auth, allowed_origins=gateway.control_ui.allowed_origins),
            report_upstream_model=gateway.http.endpoints.chat_completions.report_model == "upstream",
            heartbeat=gateway.stream.heartbeat_ms / 1000,
            opening=gateway.stream.opening_heartbeat_ms / 1000,
            body_timeout=_BODY_TIMEOUT,
        )
        yield services, snapshot


def _run_metrics(
    registry: Registry, directory: Directory, providers: Mapping[str, Provider], tool_servers: Iterable[str]
) -> RunMetrics:
    """The models that count by name: those of agents, and those that a provider's row lists."""
    models = {
        ref: None for agent in directory.agents for ref in (*agent.candidates, agent.embedding) if ref is not None
    }
    models |= {ModelRef(name, model): None for name, row in providers.items() for model in row.models}
    agents = (agent.id for agent in directory.agents)
    return RunMetrics(registry, providers, models=models, agents=agents, tool_servers=tool_servers)


def _conversations(session: SessionConfig, stores: Stores, renew: float) -> Conversations:
    return Conversations(
        stores.sessions,
        wait=session.wait_ms / 1000,
        renew=renew,
        clock=time.time,
        summarise_over=session.max_bytes if session.compaction == "summarize" else None,
    )


def limits_from(retry: RetryConfig) -> Limits:
    """The timeouts of the configuration (milliseconds) in seconds."""
    whole = retry.silence_timeout_ms / 1000
    return Limits(
        connect=retry.connect_timeout_ms / 1000,
        total=retry.total_timeout_ms / 1000,
        fallback=Timeouts(
            first_event=retry.first_event_timeout_ms / 1000,
            idle=retry.idle_timeout_ms / 1000,
            thinking=retry.thinking_timeout_ms / 1000,
            whole=whole,
        ),
        last=Timeouts(
            first_event=retry.last_first_event_timeout_ms / 1000,
            idle=retry.last_idle_timeout_ms / 1000,
            thinking=retry.last_thinking_timeout_ms / 1000,
            whole=whole,
        ),
        stall_after=retry.stall_after_ms / 1000,
    )


def cooldowns_from(retry: RetryConfig) -> Cooldowns:
    """No candidate cools down yet; in the time of the running loop."""
    policy = CooldownPolicy(seconds=retry.cooldown_ms / 1000, max_seconds=retry.max_cooldown_ms / 1000)
    return Cooldowns(policy, clock=asyncio.get_running_loop().time)


def retry_policy_from(retry: RetryConfig) -> RetryPolicy:
    """Milliseconds of the file → seconds."""
    return RetryPolicy(
        clock=asyncio.get_running_loop().time,
        sleep=asyncio.sleep,
        random=random.random,
        retries=retry.max_retries,
        backoff=retry.backoff_ms / 1000,
        max_backoff=retry.max_backoff_ms / 1000,
        fallback_hint=retry.fallback_retry_after_ms / 1000,
        max_hint=retry.max_retry_after_ms / 1000,
        hedge_after=None if retry.hedge_after_ms is None else retry.hedge_after_ms / 1000,
    )


def _run_context(
    config: GatewayConfig, providers: Mapping[str, Provider], client: ProviderClient, cooldowns: Cooldowns
) -> RunContext:
    stream = config.stream
    hold_back = {"none": 0.0, "all": ALL}.get(str(stream.hold_back))
    return RunContext(
        providers,
        client,
        retry_policy_from(config.retry),
        cooldowns,
        rescue=stream.rescue,
        hold_back=float(stream.hold_back) if hold_back is None else hold_back,
    )


def _uses_provider(directory: Directory, provider: str) -> bool:
    return any(ref.provider == provider for agent in directory.agents for ref in agent.candidates)


def _media_policies(endpoints: EndpointsConfig, stack: AsyncExitStack) -> MediaPolicies:
    return MediaPolicies(
        images=_image_policy(endpoints.chat_completions.images, stack, "messages"),
        response_images=_image_policy(endpoints.responses.images, stack, "input"),
        response_files=_file_policy(endpoints.responses.files, stack),
        max_url_parts=endpoints.responses.max_url_parts,
    )


def _image_policy(config: ImagesConfig, stack: AsyncExitStack, field: str) -> ImagePolicy:
    mimes = frozenset(config.allowed_mimes)
    if not config.allow_url:
        return ImagePolicy(mimes, config.max_bytes, field=field)
    policy = FetchPolicy(config.url_allowlist, config.max_redirects, config.timeout_ms / 1000)
    fetcher = Fetcher(policy)
    stack.push_async_callback(fetcher.close)
    return ImagePolicy(mimes, config.max_bytes, fetcher.fetch, field)


def _file_policy(config: FilesConfig, stack: AsyncExitStack) -> FilePolicy:
    pdf = PdfLimits(config.pdf.max_pages, config.pdf.max_pixels, config.pdf.min_text_chars)
    policy = FilePolicy(
        frozenset(config.allowed_mimes), config.max_bytes, config.max_chars, reader=DocumentReader(), pdf=pdf
    )
    if not config.allow_url:
        return policy
    fetcher = Fetcher(
        FetchPolicy(config.url_allowlist, config.max_redirects, config.timeout_ms / 1000, code="invalid_file_url")
    )
    stack.push_async_callback(fetcher.close)
    return replace(policy, fetch=fetcher.fetch)
