"""The contract of all stores of client keys: in memory, in SQLite, in Redis, in a cluster."""

import asyncio

import msgspec
import pytest
import pytest_asyncio

from gateway.core.client_key import KeyRecord, digest_of, new_key
from gateway.core.errors import Unavailable
from gateway.core.identity import ClientLimits
from gateway.state.keys.redis import RedisKeys
from gateway.state.keys.sqlite import SqliteKeys
from gateway.state.keys.store import TooManyKeys, encode_record
from tests.contract.stores import BACKENDS, SHARED, open_backend, servers
from tests.redis_rights import create_user

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def redis(tmp_path_factory):
    async with servers(tmp_path_factory.mktemp("redis")) as started:
        yield started


@pytest.fixture(params=BACKENDS)
def backend(request):
    return request.param


def store_of(backend, at, **settings):
    return RedisKeys(at, prefix="test", **settings) if backend in SHARED else SqliteKeys(at, **settings)


@pytest_asyncio.fixture(loop_scope="module")
async def at(backend, redis, tmp_path):
    if backend in SHARED:
        await redis[backend].flush()
    async with open_backend(backend, redis, tmp_path) as storage:
        yield storage


@pytest.fixture
def store(backend, at):
    return store_of(backend, at)


def record(name, **fields):
    return KeyRecord(name, digest_of(new_key()).hex(), **fields)


async def every(store):
    return sorted({one.name: one async for page in store.read_all() for one in page}.values(), key=lambda one: one.name)


async def test_a_key_is_read_as_it_was_added(store):
    full = record(
        "ci@x",
        scopes=("operator.read",),
        agents=("main", "b"),
        limits=ClientLimits(5, None, 2),
        created=12.5,
        expires=9e9,
    )
    plain = record("app")
    assert await every(store) == []
    assert await store.add(full) is not None
    assert await store.add(plain) is not None
    assert await every(store) == [plain, full]
    assert await store.read(["ci@x", "missing"]) == [full]
    assert await store.read([]) == []


async def test_a_name_belongs_to_one_key(store):
    first, second = record("ci"), record("ci")
    assert await store.add(first) is not None
    assert await store.add(second) is None
    assert await every(store) == [first]


async def test_a_removed_key_is_gone_with_its_last_use(store):
    await store.add(record("ci"))
    await store.mark_used({"ci": 5.0})
    assert await store.remove("ci") is not None
    assert await store.remove("ci") is None
    assert await every(store) == []
    assert await store.last_used(["ci"]) == {}
    assert await store.add(record("ci")) is not None, "the name is free again"


async def test_only_the_key_with_the_digest_is_removed(store):
    old, new = record("ci"), record("ci")
    await store.add(new)
    assert await store.remove("ci", old.digest) is None
    assert await store.remove("ci", new.digest) is not None


async def test_the_last_use_is_the_latest_that_was_written(store):
    await store.add(record("a"))
    await store.mark_used({"a": 1.5, "b": 2.0})
    await store.mark_used({"a": 3.25})
    assert await store.last_used(["a", "b", "c"]) == {"a": 3.25, "b": 2.0}
    assert await store.last_used([]) == {}


async def test_the_number_of_keys_is_bounded(backend, at):
    store = store_of(backend, at, max_keys=2)
    for name in "ab":
        await store.add(record(name))
    with pytest.raises(TooManyKeys):
        await store.add(record("c"))
    await store.remove("a")
    assert await store.add(record("c")) is not None


async def test_all_keys_are_read_over_several_pages(store):
    records = [record(f"k{number:04}") for number in range(2_050)]
    for start in range(0, len(records), 50):  # more at once would wait for a connection longer than a call may take
        await asyncio.gather(*map(store.add, records[start : start + 50]))
    assert await every(store) == records


