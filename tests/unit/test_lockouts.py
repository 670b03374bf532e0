"""The parts around lockouts that follow a changed configuration."""

import json

from gateway.config.load import load
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
