import asyncio

import openai
import pytest
from aiohttp import web
from structlog.testing import capture_logs

from gateway.access.client import ClientAddress
from gateway.core.identity import ALL_SCOPES, OWNER, Principal
from gateway.http.quota import identity

CHAT = "/v1/chat/completions"
HI = {"messages": [{"role": "user", "content": "hi"}], "max_tokens": 99}  # 1 + 99 tokens are reserved
RESPONSE = {"model": "openclaw", "input": "hi", "max_output_tokens": 99}
LIMIT_HEADERS = ("RateLimit", "RateLimit-Policy", "x-ratelimit-limit-requests")


@pytest.fixture
def limits(config):
    """Sets `gateway.limits`. Request it before `client`."""

    def to(*rules):
        config["gateway"]["limits"] = list(rules)

    return to


@pytest.fixture
def requests(limits):
    limits({"requestsPerMinute": 3})


@pytest.fixture
def tokens(limits):
    limits({"tokensPerMinute": 1000})


@pytest.fixture
def runs(limits):
    limits({"concurrentRuns": 1})


async def remaining(response):
    """The remaining tokens in the headers of an answer or a refusal."""
    await response.read()
    return int(response.headers["x-ratelimit-remaining-tokens"])


async def test_without_limits_there_is_no_trace_of_them(client, provider):
    provider.says("Hello")
    response = await client.post(CHAT, json=HI)
    assert not [name for name in response.headers if "ratelimit" in name.lower()]
    assert len(client.app.on_response_prepare) == 1


async def test_of_many_requests_at_once_exactly_the_limit_is_let_through(requests, client, provider):
    provider.says("Hello")
    responses = await asyncio.gather(*(client.post(CHAT, json=HI) for _ in range(20)))
    assert sorted(response.status for response in responses) == [200] * 3 + [429] * 17
    assert len(provider.asked) == 3


async def test_a_refusal_says_which_limit_and_when_to_come_back(requests, client, provider):
    provider.says("Hello")
    for _ in range(3):
        await client.post(CHAT, json=HI)
    response = await client.post(CHAT, json=HI)
    after = int(response.headers["Retry-After"])
    assert 1 <= after <= 81
    assert (await response.json())["error"] == {
        "message": f"The limit 'identity-requests' of 3 requests in 60 s is reached. Try again in {after} s.",
        "type": "rate_limited",
        "param": None,
        "code": "rate_limit_exceeded",
    }
    assert response.headers["RateLimit-Policy"] == '"identity-requests";q=3;w=60'
    assert response.headers["RateLimit"].startswith('"identity-requests";r=0;t=')
    assert response.headers["x-ratelimit-remaining-requests"] == "0"


@pytest.mark.usefixtures("requests")
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("path", "body"), [(CHAT, HI), ("/v1/responses", RESPONSE)])
async def test_answers_say_what_is_left(client, provider, path, body, stream):
    provider.says("Hello")
    response = await client.post(path, json=body | {"stream": stream})
    assert response.status == 200
    assert response.headers["RateLimit"] == '"identity-requests";r=2;t=60'
    assert response.headers["x-ratelimit-limit-requests"] == "3"
    assert response.headers["x-ratelimit-remaining-requests"] == "2"


async def test_refusals_without_end_are_one_line_in_the_log(requests, client, provider):
    provider.says("Hello")
    with capture_logs() as lines:
        await asyncio.gather(*(client.post(CHAT, json=HI) for _ in range(20)))
    (line,) = [line for line in lines if line["event"] == "Caller refused"]
    assert (line["status"], line["type"], line["reason"]) == (429, "rate_limited", "limit identity-requests")


