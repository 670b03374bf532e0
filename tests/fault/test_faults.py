import json
import re
import time

import pytest

from tests.fault.automaton import listen
from tests.fault.canonical import TEXT, USAGE
from tests.fault.conftest import SLACK
from tests.fault.scenarios import FAULTS

pytestmark = pytest.mark.asyncio(loop_scope="module")

CASES = [(name, mode) for name, fault in FAULTS.items() for mode in fault.modes]
EVERY_FAULT = pytest.mark.parametrize(("name", "mode"), CASES, ids=[f"{name}-{mode}" for name, mode in CASES])


def slug(name, mode):
    return f"{re.sub('[^a-z0-9]+', '-', name)}-{mode}"


@pytest.fixture(scope="module")
def agents():
    return {
        slug(name, mode): {
            "model": {"primary": f"fake/{slug(name, mode)}-1", "fallbacks": [f"fake/{slug(name, mode)}-2"]},
            "upstreamStreaming": "always" if mode == "gathered" else "auto",
        }
        for name, mode in CASES
    }


async def asked(client, agent, mode):
    """Status, headers and body of a request to this agent."""
    stream = {"stream": True, "stream_options": {"include_usage": True}} if mode == "streamed" else {}
    body = {"model": f"openclaw/{agent}", "messages": [{"role": "user", "content": "hi"}], **stream}
    async with client.post("/v1/chat/completions", json=body) as response:
        return response.status, response.headers, await response.read()


def answer(mode, body):
    """Text, finish and usage of an answer; asserts that it is a valid one."""
    if mode == "streamed":
        heard = listen(body)
        assert heard.error is None, heard.error
        return heard.text, heard.finish, heard.usage
    choice, *more = json.loads(body)["choices"]
    assert not more
    return choice["message"]["content"], choice["finish_reason"], json.loads(body)["usage"]


@EVERY_FAULT
async def test_the_client_gets_the_whole_answer_once_or_one_error_and_requests_are_bounded(
    client, provider, name, mode
):
    fault, agent = FAULTS[name], slug(name, mode)
    first = provider.model(f"{agent}-1", *fault.primary)
    second = provider.model(f"{agent}-2", *fault.fallback)
    started = time.monotonic()
    status, headers, body = await asked(client, agent, mode)
    took = time.monotonic() - started
    if fault.fails is None:
        assert status == 200, body
        text, finish, usage = answer(mode, body)
        assert (text, finish) == (TEXT, "stop")
        assert {key: usage[key] for key in USAGE} == USAGE
    else:
        error = json.loads(body)["error"]
        assert (status, error["type"], error["code"]) == fault.fails
    assert (len(first.calls), len(second.calls)) == fault.calls
    assert took < fault.within + SLACK
    assert all(gap >= fault.gap for gap in first.gaps[:1])
    requests = [call.body | {"model": ""} for call in (*first.calls, *second.calls)]
    if mode == "whole":  # the last candidate is asked for a whole answer, the others for a stream
        requests = [{key: body[key] for key in body if not key.startswith("stream")} for body in requests]
    assert all(request == requests[0] for request in requests), "every attempt asks the same"
    if mode == "whole" or fault.fails:
        assert headers.get("x-openclaw-attempts", str(sum(fault.calls))) == str(sum(fault.calls))
