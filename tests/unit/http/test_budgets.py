"""Budgets through the whole application: which apply to a client, warnings, refusals in each endpoint's format."""

import asyncio
import json

import pytest
from aiohttp import web
from structlog.testing import capture_logs

from gateway.http.budget_alerts import Seen
from openclaw_ratelimit import QuotaPolicy
from tests.unit.http.metrics import scraped

CHAT = "/v1/chat/completions"
TEAM = {"budget": "team-budget"}
HI = {"messages": [{"role": "user", "content": "hi"}], "max_tokens": 17}  # 1 + 17 tokens, as the provider counts
HELPER = HI | {"model": "openclaw/helper"}


class Receiver:
    def __init__(self):
        self.alerts = []

    async def handle(self, request):
        self.alerts.append(json.loads(await request.read()))
        return web.Response()


@pytest.fixture
async def receiver(aiohttp_server, config):
    receiver = Receiver()
    app = web.Application()
    app.router.add_post("/", receiver.handle)
    server = await aiohttp_server(app)
    config["gateway"]["budgetAlerts"] = {"url": str(server.make_url("/")), "secret": "of-the-webhook"}
    return receiver


@pytest.fixture
def budgets(config):
    """Sets `gateway.budgets`. Request it before `client`."""
    config["agents"]["entries"]["helper"] = {}

    def to(*budgets):
        config["gateway"]["budgets"] = list(budgets)

    return to


@pytest.fixture
def hundred(budgets):
    budgets({"name": "team", "tokens": 100, "window": "day"})


async def spend(client, times, body=HI, **headers):
    return [(await client.post(CHAT, json=body, headers=headers)).status for _ in range(times)]


async def test_a_budget_is_used_up_to_the_last_request_that_fits(hundred, client, provider):
    provider.says("Hello")
    assert await spend(client, 7) == [200] * 5 + [429] * 2
    assert len(provider.asked) == 5


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (CHAT, HI),
        (CHAT, HI | {"stream": True}),
        ("/v1/responses", {"model": "openclaw", "input": "hi", "max_output_tokens": 17}),
    ],
)
async def test_a_refusal_says_which_budget_and_when_it_opens_again(hundred, client, provider, path, body):
    provider.says("Hello")
    await spend(client, 5)
    response = await client.post(path, json=body)
    error = (await response.json())["error"]
    assert (response.status, error["type"], error["code"]) == (429, "budget_exceeded", "budget_exceeded")
    assert error["message"].startswith(
        "The budget 'team-budget' of 100 tokens in 86400 s has no room for this request. "
    )
    assert 86_400 <= int(response.headers["Retry-After"]) <= 2 * 86_400
    assert not [name for name in response.headers if "ratelimit" in name.lower()]


async def test_warnings_come_at_80_and_100_percent_once_each(receiver, hundred, client, provider):
    provider.says("Hello")
    with capture_logs() as logged:
        headers = [(await client.post(CHAT, json=HI)).headers.get("x-openclaw-budget") for _ in range(7)]
        await client.close()
    assert headers[:5] == [None] * 5, "72 tokens are used when the fifth begins"
    assert headers[5] == headers[6] == "team-budget; used=90; amount=100; percent=90"
    assert [line["event"] for line in logged if "udget" in line["event"]] == ["Budget is used up"]
    (alert,) = receiver.alerts
    assert (alert["type"], alert["percent"], alert["used"], alert["identity"]) == ("budget.exhausted", 100, 90, "owner")


@pytest.fixture
def soft(budgets):
    budgets({"name": "soft", "tokens": 100, "window": "day", "hard": False})


async def test_a_soft_budget_warns_and_refuses_nothing(receiver, soft, client, provider):
    provider.says("Hello")
    headers = [(await client.post(CHAT, json=HI)).headers.get("x-openclaw-budget") for _ in range(7)]
    await client.close()
    assert headers[4] is None
    assert headers[5:] == [
        "soft-budget; used=90; amount=100; percent=90",
        "soft-budget; used=108; amount=100; percent=108",
    ]
    assert [(alert["type"], alert["percent"]) for alert in receiver.alerts] == [
        ("budget.warning", 80),
        ("budget.exhausted", 100),
    ]
    assert len({alert["id"] for alert in receiver.alerts}) == 2
    assert len(provider.asked) == 7