async def test_the_official_client_understands_the_refusal(requests, official, provider):
    provider.says("Hello")
    messages = HI["messages"]
    for _ in range(3):
        raw = await official.chat.completions.with_raw_response.create(model="openclaw", messages=messages)
    assert raw.headers["x-ratelimit-remaining-requests"] == "0"
    with pytest.raises(openai.RateLimitError) as caught:
        await official.chat.completions.create(model="openclaw", messages=messages)
    assert caught.value.code == "rate_limit_exceeded"


async def test_a_request_that_can_not_be_served_takes_nothing(requests, client, provider):
    provider.says("Hello")
    for body, headers in ((b"{", {}), (HI, {"x-openclaw-agent-id": "nobody"}), (HI, {"x-openclaw-model": "nobody/x"})):
        options = {"json": body} if isinstance(body, dict) else {"data": body}
        response = await client.post(CHAT, headers=headers, **options)
        assert response.status in (400, 404)
        assert not any(name in response.headers for name in LIMIT_HEADERS)
    assert (await client.post(CHAT, json=HI)).headers["x-ratelimit-remaining-requests"] == "2"


@pytest.mark.parametrize("stream", [False, True])
async def test_tokens_are_reserved_and_settled_to_what_the_provider_counts(tokens, client, provider, stream):
    provider.says("Hel|lo")
    assert await remaining(await client.post(CHAT, json=HI | {"stream": stream})) == 900
    assert await remaining(await client.post(CHAT, json=HI | {"stream": stream})) == 1000 - 18 - 100


async def test_a_run_that_fails_before_an_answer_gives_its_tokens_back(tokens, client, provider):
    provider.refuses(500, "no")
    for _ in range(3):
        response = await client.post(CHAT, json=HI)
        assert response.status == 502
        assert await remaining(response) == 900
    assert await remaining(await client.post(CHAT, json=HI | {"stream": True})) == 900


async def test_a_stream_that_breaks_costs_what_had_come_of_it(tokens, client, provider):
    async def breaks(request):
        response = await provider.begins(request, {"content": "x" * 40})
        request.transport.close()
        return response

    provider.answer = breaks
    response = await client.post(CHAT, json=HI | {"stream": True})
    assert b"error" in await response.read()
    provider.says("Hello")
    assert await remaining(await client.post(CHAT, json=HI)) == 1000 - (1 + 10) - 100


async def test_an_answer_without_the_demanded_call_costs_what_it_cost(tokens, client, provider):
    provider.says("Hel|lo")
    tool = {"type": "function", "function": {"name": "f"}}
    response = await client.post(CHAT, json=HI | {"tools": [tool], "tool_choice": "required"})
    assert response.status == 502
    left = await remaining(await client.post(CHAT, json=HI))
    assert left == 1000 - 18 - 100


