"""Redis as the doctor sees it: a real one, one that evicts, one that is away, and one whose user may not ask."""

from gateway.doctor import shared_store
from tests.process import free_port
from tests.servers import Redis


async def test_a_good_redis_has_no_findings_and_one_that_evicts_has_one(healthy, tmp_path, monkeypatch):
    monkeypatch.setattr(shared_store, "MAX_LATENCY", 1.0)  # the machine that runs the tests may be busy
    redis = Redis(tmp_path, {"maxmemory": "100mb", "maxmemory-policy": "noeviction"})
    await redis.start()
    try:
        healthy.put("gateway.redis.url", redis.url)
        assert await healthy.findings() == []
        await redis.ask("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
        (evicts,) = await healthy.findings()
        assert (evicts.id, evicts.seen) == (
            "redis.evicts",
            f"Redis at 127.0.0.1:{redis.port} has maxmemory-policy allkeys-lru",
        )
        assert "CONFIG SET maxmemory-policy noeviction" in evicts.fix
        monkeypatch.setattr(shared_store, "MIN_VERSION", (99, 0))
        monkeypatch.setattr(shared_store, "MAX_LATENCY", 0.0)
        assert [one.id for one in await healthy.findings("redis")] == ["redis.old", "redis.evicts", "redis.slow"]
        await redis.ask("ACL", "SETUSER", "limited", "on", ">a-password-of-redis", "~*", "+@all", "-info")
        healthy.put("gateway.redis.url", redis.url.replace("://", "://limited:a-password-of-redis@"))
        (limited,) = await healthy.findings("redis.not-inspected")
        assert "ACL SETUSER" in limited.fix
        healthy.put("gateway.redis.url", redis.url.replace("://", "://limited:a-wrong-password@"))
        (refused,) = await healthy.findings("redis")
        assert refused.id == "redis.unreachable"
        assert "a-wrong-password" not in str(refused.as_dict())
    finally:
        await redis.stop()


async def test_a_redis_that_is_away_is_reported(healthy):
    healthy.put("gateway.redis.url", f"redis://:a-password-of-redis@127.0.0.1:{free_port()}/0")
    (finding,) = await healthy.findings("redis")
    assert finding.id == "redis.unreachable"
    assert "OPENCLAW_REDIS_URL" in finding.fix
    assert "a-password-of-redis" not in str(finding.as_dict())