@pytest.mark.parametrize("backend", ["sqlite", "redis"], indirect=True)
async def test_a_record_of_a_newer_version_opens_nothing_and_hides_no_other(backend, store, at, redis):
    readable = record("b")
    await store.add(readable)
    newer = b'{"name":"a","digest":"' + b"0" * 64 + b'","only_on_sundays":true}'
    if backend == "sqlite":
        await at.write(
            lambda connection: connection.execute("INSERT INTO client_keys VALUES ('a', x'00', ?)", (newer,))
        )
    else:
        await redis[backend].ask("HSET", "{test}:client-keys", "a", "0" * 64 + newer.decode())
    assert await every(store) == [readable]
    assert await store.read(["a", "b"]) == [readable]


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
async def test_keys_outlive_the_process_and_reading_none_makes_no_file(backend, store, tmp_path):
    assert await every(store) == []
    assert not (tmp_path / "state").exists()
    key = record("ci")
    await store.add(key)
    async with open_backend(backend, {}, tmp_path) as again:
        assert await every(SqliteKeys(again)) == [key]


@pytest.mark.parametrize("backend", SHARED, indirect=True)
async def test_each_change_of_shared_keys_has_a_version_and_lost_data_another(backend, store, redis):
    assert await store.version() == 0
    first = await store.add(record("a"))
    assert await store.add(record("b")) == first + 1
    assert await store.remove("a") == first + 2 == await store.version()
    await redis[backend].flush()
    assert await store.version() == 0
    assert await store.add(record("a")) > first + 2


@pytest.mark.parametrize("backend", SHARED, indirect=True)
@pytest.mark.parametrize("damaged", [b"{garbage", b"", b"-1", b"1e3", b"9" * 19, b"\xff"])
async def test_a_damaged_version_is_replaced_by_the_next_change(backend, store, redis, damaged):
    async def damage():
        await redis[backend].ask("HSET", "{test}:client-keys-version", "version", damaged)

    key = record("a")
    before = await store.add(key)
    await damage()
    assert await store.version() == 0
    assert await every(store) == [key]
    assert await store.add(key) > before, "an addition that is repeated"
    await damage()
    assert await store.add(record("b")) > before
    await damage()
    assert await store.remove("b") > before
    assert await store.version() > before
    assert await every(store) == [key]


@pytest.mark.parametrize("backend", SHARED, indirect=True)
@pytest.mark.parametrize("damaged", [b"{garbage", b"nan", b"1e999", b"\xff"])
async def test_a_damaged_time_of_use_hides_no_other(backend, store, redis, damaged):
    await store.mark_used({"a": 1_700_000_000.25, "b": 2.0})
    await redis[backend].ask("HSET", "{test}:client-key-uses", "b", damaged)
    assert await store.last_used(["a", "b"]) == {"a": 1_700_000_000.25}


@pytest.mark.parametrize("backend", ["redis"], indirect=True)
async def test_a_damaged_record_opens_nothing_and_hides_no_other(backend, store, redis):
    whole = record("whole")
    await store.add(whole)
    for number, change in enumerate(
        (
            {"digest": "no digest"},
            {"digest": whole.digest.upper()},
            {"name": "a b"},
            {"created": 1e17},
            {"expires": -1.0},
        )
    ):
        damaged = encode_record(msgspec.structs.replace(record("damaged"), **change))
        await redis[backend].ask("HSET", "{test}:client-keys", f"damaged-{number}", b"0" * 64 + damaged)
    assert await every(store) == [whole]


@pytest.mark.parametrize("backend", SHARED, indirect=True)
async def test_an_addition_whose_answer_got_lost_can_be_repeated(store):
    key = record("a")
    version = await store.add(key)
    assert await store.add(key) == version


@pytest.mark.parametrize("backend", ["redis"], indirect=True)
async def test_a_store_that_is_away_is_unavailable(store, redis):
    await redis["redis"].stop()
    try:
        for call in (store.add(record("a")), store.remove("a"), store.read(["a"]), store.version(), every(store)):
            with pytest.raises(Unavailable):
                await call
    finally:
        await redis["redis"].start()
        await create_user(redis["redis"], any_key=True)  # it is not on the disk


@pytest.mark.parametrize("backend", ["sqlite", *SHARED], indirect=True)
async def test_no_key_is_stored(backend, store, redis, tmp_path):
    key = new_key()
    await store.add(KeyRecord("ci", digest_of(key).hex()))
    if backend == "sqlite":
        data = b"".join(file.read_bytes() for file in (tmp_path / "state").iterdir())
    else:
        data = repr(await redis[backend].ask("HGETALL", "{test}:client-keys")).encode()
    assert digest_of(key).hex().encode() in data
    assert key.encode() not in data
    assert key.removeprefix("ocg_").encode() not in data
