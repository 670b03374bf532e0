"""A real gateway process between a strict client and a provider that injects faults, with short limits."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from tests.e2e.conftest import TOKEN, client, gateway
from tests.fault.provider import FaultProvider

__all__ = ["TOKEN", "client", "gateway"]

CONNECT, LIMIT, STALL, BACKOFF, COOLDOWN = 0.3, 1.2, 0.5, 0.04, 0.4  # seconds
THINKING, TOTAL = 3.0, 6.0  # seconds
TIMER_DELAY = 0.15  # seconds that a limit may be late: it is checked ten times a second
SLACK = 1.5  # seconds that a busy machine may add


def settings(providers: dict[str, Any], agents: dict[str, Any]) -> dict[str, Any]:
    """A configuration with these providers and agents."""
    return {
        "gateway": {
            "auth": {"mode": "token", "token": TOKEN},
            "http": {"endpoints": {"chatCompletions": {"enabled": True}, "responses": {"enabled": True}}},
            "retry": {
                "connectTimeoutMs": CONNECT * 1000,
                "firstEventTimeoutMs": LIMIT * 1000,
                "idleTimeoutMs": LIMIT * 1000,
                "lastFirstEventTimeoutMs": LIMIT * 1000,
                "lastIdleTimeoutMs": LIMIT * 1000,
                "silenceTimeoutMs": LIMIT * 1000,
                "thinkingTimeoutMs": THINKING * 1000,
                "lastThinkingTimeoutMs": THINKING * 1000,
                "totalTimeoutMs": TOTAL * 1000,
                "stallAfterMs": STALL * 1000,
                "backoffMs": BACKOFF * 1000,
                "cooldownMs": COOLDOWN * 1000,
                "maxCooldownMs": COOLDOWN * 4000,
            },
        },
        "agents": {"defaults": {"model": {"primary": "fake/unscripted"}}, "entries": {"main": {}, **agents}},
        "memory": {"search": {"provider": "fake", "model": "unscripted"}},
        "models": {"mode": "replace", "providers": providers},
    }


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def provider() -> AsyncIterator[FaultProvider]:
    async with FaultProvider().serving() as ready:
        yield ready


@pytest_asyncio.fixture(autouse=True, loop_scope="module")
async def no_kept_connections(provider: FaultProvider) -> None:
    """A fault on a new connection is the provider's; a reused one may be stale."""
    await provider.end_kept_connections()


@pytest.fixture(scope="module")
def agents() -> dict[str, Any]:
    """The agents of the tests of this file. Each has its own models, so that tests don't share cooldowns."""
    return {}


@pytest.fixture(scope="module")
def providers(provider: FaultProvider) -> dict[str, Any]:
    return {"fake": {"baseUrl": provider.url, "apiKey": "key-of-the-fault-tests"}}


@pytest.fixture(scope="module")
def config(providers: dict[str, Any], agents: dict[str, Any]) -> dict[str, Any]:
    return settings(providers, agents)