async def test_metrics_show_the_used_part_and_the_refusals(hundred, client, provider):
    provider.says("Hello")
    used, refused = "openclaw_gateway_budget_used_ratio", "openclaw_gateway_budget_refusals_total"
    now = await scraped(client)
    assert (now[used, TEAM], now[refused, TEAM]) == (0.0, 0.0), "an alert needs the series before the first refusal"
    await spend(client, 7)
    now = await scraped(client)
    assert (now[used, TEAM], now[refused, TEAM]) == (0.9, 2.0)
    assert "identity" not in now.text


@pytest.mark.parametrize(("passed", "ratio"), [(0.0, 0.9), (40.0, 0.9), (70.0, 0.45), (100.0, 0.0), (500.0, 0.0)])
def test_what_a_request_saw_counts_to_the_end_of_the_window_and_then_fades(passed, ratio):
    seen = Seen(QuotaPolicy("team-budget", "tokens", 100), (), 90, 100, at=1000.0, left=40.0, reset=100.0)
    assert seen.ratio(1000.0 + passed) == pytest.approx(ratio)


@pytest.fixture
def by_agent(budgets):
    budgets({"name": "helpers", "per": ["agent"], "agents": ["helper"], "tokens": 40, "window": "hour"})


async def test_a_budget_of_an_agent_stops_only_this_agent(by_agent, client, provider):
    provider.says("Hello")
    assert await spend(client, 3, HELPER) == [200, 200, 429]
    assert await spend(client, 3) == [200] * 3


async def test_a_key_has_a_budget_of_its_own(client, provider):
    provider.says("Hello")
    keys = []
    for name in ("first", "second"):
        response = await client.post("/api/v1/keys", json={"name": name, "budget": {"tokens": 40, "window": "day"}})
        made = await response.json()
        assert made["budget"] == {"tokens": 40, "window": "day"}
        keys.append(made["key"])
    for key in keys:
        assert await spend(client, 3, Authorization=f"Bearer {key}") == [200, 200, 429]
    assert await spend(client, 3) == [200] * 3


@pytest.mark.parametrize(
    "budget",
    [
        {"tokens": 0},
        {"tokens": 5, "window": "year"},
        {"window": "day"},
        {"tokens": "5"},
        {"tokens": 5, "usd": 1},
        {"usd": 0},
        {"usd": 1e9},
    ],
)
async def test_a_wrong_budget_makes_no_key(client, budget):
    response = await client.post("/api/v1/keys", json={"name": "ci", "budget": budget})
    assert response.status == 400


async def test_a_run_that_fails_costs_no_budget(hundred, client, provider):
    provider.refuses(500, "no")
    assert await spend(client, 8) == [502] * 8
    provider.says("Hello")
    assert await spend(client, 6) == [200] * 5 + [429]


@pytest.fixture
def priced(config):
    """A tenth of a cent for a token of the prompt, two for one of the answer."""
    config["models"]["providers"]["fake"]["models"][0]["cost"] = {"input": 1000, "output": 2000}


@pytest.fixture
def ten_cents(budgets):
    budgets({"name": "team", "usd": 0.1, "window": "day"})


async def test_a_budget_in_dollars_is_reserved_at_the_highest_and_settled_at_the_true_cost(
    receiver, priced, ten_cents, client, provider
):
    provider.says("Hello")  # 11 and 7 tokens: 2.5 cents; at most 3.5 are reserved
    assert await spend(client, 4) == [200] * 3 + [429]
    response = await client.post(CHAT, json=HI | {"max_tokens": 12})
    assert response.status == 200, "this one has room: exactly 2.5 cents"
    assert response.headers.get("x-openclaw-budget") is None, "three quarters were used before"
    response = await client.post(CHAT, json=HI)
    error = (await response.json())["error"]
    assert error["message"].startswith("The budget 'team-budget' of 0.1 US dollars in 86400 s has no room")
    assert response.headers["x-openclaw-budget"] == "team-budget; used=0.1; amount=0.1; percent=100"
    await client.close()
    assert receiver.alerts[-1]["unit"] == "usd"


