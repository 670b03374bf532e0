"""Any key that a client can send is counted exactly and disturbs no other."""

import pytest

from support.instances import PATIENT, POLICY, Instance, client, quiet, until


@pytest.fixture
def link_settings():
    return PATIENT


@pytest.mark.parametrize(
    "key", ["\udcff", b"\xff\x00", "ä" * 300, "x" * 20_000_000, "", " ", "a\nb", "{}", "\0", "§", b"\xf0\x9f\x94\x92"]
)
async def test_any_key_is_counted_exactly_and_hurts_nobody(instances, key):
    allowed = sum([await one.failures(key, 3) for one in instances])
    assert allowed == POLICY.max_attempts
    await until(lambda: all(one.limiter.locked_for(key) for one in instances))
    await quiet(*instances)
    (lock,) = instances[1].limiter.locked()
    assert len(lock.key.encode()) <= 256
    assert await instances[2].limiter.unlock(lock.key)
    assert sum([await one.failures("ordinary", 3) for one in instances]) == POLICY.max_attempts


@pytest.mark.parametrize("settings", [{"encoding": "latin-1"}, {"decode_responses": True}, {"encoding": "utf-16"}])
async def test_a_client_of_another_encoding_counts_the_same_keys(server, settings):
    async with Instance(server.url, link=PATIENT) as one, Instance(client(server, **settings), link=PATIENT) as other:
        for key in ("ä", "\N{SNOWMAN}", b"\xff"):
            assert await one.failures(key, 2) + await other.failures(key, 2) == POLICY.max_attempts
            await until(lambda key=key: one.limiter.locked_for(key) and other.limiter.locked_for(key))
        assert await other.limiter.unlock("ä")
        await quiet(one, other)
