"""Keys of clients at three real gateways that share one real Redis, and at one with a file."""

import asyncio
import signal
import time
from contextlib import AsyncExitStack

import aiohttp
import pytest
import pytest_asyncio

from gateway.core.client_key import digest_of, new_key
from tests.e2e.conftest import TOKEN
from tests.e2e.process import serving, started
from tests.process import MAX_WAIT
from tests.servers import redis_server

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The state of the three gateways and of their Redis."""
    return tmp_path_factory.mktemp("all")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def redis(folder):
    directory = folder / "redis"
    directory.mkdir()
    async with redis_server(directory, appendonly="yes", appendfsync="always") as ready:
        yield ready


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def gateways(config, redis, folder):
    """Three gateways of one Redis, without the delay of wrong keys from this machine."""
    auth = config["gateway"]["auth"] | {"rateLimit": {"exemptLoopback": False, "maxAttempts": 1000, "global": False}}
    shared = config | {"gateway": config["gateway"] | {"auth": auth, "redis": {"url": redis.url}}}
    async with AsyncExitStack() as stack:
        states = [folder / f"state-{number}" for number in range(3)]
        for state in states:
            state.mkdir()
        yield [await stack.enter_async_context(serving(state, shared)) for state in states]


@pytest_asyncio.fixture(loop_scope="module")
async def call():
    async with aiohttp.ClientSession() as session:

        async def call(gateway, method="GET", path="/v1/models", key=TOKEN, body=None):
            headers = {"Authorization": f"Bearer {key}"}
            async with session.request(method, gateway.url + path, headers=headers, json=body) as response:
                return response.status, await response.json()

        yield call


async def make(call, gateway, name):
    status, made = await call(gateway, "POST", "/api/v1/keys", body={"name": name})
    assert status == 200, made
    return made["key"]


async def until_status(call, gateway, key, status):
    async with asyncio.timeout(MAX_WAIT):
        while (await call(gateway, key=key))[0] != status:
            await asyncio.sleep(0.002)


async def test_a_revoked_key_is_refused_everywhere_within_a_second(gateways, call):
    took = []
    for round_number in range(5):
        key = await make(call, gateways[round_number % 3], "ci")
        await asyncio.gather(*(until_status(call, gateway, key, 200) for gateway in gateways))
        began = time.monotonic()
        assert (await call(gateways[(round_number + 1) % 3], "DELETE", "/api/v1/keys/ci"))[1]["pending"] is False
        await asyncio.gather(*(until_status(call, gateway, key, 401) for gateway in gateways))
        took.append(time.monotonic() - began)
    assert max(took) <= 1.0, took


async def test_a_revocation_without_redis_holds_at_the_asked_instance_and_at_the_others_when_it_is_back(
    gateways, redis, call
):
    key, other = await make(call, gateways[0], "away"), await make(call, gateways[0], "stays")
    for gateway in gateways:
        await until_status(call, gateway, key, 200)
        await until_status(call, gateway, other, 200)
    await redis.stop()
    try:
        status, answer = await call(gateways[0], "DELETE", "/api/v1/keys/away")
        assert (status, answer["pending"]) == (200, True)
        assert [(await call(gateway, key=key))[0] for gateway in gateways] == [401, 200, 200]
        assert [(await call(gateway, key=other))[0] for gateway in gateways] == [200] * 3
    finally:
        await redis.start()
    await asyncio.gather(*(until_status(call, gateway, key, 401) for gateway in gateways))
    assert [(await call(gateway, key=other))[0] for gateway in gateways] == [200] * 3


async def test_no_key_is_in_the_state_in_a_log_or_in_an_answer_of_any_instance(gateways, redis, folder, call):
    key, revoked = await make(call, gateways[0], "shown-once"), await make(call, gateways[1], "revoked")
    wrong = new_key()
    for gateway in gateways:
        await until_status(call, gateway, key, 200)
        for secret in (key, revoked, wrong):
            await call(gateway, "POST", "/v1/chat/completions", secret, {"model": f"openclaw/{secret}", "user": "u"})
    assert (await call(gateways[2], "DELETE", "/api/v1/keys/revoked"))[0] == 200
    answers = [
        await call(gateway, path=path)
        for gateway in gateways
        for path in (
            "/api/v1/keys",
            "/api/v1/usage",
            "/api/v1/budgets",
            "/api/v1/status",
            "/api/v1/config",
            "/api/v1/locks",
        )
    ]
    assert {status for status, _ in answers} == {200}
    logs = "".join(gateway.process.output + gateway.process.errors for gateway in gateways)
    assert "Client key created" in logs
    stored = b"".join(file.read_bytes() for file in folder.rglob("*") if file.is_file())
    assert b"shown-once" in stored
    for secret in (key, revoked, wrong):
        for form in (secret, digest_of(secret).hex()):
            assert form not in logs + str(answers)
        assert secret.encode() not in stored


async def test_keys_outlive_a_killed_gateway_with_a_file(config, tmp_path, call):
    async with serving(tmp_path, config) as gateway:
        key, revoked = await make(call, gateway, "ci"), await make(call, gateway, "gone")
        assert (await call(gateway, key=key))[0] == 200
        assert (await call(gateway, "DELETE", "/api/v1/keys/gone"))[0] == 200
        gateway.process.signal(signal.SIGKILL)
        await gateway.process.ended()
    stored = b"".join(file.read_bytes() for file in tmp_path.rglob("*") if file.is_file())
    assert b"operator.write" in stored
    assert key.encode() not in stored
    async with serving(tmp_path, config) as gateway:
        assert (await call(gateway, key=key))[0] == 200
        assert (await call(gateway, key=revoked))[0] == 401


BROKEN = {"a wrong section": "{base}, models: 7}}", "an unfinished edit": '{base}, "models": {{'}


@pytest.mark.parametrize("breakage", BROKEN)
async def test_a_key_is_revoked_by_command_while_the_file_is_refused(config, tmp_path, call, breakage):
    """A leaked key must not have to wait until somebody has mended the configuration."""
    state = tmp_path / "other"  # the commands have neither the gateway's store nor its environment
    state.mkdir()
    async with serving(tmp_path, config) as gateway:
        key = await make(call, gateway, "leaked")
        file = tmp_path / "gateway.json5"
        whole = file.read_text(encoding="utf-8")
        file.write_text(BROKEN[breakage].format(base=whole.rstrip().removesuffix("}")), encoding="utf-8")
        if breakage == "an unfinished edit":
            (state / ".env").write_text(f"OPENCLAW_GATEWAY_TOKEN={TOKEN}\n", encoding="utf-8")
        for command in (["keys", "revoke", "leaked"], ["keys", "list"], ["usage"], ["locks", "list"]):
            arguments = [*command, "--config", str(file), "--url", gateway.url]
            async with started(*arguments, state=state) as process:
                assert await process.ended() == 0, process.output + process.errors
            assert "The configuration is refused" in process.errors
            assert TOKEN not in process.output + process.errors
        assert (await call(gateway, key=key))[0] == 401
        assert (await call(gateway))[0] == 200
