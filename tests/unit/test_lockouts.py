"""The parts around lockouts that follow a changed configuration."""

import json
import secrets

import pytest

from gateway.access.client import ClientAddress
from gateway.access.outcome import Authenticated, Rejected
from gateway.config.auth import AuthConfig
from gateway.config.load import load
from gateway.core.errors import LockedOut, Unauthorized
from gateway.core.identity import OWNER
from gateway.lockouts import lockout_from, releases_from
from gateway.shared import link_from


def config_of(tmp_path, lockout_ms):
    file = tmp_path / "openclaw.json"
    tree = {
        "gateway": {
            "auth": {"mode": "token", "token": "a-token-of-the-tests", "rateLimit": {"lockoutMs": lockout_ms}},
            "redis": {"url": "redis://127.0.0.1:1"},
        }
    }
    file.write_text(json.dumps(tree), encoding="utf-8")
    return load(file, {}).config


async def no_sleep(_seconds):
    raise AssertionError("nobody failed")


async def test_releases_stay_stored_while_a_lock_of_an_earlier_setting_can_last(tmp_path):
    before, longer, shorter = (config_of(tmp_path, seconds * 1000) for seconds in (60, 3600, 60))
    link = link_from(before.gateway.redis)
    lockout, _ = lockout_from(before.gateway.auth, link, sleep=no_sleep)
    sync, adjust = releases_from(lockout, before, tmp_path, link)
    for config, seconds in ((longer, 3600), (shorter, 3600)):
        adjust(config)
        assert sync.spool.max_age == seconds


def client(host):
    return ClientAddress(host, False, True, host)


async def guess_from_everywhere(lockout, count):
    """One wrong secret from each of so many addresses."""
    for number in range(count):
        with pytest.raises((Unauthorized, LockedOut)):
            await lockout.admit(Rejected("wrong", "token"), client(f"10.0.{number // 250}.{number % 250}"))


def lockout_of(**auth):
    return lockout_from(AuthConfig.model_validate(auth), None, sleep=no_sleep)[0]


async def test_an_owner_with_a_random_token_logs_in_from_a_new_address_while_thousands_guess():
    lockout = lockout_of(mode="token", token=secrets.token_hex(32))
    await guess_from_everywhere(lockout, 1000)
    assert await lockout.admit(Authenticated(OWNER, "token"), client("192.0.2.1")) is OWNER


async def test_guesses_of_a_password_from_many_addresses_are_limited_and_a_known_address_notices_nothing():
    lockout = lockout_of(mode="password", password="hunter2", rateLimit={"global": 50})
    assert await lockout.admit(Authenticated(OWNER, "password"), client("192.0.2.1")) is OWNER
    await guess_from_everywhere(lockout, 100)
    with pytest.raises(LockedOut):
        await lockout.admit(Authenticated(OWNER, "password"), client("192.0.2.2"))
    assert await lockout.admit(Authenticated(OWNER, "password"), client("192.0.2.1")) is OWNER


async def test_a_changed_secret_changes_whether_guesses_from_many_addresses_are_limited(tmp_path):
    config = config_of(tmp_path, 60_000)
    lockout, adjust = lockout_from(config.gateway.auth, None, sleep=no_sleep)
    random = config.model_copy(deep=True)
    random.gateway.auth.__dict__["token"] = AuthConfig.model_validate({"token": secrets.token_hex(32)}).token
    adjust(random)
    await guess_from_everywhere(lockout, 300)
    assert await lockout.admit(Authenticated(OWNER, "token"), client("192.0.2.1")) is OWNER
    adjust(config)
    await guess_from_everywhere(lockout, 300)
    with pytest.raises(LockedOut):
        await lockout.admit(Authenticated(OWNER, "token"), client("192.0.2.2"))
