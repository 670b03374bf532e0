"""The secret of seals: made once, shared by all who use the same storage, and never guessed at."""

import pytest
import pytest_asyncio

from gateway.state.seals import redis_seals, sqlite_seals
from tests.contract.stores import BACKENDS, SHARED, open_backend, servers
from tests.redis_rights import create_user

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def redis(tmp_path_factory):
    async with servers(tmp_path_factory.mktemp("redis")) as started:
        yield started


def seals(backend, at, prefix="test"):
    return redis_seals(at, prefix=prefix) if backend in SHARED else sqlite_seals(at)


@pytest.mark.parametrize("backend", BACKENDS)
async def test_instances_with_one_storage_share_the_seals_of_each_user(backend, redis, tmp_path):
    async with open_backend(backend, redis, tmp_path) as at:
        first, second = seals(backend, at), seals(backend, at)
        sealed = (await first.of("alice")).close(b"data")
        assert (await second.of("alice")).open(sealed) == b"data"
        assert (await second.of("bob")).open(sealed) is None
        assert (await second.of(None)).open(sealed) is None
    async with open_backend(backend, redis, tmp_path) as at:
        later = await seals(backend, at).of("alice")
        assert later.open(sealed) == (None if backend == "memory" else b"data")


@pytest.mark.parametrize("backend", SHARED)
async def test_gateways_with_another_prefix_have_another_secret(backend, redis, tmp_path):
    async with open_backend(backend, redis, tmp_path) as at:
        sealed = (await seals(backend, at).of("alice")).close(b"data")
        assert (await seals(backend, at, "other").of("alice")).open(sealed) is None


@pytest.mark.parametrize("backend", ["redis"])
async def test_nothing_is_sealed_while_the_storage_is_away(backend, redis, tmp_path):
    async with open_backend(backend, redis, tmp_path) as at:
        shared = seals(backend, at, "fresh")
        await redis[backend].stop()
        try:
            assert await shared.of("alice") is None
        finally:
            await redis[backend].start()
            await create_user(redis[backend], any_key=True)  # it is not on the disk
        assert await shared.of("alice") is not None


@pytest.mark.parametrize("backend", ["redis"])
async def test_a_secret_that_somebody_else_wrote_is_not_used(backend, redis, tmp_path):
    async with open_backend(backend, redis, tmp_path) as at:
        await redis[backend].ask("SET", "bad:secret:seal", "short")
        assert await seals(backend, at, "bad").of("alice") is None
