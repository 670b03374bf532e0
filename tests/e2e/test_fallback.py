import pytest

from tests.e2e.answers import SEEN, breaks_off, chunk, cuts, does, refuses, replies, says, streams

pytestmark = pytest.mark.asyncio(loop_scope="module")

CHAT = "/v1/chat/completions"
HI = [{"role": "user", "content": "hi"}]

FAILING = {
    "key": refuses(401, "bad key"),
    "limit": refuses(429, "slow down"),
    "outage": refuses(500, "oh"),
    "overload": refuses(503, "later"),
    "missing": refuses(404, "no such model"),
    "overflow": refuses(400, "long", code="context_length_exceeded"),
    "page": replies(b"<html></html>", "text/html"),
    "broken": does(breaks_off),
}
FINAL = {
    "bad": (refuses(400, "odd"), 400),
    "odd": (refuses(422, "odd"), 422),
    "filtered": (refuses(400, "no", code="content_filter"), 400),
}
OTHERS = ("late", "override", "all")


@pytest.fixture(scope="module")
def config(config):
    # An agent with its own chain for every case, so that cases don't affect each other's models.
    config["agents"]["entries"] |= {
        f"{name}-{way}": {"model": {"primary": f"fake/{name}-{way}-1", "fallbacks": [f"fake/{name}-{way}-2"]}}
        for name in (*FAILING, *FINAL, *OTHERS)
        for way in ("whole", "streamed")
    }
    return config


def chain(provider, case, first, second):
    return provider.model(first, f"{case}-1"), provider.model(second, f"{case}-2")


async def asked(client, case, **headers):
    """Status, headers and text of a request to the agent of this case."""
    body = {"model": f"openclaw/{case}", "messages": HI, "stream": case.endswith("streamed")}
    async with client.post(CHAT, json=body, headers=headers) as response:
        return response.status, response.headers, await response.text()


@pytest.mark.parametrize("way", ["whole", "streamed"])
@pytest.mark.parametrize("name", FAILING)
async def test_the_second_model_answers_when_the_first_fails_before_its_first_event(client, provider, name, way):
    first, second = chain(provider, f"{name}-{way}", FAILING[name], says("Hello"))
    status, headers, text = await asked(client, f"{name}-{way}")
    assert status == 200
    assert "Hello" in text
    assert "error" not in text
    assert (len(first.asked), len(second.asked)) == (1, 1)
    assert (headers["x-openclaw-model"], headers["x-openclaw-attempts"]) == (f"fake/{second.id}", "2")
    bodies = [{key: one.body[key] for key in one.body if key != "model"} for one in (first, second)]
    if way == "whole":  # a whole answer is requested as a stream only while there is a fallback
        assert bodies[0].pop("stream") is True
        assert bodies[0].pop("stream_options")
    assert bodies[0] == bodies[1]


@pytest.mark.parametrize("way", ["whole", "streamed"])
@pytest.mark.parametrize("name", FINAL)
async def test_a_fault_of_the_request_goes_to_no_other_model(client, provider, name, way):
    answer, expected = FINAL[name]
    first, second = chain(provider, f"{name}-{way}", answer, says("Hello"))
    status, _, _ = await asked(client, f"{name}-{way}")
    assert status == expected
    assert (len(first.asked), len(second.asked)) == (1, 0)


async def test_a_stream_that_breaks_later_goes_to_no_other_model(client, provider):
    hello = chunk({"content": "Hel"})
    first, second = chain(provider, "late-streamed", streams(hello, SEEN, then=cuts), says("Hello"))
    body = {"model": "openclaw/late-streamed", "messages": HI, "stream": True}
    async with client.post(CHAT, json=body) as response:
        text = await response.content.readany()
        first.seen.set()
        text += await response.content.read()
    assert b'"type":"upstream_error"' in text
    assert (len(first.asked), len(second.asked)) == (1, 0)


@pytest.mark.parametrize("way", ["whole", "streamed"])
async def test_a_model_that_the_caller_named_has_no_fallback(client, provider, way):
    first, second = chain(provider, f"override-{way}", refuses(500, "oh"), says("Hello"))
    status, _, _ = await asked(client, f"override-{way}", **first.chosen)
    assert status == 502
    assert (len(first.asked), len(second.asked)) == (1, 0)


@pytest.mark.parametrize("way", ["whole", "streamed"])
async def test_when_all_models_fail_the_last_failure_is_reported(client, provider, way):
    first, second = chain(provider, f"all-{way}", refuses(500, "first"), refuses(429, "second"))
    status, _, text = await asked(client, f"all-{way}")
    assert status == 429
    assert "second" in text
    assert (len(first.asked), len(second.asked)) == (1, 1)
