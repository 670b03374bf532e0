"""Milliseconds of the configuration become seconds of the right settings."""

import asyncio

from gateway.config.gateway import RetryConfig
from gateway.parts import limits_from
from gateway.runs.configured import cooldowns_from, retry_policy_from
from gateway.upstream.http import Limits, Timeouts


def test_without_settings_the_limits_have_the_defaults_of_the_code():
    assert limits_from(RetryConfig()) == Limits()


def test_every_limit_has_a_key():
    keys = {
        "connectTimeoutMs": 1_000,
        "totalTimeoutMs": 2_000,
        "firstEventTimeoutMs": 3_000,
        "idleTimeoutMs": 4_000,
        "thinkingTimeoutMs": 5_000,
        "lastFirstEventTimeoutMs": 6_000,
        "lastIdleTimeoutMs": 7_000,
        "lastThinkingTimeoutMs": 8_000,
        "silenceTimeoutMs": 9_000,
        "stallAfterMs": 10_000,
    }
    limits = limits_from(RetryConfig.model_validate(keys))
    assert limits == Limits(1.0, 2.0, Timeouts(3.0, 4.0, 5.0, 9.0), Timeouts(6.0, 7.0, 8.0, 9.0), 10.0)


async def test_retry_settings_have_keys():
    keys = {
        "maxRetries": 1,
        "backoffMs": 100,
        "maxBackoffMs": 200,
        "fallbackRetryAfterMs": 0,
        "maxRetryAfterMs": 300,
        "hedgeAfterMs": 400,
    }
    policy = retry_policy_from(RetryConfig.model_validate(keys))
    asked_again = policy.retries, policy.backoff, policy.max_backoff, policy.fallback_hint, policy.max_hint
    assert asked_again == (1, 0.1, 0.2, 0.0, 0.3)
    assert policy.hedge_after == 0.4
    assert policy.clock() <= asyncio.get_running_loop().time()
    assert retry_policy_from(RetryConfig()).hedge_after is None


async def test_cooldown_settings_have_keys():
    policy = cooldowns_from(RetryConfig.model_validate({"cooldownMs": 100, "maxCooldownMs": 200})).policy
    assert (policy.seconds, policy.max_seconds) == (0.1, 0.2)
