"""A replaced snapshot is closed when its last request has ended; everything that outlives it stays."""

import asyncio
import json

import pytest

from gateway.app import GENERATIONS
from gateway.config.load import load
from gateway.http.keys import CURRENT

pytestmark = pytest.mark.filterwarnings("error")


@pytest.fixture
def swap(client, config, tmp_path):
    async def change(**gateway):
        file = tmp_path / "next.json"
        file.write_text(json.dumps(config | {"gateway": config["gateway"] | gateway}), encoding="utf-8")
        loaded = load(file, {})
        await client.app[GENERATIONS].prepare(loaded.config, loaded.env)
        client.app[GENERATIONS].commit()

    return change


async def until(true):
    async with asyncio.timeout(10):
        while not true():
            await asyncio.sleep(0.01)


async def test_a_snapshot_without_requests_is_closed_at_once(client, swap):
    for _ in range(5):
        await swap()
    await until(lambda: client.app[GENERATIONS].in_use == 1)


async def test_a_stream_keeps_its_snapshot_to_its_end(client, official, provider, swap):
    goes_on = asyncio.Event()

    async def answer(request):
        response = await provider.begins(request, {"content": "Hel"})
        await goes_on.wait()
        await provider.send(response, {"choices": [{"index": 0, "delta": {"content": "lo"}, "finish_reason": "stop"}]})
        await response.write(b"data: [DONE]\n\n")
        return response

    provider.answer = answer
    stream = await official.chat.completions.create(
        model="openclaw", messages=[{"role": "user", "content": "hi"}], stream=True
    )
    first = await anext(aiter(stream))
    assert first.choices
    await swap()
    await swap()
    await until(lambda: client.app[GENERATIONS].in_use == 2)
    goes_on.set()
    assert "".join([chunk.choices[0].delta.content or "" async for chunk in stream]).endswith("lo")
    await until(lambda: client.app[GENERATIONS].in_use == 1)


async def test_a_background_run_keeps_its_snapshot_to_its_end(client, official, provider, swap):
    asked, _ = provider.hangs()
    created = await official.responses.create(model="openclaw", input="hi", background=True)
    await asked.wait()
    await swap()
    await asyncio.sleep(0)
    assert client.app[GENERATIONS].in_use == 2
    await official.responses.cancel(created.id)
    await until(lambda: client.app[GENERATIONS].in_use == 1)


async def test_what_is_prepared_and_discarded_changes_nothing(client, config, tmp_path):
    file = tmp_path / "next.json"
    file.write_text(json.dumps(config), encoding="utf-8")
    loaded = load(file, {})
    snapshot = client.app[CURRENT].snapshot
    await client.app[GENERATIONS].prepare(loaded.config, loaded.env)
    await client.app[GENERATIONS].discard()
    assert client.app[CURRENT].snapshot is snapshot
    assert client.app[GENERATIONS].in_use == 1


async def test_quotas_keep_their_counts_under_changed_limits(client, official, provider, swap):
    provider.says("Hello")
    ask = {"model": "openclaw", "messages": [{"role": "user", "content": "hi"}]}

    async def asked():
        return (await client.post("/v1/chat/completions", json=ask)).status

    limit = {"name": "all", "per": ["identity"], "requestsPerMinute": 2}
    assert await asked() == 200  # not limited yet, so it does not count
    await swap(limits=[limit])
    assert [await asked() for _ in range(3)] == [200, 200, 429]
    await swap(limits=[limit | {"requestsPerMinute": 3}])
    assert [await asked() for _ in range(2)] == [200, 429]
    await swap()
    assert await asked() == 200


async def test_a_request_for_another_host_is_misdirected_in_every_mode_but_probes_are_answered(client, swap):
    await swap(http={"endpoints": {"chatCompletions": {"enabled": True}}, "allowedHosts": ["gw.example.com"]})
    for host, status in [
        ("gw.example.com", 200),
        ("GW.example.com:443", 200),
        ("localhost", 200),
        ("127.0.0.1:18789", 200),
        ("evil.example.com", 421),
        ("gw.example.com.evil.org", 421),
        ("192.0.2.1", 421),
    ]:
        response = await client.get("/v1/models", headers={"Host": host})
        assert response.status == status, host
    refused = await client.post("/nowhere", headers={"Host": "evil.example.com"})
    assert refused.status == 421
    error = (await refused.json())["error"]
    assert (error["type"], error["code"]) == ("invalid_request_error", "host_not_allowed")
    for path in ("/healthz", "/readyz"):
        assert (await client.get(path, headers={"Host": "evil.example.com"})).status == 200


async def test_lockout_settings_take_effect_at_once_and_what_is_on_record_stays(client, config, swap):
    async def guess(times=1, bearer="wrong"):
        headers = {"Authorization": f"Bearer {bearer}"}
        return [(await client.get("/v1/models", headers=headers)).status for _ in range(times)]

    async def limited(**settings):
        await swap(auth=config["gateway"]["auth"] | {"rateLimit": {"exemptLoopback": False, **settings}})

    await limited(maxAttempts=6)
    assert await guess(2) == [401] * 2
    await limited(maxAttempts=3, lockoutMs=60_000)
    assert await guess(3) == [401, 429, 429], "three guesses in all"
    await limited(maxAttempts=50)
    assert await guess() == [429], "a lock holds to its end"
    await limited(exemptLoopback=True)
    token = config["gateway"]["auth"]["token"]
    assert await guess(bearer=token) == [200], "clients of this machine are exempt again"


async def test_a_changed_size_of_conversations_counts_from_the_next_turn(client, config, provider, tmp_path):
    def messages():
        return len(provider.asked[-1]["messages"])

    async def say():
        body = {"model": "openclaw", "user": "u", "messages": [{"role": "user", "content": "x" * 400}]}
        async with client.post("/v1/chat/completions", json=body) as response:
            assert response.status == 200

    async def sized(max_bytes):
        file = tmp_path / "next.json"
        file.write_text(json.dumps(config | {"session": {"maxBytes": max_bytes}}), encoding="utf-8")
        loaded = load(file, {})
        await client.app[GENERATIONS].prepare(loaded.config, loaded.env)
        client.app[GENERATIONS].commit()

    provider.says("Hello")
    for _ in range(3):
        await say()
    assert messages() == 5
    await sized(1_000)
    await say()
    await say()
    assert messages() < 5, "the oldest turns are dropped"
    await sized(1_000_000)
    for _ in range(4):
        await say()
    assert messages() > 7
