"""Configuration → everything a run needs, opened and, at the end, closed. The same for HTTP and the command line."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path

from gateway.agents.configured import directory_from
from gateway.agents.directory import Directory
from gateway.config.endpoints import FilesConfig, ImagesConfig
from gateway.config.gateway import GatewayConfig, RetryConfig
from gateway.config.root import Config
from gateway.conversations.conversation import Conversations
from gateway.core.errors import ConfigError
from gateway.core.names import ModelRef
from gateway.http.runtime import Runtime
from gateway.media.document import PdfLimits
from gateway.media.fetch import Fetcher, FetchPolicy
from gateway.media.files import FilePolicy
from gateway.media.images import ImagePolicy
from gateway.media.reader import DocumentReader
from gateway.runs.context import RunContext
from gateway.runs.cooldowns import CooldownPolicy, Cooldowns
from gateway.runs.failover import RetryPolicy
from gateway.runs.filters.hold_back import ALL
from gateway.runs.trace import RecentRuns
from gateway.state.configured import stores_from
from gateway.state.sessions.store import LEASE
from gateway.tools.configured import registry_from
from gateway.upstream.client import ProviderClient
from gateway.upstream.configured import providers_from
from gateway.upstream.embed import Embedder, HttpEmbedder
from gateway.upstream.embedded import MODEL, available
from gateway.upstream.embedded.chat import EmbeddedChat
from gateway.upstream.embedded.embeddings import EmbeddedEmbeddings
from gateway.upstream.http import Limits, create_client
from gateway.upstream.local import LocalEmbedder, local_provider
from gateway.upstream.provider import Provider

RENEW = LEASE / 3
"""Seconds between two renewals of a conversation's lease."""
_BODY_TIMEOUT = 30.0  # seconds for a request body to arrive (recorded)


@asynccontextmanager
async def provisioned(
    config: Config,
    env: Mapping[str, str],
    state: Path,
    circuits: Cooldowns | None = None,
    *,
    renew: float = RENEW,
) -> AsyncIterator[Runtime]:
    """The runtime of one configuration. Raises ConfigError when an agent has nothing to answer with.

    `circuits` are those that other instances know of, too. `renew`: see `create_app`.
    """
    clock = asyncio.get_running_loop().time
    limits = limits_from(config.gateway.retry)
    endpoints = config.gateway.http.endpoints
    async with AsyncExitStack() as stack:
        http = await stack.enter_async_context(create_client(limits))
        caller = ProviderClient(http, limits)
        providers = providers_from(config.models, env)
        embedders: dict[str, Embedder] = {name: HttpEmbedder(http, limits, caller.deadlines) for name in providers}
        chat = None
        if available() and MODEL.provider not in providers and config.models.mode != "replace":
            chat = EmbeddedChat()
            stack.push_async_callback(chat.close)
            vectors = EmbeddedEmbeddings()
            stack.push_async_callback(vectors.close)
            providers[MODEL.provider] = local_provider(chat)
            embedders[MODEL.provider] = LocalEmbedder(vectors)
        fallback = ModelRef(MODEL.provider, MODEL.embedding_model) if chat is not None else None
        tools = await stack.enter_async_context(registry_from(config))
        directory = directory_from(
            config, providers, state=state, clock=clock, fallback_embedding=fallback, tools=tools
        )
        require_callable_models(directory, providers)
        if chat is not None and _asks(directory, MODEL.provider):
            await chat.start()
        stores = await stack.enter_async_context(stores_from(config, state))
        kept = config.session
        conversations = Conversations(
            stores.sessions,
            wait=kept.wait_ms / 1000,
            renew=renew,
            clock=time.time,
            summarise_over=kept.max_bytes if kept.compaction == "summarize" else None,
        )
        stack.push_async_callback(conversations.close)
        yield Runtime(
            directory=directory,
            dispatch=_dispatch(config.gateway, providers, caller, circuits or circuits_from(config.gateway.retry)),
            recent=RecentRuns(),
            stores=stores,
            conversations=conversations,
            embedders=embedders,
            tools=tools,
            images=_image_policy(endpoints.chat_completions.images, stack, "messages"),
            response_images=_image_policy(endpoints.responses.images, stack, "input"),
            response_files=_file_policy(endpoints.responses.files, stack),
            max_url_parts=endpoints.responses.max_url_parts,
            report_upstream_model=endpoints.chat_completions.report_model == "upstream",
            heartbeat=config.gateway.stream.heartbeat_ms / 1000,
            opening=config.gateway.stream.opening_heartbeat_ms / 1000,
            body_timeout=_BODY_TIMEOUT,
            started=clock(),
        )


def limits_from(retry: RetryConfig) -> Limits:
    """Milliseconds of the file → seconds."""
    return Limits(
        connect=retry.connect_timeout_ms / 1000,
        first_event=retry.first_event_timeout_ms / 1000,
        idle=retry.idle_timeout_ms / 1000,
        silence=retry.silence_timeout_ms / 1000,
        total=retry.total_timeout_ms / 1000,
    )


def circuits_from(retry: RetryConfig) -> Cooldowns:
    """Closed circuits, in the time of the running loop."""
    policy = CooldownPolicy(rest=retry.rest_ms / 1000, longest=retry.max_rest_ms / 1000)
    return Cooldowns(policy, clock=asyncio.get_running_loop().time)


def _dispatch(
    config: GatewayConfig, providers: Mapping[str, Provider], caller: ProviderClient, circuits: Cooldowns
) -> RunContext:
    retry, stream = config.retry, config.stream
    policy = RetryPolicy(
        clock=asyncio.get_running_loop().time,
        sleep=asyncio.sleep,
        random=random.random,
        retries=retry.max_retries,
        backoff=retry.backoff_ms / 1000,
        patience=retry.max_retry_after_ms / 1000,
    )
    hold_back = {"none": 0.0, "all": ALL}.get(str(stream.hold_back))
    return RunContext(
        providers,
        caller,
        policy,
        circuits,
        rescue=stream.rescue,
        hold_back=float(stream.hold_back) if hold_back is None else hold_back,
    )


def require_callable_models(directory: Directory, providers: Mapping[str, Provider]) -> None:
    """An agent that no provider can answer for is found at start, not by its first caller."""
    problems = [
        f"agents.entries.{agent.id}.model: {agent.candidates[0]} can't be called; its provider has no baseUrl, is not "
        "installed, or speaks a wire format that is not served yet"
        for agent in directory.agents
        if not any(ref.provider in providers for ref in agent.candidates)
    ]
    if problems:
        raise ConfigError(tuple(problems))


def _asks(directory: Directory, provider: str) -> bool:
    return any(ref.provider == provider for agent in directory.agents for ref in agent.candidates)


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
