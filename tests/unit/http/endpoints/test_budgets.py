"""`GET /api/v1/budgets` and the command `budgets`: what is used, reserved and left, and who sees whose."""

import asyncio
import json
import time

import pytest

from gateway.cli.main import main
from gateway.core.client_key import parse_time

CHAT = "/v1/chat/completions"
HI = {"model": "openclaw", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 17}  # 18 tokens are used


@pytest.fixture
def config(config):
    config["agents"]["entries"]["helper"] = {}
    config["models"]["providers"]["fake"]["models"][0]["cost"] = {"input": 1000, "output": 2000}
    config["gateway"]["budgets"] = [
        {"name": "team", "tokens": 100, "window": "day"},
        {"name": "helpers", "per": ["agent"], "agents": ["helper"], "usd": 2.5, "window": "hour"},
        {"name": "all", "per": [], "tokens": 1000, "window": "week", "hard": False},
        {"name": "models", "per": ["model", "identity"], "tokens": 50, "window": "month", "hard": False},
    ]
    return config


@pytest.fixture
def behind_proxy(config):
    config["gateway"]["auth"] = {
        "mode": "trusted-proxy",
        "trustedProxy": {"userHeader": "x-user", "allowLoopback": True, "admins": ["root"]},
    }
    config["gateway"]["trustedProxies"] = ["127.0.0.1"]


async def budgets(client, query="", **headers):
    async with client.get(f"/api/v1/budgets?{query}", headers=headers) as response:
        assert response.status == 200, await response.text()
        return await response.json()


async def spend(client, times=1, model="openclaw", **headers):
    for _ in range(times):
        async with client.post(CHAT, json=HI | {"model": model}, headers=headers) as response:
            assert response.status == 200, await response.text()


def user(name):
    return {"X-Forwarded-For": "203.0.113.9", "x-user": name}


@pytest.mark.parametrize("name", ["team", "team-budget"])
async def test_a_budget_is_chosen_by_its_name_in_the_configuration_too(client, name):
    assert [one["name"] for one in (await budgets(client, f"name={name}&identity=owner"))["data"]] == ["team-budget"]


async def test_a_budget_shows_amount_use_and_the_end_of_its_window(client, provider):
    provider.says("Hello")
    await spend(client, 5)
    page = await budgets(client)
    assert [(one["name"], one["used"], one["percent"]) for one in page["data"]] == [
        ("models-budget", 90, 180), ("team-budget", 90, 90), ("all-budget", 90, 9),
    ]  # fmt: skip
    (team,) = (await budgets(client, "name=team-budget&identity=owner"))["data"]
    ends, free = parse_time(team.pop("window_ends_at")), parse_time(team.pop("free_at"))
    assert 86_300 < ends - time.time() <= 86_401
    assert 85_000 < free - ends < 86_400, "what was used in this window fades in the next one"
    assert team == {
        "object": "budget",
        "name": "team-budget",
        "identity": "owner",
        "hard": True,
        "unit": "tokens",
        "amount": 100,
        "used": 90,
        "reserved": 0,
        "remaining": 10,
        "percent": 90,
        "window_seconds": 86_400,
    }


async def test_a_running_request_shows_as_reserved(client, provider):
    asked, _ = provider.hangs()
    running = asyncio.create_task(spend(client))
    await asked.wait()
    (team,) = (await budgets(client, "name=team-budget"))["data"]
    assert (team["used"], team["reserved"]) == (18, 18)
    running.cancel()
    await asyncio.wait({running})


async def test_budgets_in_dollars_are_in_dollars(client, provider):
    provider.says("Hello")
    await spend(client, model="openclaw/helper")
    (helpers,) = (await budgets(client, "agent=helper"))["data"]
    assert (helpers["unit"], helpers["amount"], helpers["used"], helpers["remaining"]) == ("usd", 2.5, 0.025, 2.475)
    assert "identity" not in helpers


