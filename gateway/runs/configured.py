"""Builds the policies of retries and cooldowns from the configuration, milliseconds to seconds."""

import asyncio
import random

from gateway.config.gateway import RetryConfig
from gateway.runs.cooldowns import CooldownPolicy, Cooldowns
from gateway.runs.retry_policy import RetryPolicy


def retry_policy_from(retry: RetryConfig) -> RetryPolicy:
    """How the candidates of an answer are retried; in the time of the running loop."""
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


def cooldown_policy(retry: RetryConfig) -> CooldownPolicy:
    """For how long a failed candidate is skipped."""
    return CooldownPolicy(seconds=retry.cooldown_ms / 1000, max_seconds=retry.max_cooldown_ms / 1000)


def cooldowns_from(retry: RetryConfig) -> Cooldowns:
    """No candidate cools down yet; in the time of the running loop."""
    return Cooldowns(cooldown_policy(retry), clock=asyncio.get_running_loop().time)
