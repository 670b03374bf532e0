"""`/api/v1/doctor`: the report of the process that serves, for administrators."""

import json

import pytest

from gateway.core.client_key import digest_of
from tests.unit.http.conftest import TOKEN

KEY = "ocg_" + "k" * 43


@pytest.fixture
def config(config, tmp_path):
    digest = f"sha256:{digest_of(KEY).hex()}"
    config["gateway"]["keys"] = {"reader": {"digest": digest, "scopes": ["operator.read"]}}
    config["gateway"]["budgets"] = [{"tokens": 1000, "hard": False}]
    return config


async def test_the_report_is_that_of_the_configuration_in_force(client):
    response = await client.get("/api/v1/doctor?only=budget,auth")
    body = await response.json()
    assert (response.status, body["object"], body["deep"]) == (200, "doctor", False)
    assert [one["id"] for one in body["findings"]] == ["auth.weak-secret", "budget.no-alerts"]
    assert set(body["findings"][0]) == {"id", "severity", "seen", "why", "fix"}
    assert TOKEN not in json.dumps(body)


@pytest.mark.parametrize(
    ("query", "param"), [("only=weather", "only"), ("deep=perhaps", "deep"), ("only=redis.rights", "only")]
)
async def test_a_wrong_query_is_refused_with_the_parameter(client, query, param):
    response = await client.get(f"/api/v1/doctor?{query}")
    assert (response.status, (await response.json())["error"]["param"]) == (400, param)


@pytest.mark.parametrize("path", ["/api/v1/doctor", "/api/v1/doctor/stream"])
async def test_only_administrators_may_ask(client, path):
    response = await client.get(path, headers={"Authorization": f"Bearer {KEY}"})
    assert response.status == 403
    response = await client.get(path, headers={"Authorization": "Bearer wrong"})
    assert response.status == 401


async def test_the_providers_are_asked_for_their_list_and_for_nothing_else(client, provider):
    response = await client.get("/api/v1/doctor?only=provider")
    findings = (await response.json())["findings"]
    assert [one["id"] for one in findings] == ["provider.no-list"]
    assert provider.asked == []


async def test_the_stream_names_the_client_and_sends_one_event_at_a_time(client):
    async with client.get("/api/v1/doctor/stream") as response:
        assert response.headers["Content-Type"].startswith("text/event-stream")
        assert response.headers["X-Accel-Buffering"] == "no"
        lines = [line async for line in response.content if line.strip()]
    events = [json.loads(line.removeprefix(b"data: ")) for line in lines[:-1]]
    assert lines[-1] == b"data: [DONE]\n"
    assert [event["number"] for event in events] == [0, 1, 2, 3, 4]
    assert (events[0]["client"], events[0]["forwarded"], events[0]["peer"]["host"]) == ("127.0.0.1", False, "127.0.0.1")
    assert events[-1]["milliseconds"] >= 1000