async def test_without_the_providers_count_the_estimate_stays(tokens, client, provider):
    async def uncounted(request):
        message = {"role": "assistant", "content": "x" * 40}
        return web.json_response({"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]})

    provider.answer = uncounted
    await client.post(CHAT, json=HI)
    assert await remaining(await client.post(CHAT, json=HI)) == 1000 - (1 + 10) - 100


async def test_a_prompt_over_the_whole_limit_is_refused_for_good(tokens, client, provider):
    response = await client.post(CHAT, json={"messages": [{"role": "user", "content": "x" * 4004}]})
    assert response.status == 400
    error = (await response.json())["error"]
    assert error["message"].startswith(
        "The prompt has about 1001 tokens, more than the limit 'identity-tokens' of 1000"
    )
    assert (error["type"], error["code"]) == ("invalid_request_error", "rate_limit_exceeded")
    assert "Retry-After" not in response.headers
    assert provider.asked == []


async def test_an_answer_allowed_to_be_longer_than_the_limit_is_let_through(tokens, client, provider):
    provider.says("Hello")
    assert await remaining(await client.post(CHAT, json=HI | {"max_tokens": 100_000})) == 0
    assert (await client.post(CHAT, json=HI)).status == 200


@pytest.mark.parametrize("stream", [False, True])
async def test_a_run_holds_its_place_until_its_end_whatever_it_is(runs, client, provider, stream):
    started, end = asyncio.Event(), asyncio.Event()

    async def waits(request):
        started.set()
        await end.wait()
        return web.json_response({"error": {"message": "no"}}, status=500)

    provider.answer = waits
    body = HI | {"stream": stream}
    first = asyncio.create_task(client.post(CHAT, json=body))
    await started.wait()
    refused = await client.post(CHAT, json=body)
    assert (refused.status, refused.headers["Retry-After"]) == (429, "1")
    assert refused.headers["RateLimit"] == '"identity-runs";r=0'
    assert "of 1 runs at the same time" in (await refused.json())["error"]["message"]
    end.set()
    assert (await first).status == 502
    provider.says("Hello")
    for _ in range(3):
        response = await client.post(CHAT, json=body)
        assert response.status == 200
        await response.read()


@pytest.fixture
def both(limits):
    limits({"tokensPerMinute": 1000, "concurrentRuns": 1})


@pytest.mark.parametrize("stream", [False, True])
async def test_a_caller_that_leaves_frees_its_place_and_pays_for_the_prompt(both, client, provider, stream):
    started, left = asyncio.Event(), asyncio.Event()

    async def waits(request):
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            left.set()

    provider.answer = waits
    request = asyncio.create_task(client.post(CHAT, json=HI | {"stream": stream}))
    await started.wait()
    request.cancel()
    async with asyncio.timeout(10):
        await left.wait()
    provider.says("Hello")
    assert await remaining(await client.post(CHAT, json=HI)) == 1000 - 1 - 100


@pytest.fixture
def several(limits):
    limits(
        {"per": ["model"], "models": ["fake/*"], "requestsPerMinute": 2},
        {"name": "one", "per": [], "models": ["fake/blind"], "requestsPerMinute": 1},
    )


async def test_models_have_limits_of_their_own_and_every_rule_that_applies_counts(several, client, provider):
    provider.says("Hello")
    expected = {"small": [200, 200, 429], "blind": [200, 429], "other": [200, 200, 429]}
    for model, statuses in expected.items():
        headers = {"x-openclaw-model": f"fake/{model}"}
        assert [(await client.post(CHAT, json=HI, headers=headers)).status for _ in statuses] == statuses
    assert len(provider.asked) == 5


@pytest.fixture
def people(config, limits):
    auth = {"mode": "trusted-proxy", "trustedProxy": {"userHeader": "x-user", "allowLoopback": True}}
    config["gateway"] |= {"auth": auth, "trustedProxies": ["127.0.0.1"]}
    limits(
        {"name": "person", "identities": ["alice"], "requestsPerMinute": 3},
        {"name": "person", "requestsPerMinute": 1},
    )


async def test_users_are_counted_apart_and_some_may_have_more(people, client, provider):
    provider.says("Hello")
    for user, statuses in {"alice": [200, 200, 200, 429], "bob": [200, 429], "carol": [200, 429]}.items():
        headers = {"x-user": user, "X-Forwarded-For": "192.0.2.1"}
        responses = [await client.post(CHAT, json=HI, headers=headers) for _ in statuses]
        assert [response.status for response in responses] == statuses
        assert responses[0].headers["RateLimit-Policy"] == f'"person-requests";q={len(statuses) - 1};w=60'


@pytest.mark.parametrize(
    ("principal", "name"),
    [
        (OWNER, "owner"),
        (Principal("owner", ALL_SCOPES, owner=True, shared_secret=False), "user:owner"),
        (Principal(None, ALL_SCOPES, owner=True, shared_secret=False), "address:2001:db8::/64"),
    ],
)
def test_a_request_counts_for_the_user_the_owner_or_the_address(principal, name):
    client = ClientAddress("2001:db8::5", loopback=False, forwarded=False, key="2001:db8::/64")
    assert identity(principal, client) == name