async def test_a_model_without_a_price_is_refused_under_a_hard_budget_in_dollars(ten_cents, client, provider):
    response = await client.post(CHAT, json=HI)
    error = (await response.json())["error"]
    assert (response.status, error["code"]) == (400, "price_unknown")
    assert "fake/small" in error["message"]
    assert provider.asked == []


@pytest.fixture
def soft_dollars(budgets):
    budgets({"name": "team", "usd": 0.1, "window": "day", "hard": False})


async def test_a_soft_budget_in_dollars_lets_models_without_a_price_through(soft_dollars, client, provider):
    provider.says("Hello")
    assert await spend(client, 3) == [200] * 3


async def test_a_key_may_have_a_budget_in_dollars(priced, client, provider):
    provider.says("Hello")
    response = await client.post("/api/v1/keys", json={"name": "ci", "budget": {"usd": 0.06, "window": "day"}})
    made = await response.json()
    assert made["budget"] == {"usd": 0.06, "window": "day"}
    assert await spend(client, 3, Authorization=f"Bearer {made['key']}") == [200, 200, 429]


async def test_a_stream_and_a_failure_are_settled_at_their_cost(priced, ten_cents, client, provider):
    provider.refuses(500, "no")
    assert await spend(client, 5) == [502] * 5
    provider.says("Hel|lo")
    body = HI | {"stream": True}
    for _ in range(3):
        async with client.post(CHAT, json=body) as response:
            assert response.status == 200
            await response.read()
    assert await spend(client, 1, body) == [429]


@pytest.fixture
def messages(config):
    config["gateway"]["http"]["endpoints"]["messages"] = {"enabled": True}


async def test_a_refusal_has_the_form_of_anthropics_api_and_its_sdk_does_not_retry_it(
    hundred, messages, client, provider
):
    provider.says("Hello")
    await spend(client, 5)
    response = await client.post("/v1/messages", json=HI | {"model": "openclaw"})
    body = await response.json()
    assert (response.status, body["type"], body["error"]["type"]) == (429, "error", "rate_limit_error")
    assert body["error"]["message"].startswith("The budget 'team-budget' of 100 tokens")
    assert int(response.headers["Retry-After"]) >= 86_400
    assert response.headers["x-should-retry"] == "false"


@pytest.fixture
def summarising(hundred, config):
    config["gateway"]["budgets"] = [{"name": "team", "tokens": 100_000}]
    config["gateway"]["limits"] = [{"name": "one", "concurrentRuns": 1}]
    config["session"] = {"compaction": "summarize", "maxBytes": 3000}


async def test_a_client_that_leaves_while_a_summary_is_written_settles_what_that_had_reserved(
    summarising, client, provider
):
    provider.says("Hello")
    says, session = provider.answer, {"x-openclaw-session-key": "long"}
    asked, left = provider.hangs()
    hangs = provider.answer

    async def answer(request):
        return await (hangs if "Summarise this conversation" in str(provider.asked[-1]) else says)(request)

    async def converse():
        while True:
            body = HI | {"messages": [{"role": "user", "content": "x" * 80}]}
            async with client.post(CHAT, json=body, headers=session) as response:
                assert response.status == 200

    provider.answer = answer
    leaving = asyncio.create_task(converse())
    await asyncio.wait_for(asked.wait(), 10)
    leaving.cancel()
    await asyncio.wait({leaving})
    await left.wait()
    turns = len(provider.asked) - 1
    assert await spend(client, 1) == [200], "the slot of the summary is free"
    async with client.get("/api/v1/budgets") as response:
        (budget,) = (await response.json())["data"]
    assert budget["reserved"] == 0
    prompt = budget["used"] - (turns + 1) * 18
    assert 0 < prompt < 1024, "the summary takes its prompt, not the longest possible answer"