async def test_budgets_without_use_are_shown_when_asked_for(client):
    assert [one["name"] for one in (await budgets(client))["data"]] == ["all-budget"]
    (team,) = (await budgets(client, "name=team-budget"))["data"]
    assert (team["used"], team["window_ends_at"], team["free_at"]) == (0, None, None)
    assert (await budgets(client, "agent=main"))["data"] == [], "the filter of the budget lets only helper through"
    assert (await budgets(client, "name=none"))["total"] == 0


async def test_keys_have_their_own_and_those_of_the_configuration(client, provider):
    provider.says("Hello")
    response = await client.post("/api/v1/keys", json={"name": "ci", "budget": {"tokens": 40, "window": "day"}})
    key = (await response.json())["key"]
    await spend(client, Authorization=f"Bearer {key}")
    page = await budgets(client, "identity=user:ci")
    assert [(one["name"], one["used"], one["amount"]) for one in page["data"]] == [
        ("key.budget.86400", 18, 40), ("models-budget", 18, 50), ("team-budget", 18, 100),
    ]  # fmt: skip
    seen = await budgets(client, Authorization=f"Bearer {key}")
    assert {one["identity"] for one in seen["data"]} == {"user:ci"}, "a key sees what is its own"


async def test_users_see_their_own_budgets_and_administrators_all(behind_proxy, client, provider):
    provider.says("Hello")
    for name in ("alice", "bob"):
        await spend(client, **user(name))

    async def seen(name):
        page = await budgets(client, "name=team-budget", **user(name))
        return [one["identity"] for one in page["data"] if one["used"]]

    assert await seen("alice") == ["user:alice"]
    assert await seen("root") == ["user:alice", "user:bob"]


async def test_a_limit_returns_the_most_used_ones(client, provider):
    provider.says("Hello")
    await spend(client)
    page = await budgets(client, "limit=1")
    assert ([one["name"] for one in page["data"]], page["total"], page["has_more"]) == (["models-budget"], 3, True)
    async with client.get("/api/v1/budgets?limit=0") as response:
        assert (response.status, (await response.json())["error"]["param"]) == (400, "limit")


@pytest.fixture
def command(client, config, tmp_path, capsys):
    """Runs `budgets` with these words. Returns the exit status and what it printed."""
    file = tmp_path / "openclaw.json"
    file.write_text(json.dumps(config), encoding="utf-8")
    common = ["--config", str(file), "--url", str(client.make_url("/"))]

    async def run(*words):
        capsys.readouterr()  # the log
        status = await asyncio.to_thread(main, ["budgets", words[0], *common, *words[1:]])
        return status, *capsys.readouterr()

    return run


async def test_the_command_lists_and_shows(command, client, provider):
    provider.says("Hello")
    await spend(client, 2)
    await spend(client, model="openclaw/helper")
    status, out, err = await command("list")
    assert (status, err) == (0, "")
    lines = [line.split("\t") for line in out.splitlines()]
    assert [line[:6] for line in lines] == [
        ["models-budget", "owner fake/small", "54", "0", "50 tokens (only warns)", "108 %"],
        ["team-budget", "owner", "54", "0", "100 tokens", "54 %"],
        ["all-budget", "all", "54", "0", "1000 tokens (only warns)", "5 %"],
        ["helpers-budget", "helper", "0.025", "0", "2.5 USD", "1 %"],
    ]
    status, out, _ = await command("show", "team-budget", "--json")
    assert (status, json.loads(out)["used"]) == (0, 54)
    status, out, err = await command("show", "nothing")
    assert (status, out) == (1, "")
    assert "no budget nothing" in err


async def test_the_command_says_when_it_can_ask_nobody(command):
    assert (await command("list", "--url", "ftp://x"))[0] == 2
    status, _, err = await command("list", "--url", "http://127.0.0.1:9")
    assert (status, "no gateway answers" in err) == (1, True)
