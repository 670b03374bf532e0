"""`/api/v1/locks` and the command that asks it."""

import asyncio
from urllib.parse import quote

import pytest

from gateway.cli.main import main

ATTACKER, NEIGHBOUR = "203.0.113.9", "2001:db8:1:2::7"
WRONG = {"Authorization": "Bearer wrong"}


@pytest.fixture
def config(config):
    config["gateway"]["trustedProxies"] = ["127.0.0.1"]
    config["gateway"]["auth"]["rateLimit"] = {"maxAttempts": 2}
    return config


async def guess(client, address, times):
    statuses = []
    for _ in range(times):
        response = await client.get("/v1/models", headers=WRONG | {"X-Forwarded-For": address})
        statuses.append(response.status)
    return statuses


async def list_locks(client):
    response = await client.get("/api/v1/locks", headers={"X-Forwarded-For": "198.51.100.1"})
    assert response.status == 200
    return await response.json()


async def release(client, key):
    return await client.delete(f"/api/v1/locks?key={quote(key, safe='')}", headers={"X-Forwarded-For": "198.51.100.1"})


async def test_operators_list_and_release_locks(client):
    assert await list_locks(client) == {"object": "list", "data": []}
    assert await guess(client, ATTACKER, 3) == [401, 401, 429]
    assert await guess(client, NEIGHBOUR, 3) == [401, 401, 429]
    data = (await list_locks(client))["data"]
    assert [lock["key"] for lock in data] == [ATTACKER, "2001:db8:1:2::/64"]
    assert all(298 <= lock["seconds"] <= 300 for lock in data)
    response = await release(client, ATTACKER)
    assert (response.status, await response.json()) == (
        200, {"object": "lock.released", "key": ATTACKER, "released": True, "pending": False},
    )  # fmt: skip
    assert await guess(client, ATTACKER, 1) == [401]
    for key in (
        NEIGHBOUR.replace("7", "9"),
        "2001:db8:1:2::/64",
    ):  # any address of the network, or the key as listed
        await guess(client, NEIGHBOUR, 3)
        assert (await release(client, key)).status == 200
    assert (await list_locks(client))["data"] == []


async def test_a_key_that_nothing_stands_against_is_not_found(client):
    response = await release(client, ATTACKER)
    assert response.status == 404
    assert (await response.json())["error"]["code"] == "lock_not_found"
    assert (await client.delete("/api/v1/locks", headers={"X-Forwarded-For": ATTACKER})).status == 400


async def test_locks_are_for_operators(client):
    for method in (client.get, client.delete):
        response = await method("/api/v1/locks?key=x", headers=WRONG | {"X-Forwarded-For": ATTACKER})
        assert response.status == 401


async def test_the_command_lists_and_releases(client, tmp_path, capsys):
    await guess(client, ATTACKER, 3)
    capsys.readouterr()  # the log
    common = ["--config", str(tmp_path / "openclaw.json"), "--url", str(client.make_url("/"))]

    async def command(*words):
        status = await asyncio.to_thread(main, ["locks", *words, *common])
        return status, capsys.readouterr()

    status, printed = await command("list")
    assert status == 0
    assert printed.out.startswith(f"{ATTACKER}\t")
    assert (await command("release", ATTACKER))[1].out == f"released {ATTACKER}\n"
    status, printed = await command("release", ATTACKER)
    assert status == 1
    assert "Nothing is held against this key" in printed.err
    assert (await command("release"))[0] == 2
    assert (await command("list"))[1].out == ""
    assert await guess(client, ATTACKER, 1) == [401]


def test_the_command_says_when_nobody_answers(tmp_path, capsys):
    file = tmp_path / "openclaw.json"
    file.write_text('{ gateway: { auth: { token: "a" } } }', encoding="utf-8")
    assert main(["locks", "list", "--config", str(file), "--url", "http://127.0.0.1:1"]) == 1
    assert "no gateway answers at http://127.0.0.1:1" in capsys.readouterr().err
