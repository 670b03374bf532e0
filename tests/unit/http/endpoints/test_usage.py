"""`GET /api/v1/usage`: who sees which rows, and what they look like."""

import csv
import io
import json

import pytest

from gateway.http.keys import SERVICES

ADMIN = "operator.admin"


def user(name, **headers):
    return {"X-Forwarded-For": "203.0.113.9", "x-user": name, **headers}


@pytest.fixture
def auth(config):
    config["gateway"]["auth"] = {
        "mode": "trusted-proxy",
        "trustedProxy": {"userHeader": "x-user", "allowLoopback": True, "admins": ["root"]},
        "identityScopes": {"olga": [ADMIN]},
    }
    config["gateway"]["trustedProxies"] = ["127.0.0.1"]


async def ask(client, *, path="/v1/chat/completions", headers=None, **more):
    body = {"model": "openclaw", "messages": [{"role": "user", "content": "hi"}], **more}
    async with client.post(path, json=body, headers=headers) as response:
        assert response.status == 200, await response.text()


async def usage(client, query="", headers=None):
    async with client.get(f"/api/v1/usage?{query}", headers=headers) as response:
        return response.status, await response.text()


async def callers(client, name, **more):
    status, text = await usage(client, "by=caller", user(name, **more))
    assert status == 200, text
    return [row["caller"] for row in json.loads(text)["data"]]


async def test_users_see_their_own_rows_and_administrators_all(auth, client, provider):
    provider.says("ok")
    for name in ("alice", "bob"):
        await ask(client, headers=user(name))
    assert await callers(client, "alice") == ["user:alice"]
    assert await callers(client, "bob", **{"x-openclaw-scopes": ADMIN}) == ["user:bob"]
    assert await callers(client, "root") == ["user:alice", "user:bob"]
    assert await callers(client, "olga") == ["user:alice", "user:bob"]
    _, text = await usage(client, "by=row", user("alice"))
    assert [json.loads(line)["caller"] for line in text.splitlines()] == ["user:alice"]


async def test_the_scope_operator_read_is_needed(auth, client):
    status, text = await usage(client, headers=user("pat", **{"x-openclaw-scopes": "operator.pairing"}))
    assert (status, "operator.read" in text) == (403, True)


async def test_a_name_that_looks_like_a_formula_is_no_formula_in_csv(auth, client, provider):
    provider.says("ok")
    await ask(client, headers={**user("alice"), "X-Request-ID": "-1+2"})
    _, text = await usage(client, "by=row&format=csv", user("alice"))
    (row,) = csv.DictReader(io.StringIO(text))
    assert row["request"] == "'-1+2"
    assert (row["cost"], row["reasoning"], row["absorbed"]) == ("", "", "False")


async def test_every_way_to_ask_is_a_row_with_its_path(client, provider):
    provider.says("ok")
    await ask(client)
    await ask(client, stream=True)
    await ask(client, path="/v1/responses", input="hi")
    _, text = await usage(client, "by=endpoint")
    counts = {row["endpoint"]: row["attempts"] for row in json.loads(text)["data"]}
    assert counts == {"/v1/chat/completions": 2, "/v1/responses": 1}


async def test_a_period_without_rows_has_a_cost_of_null_and_no_groups(client):
    _, text = await usage(client, "since=1h")
    report = json.loads(text)
    assert (report["data"], report["total"]["attempts"], report["total"]["cost"]) == ([], 0, 0)


async def test_only_rows_of_the_period_are_summed(client, provider):
    provider.says("ok")
    await ask(client)
    for query, attempts in (("since=1m", 1), ("since=2w&until=1h", 0), ("since=1000&until=2000", 0)):
        _, text = await usage(client, query)
        assert json.loads(text)["total"]["attempts"] == attempts, query


async def test_a_conversation_is_grouped_by_a_digest(client, provider):
    provider.says("ok")
    for _ in range(2):
        await ask(client, headers={"x-openclaw-session-key": "my secret plan"})
    _, text = await usage(client, "by=session,agent")
    (row,) = json.loads(text)["data"]
    assert (row["agent"], row["attempts"], len(row["session"])) == ("main", 2, 16)
    assert "plan" not in text


async def test_a_store_that_can_not_be_written_shows_what_it_has_and_counts_what_is_missing(client, provider):
    provider.says("ok")
    await ask(client)
    await usage(client)
    database = client.app[SERVICES].ledger.store._database
    await database.read(lambda connection: connection.execute("PRAGMA query_only = 1").fetchall())
    await ask(client)
    await ask(client)
    status, text = await usage(client)
    report = json.loads(text)
    assert (status, report["total"]["attempts"], report["unwritten_rows"], report["lost_rows"]) == (200, 1, 2, 0)
    for query in ("by=row", "format=csv"):
        async with client.get(f"/api/v1/usage?{query}") as response:
            assert (response.status, response.headers["x-openclaw-unwritten-rows"]) == (200, "2")
    await database.read(lambda connection: connection.execute("PRAGMA query_only = 0").fetchall())
    async with client.get("/api/v1/usage") as response:
        report = await response.json()
        assert (report["total"]["attempts"], report["unwritten_rows"]) == (3, 0)
        assert "x-openclaw-unwritten-rows" not in response.headers
