"""Without the ledger a request runs none of its code; with it, it does, so the comparison can fail."""

import sys

import pytest

ASK = {"model": "openclaw", "messages": [{"role": "user", "content": "hi"}]}
LEDGER = ("gateway/ledger/", "gateway/state/usage/", "gateway/runs/attempt_usage", "gateway/runs/answer_bytes")


@pytest.fixture(params=[False, True], ids=["off", "on"])
def enabled(request, config):
    config["gateway"]["ledger"] = {"enabled": request.param}
    return request.param


async def test_a_request_calls_the_ledger_only_where_it_is_on(enabled, client, provider):
    calls = []

    def profile(frame, event, _argument):
        if event == "call" and any(part in frame.f_code.co_filename for part in LEDGER):
            calls.append(f"{frame.f_code.co_filename}:{frame.f_code.co_name}")

    provider.says("Hello| there")
    for stream in (False, True):
        sys.setprofile(profile)
        try:
            async with client.post("/v1/chat/completions", json=ASK | {"stream": stream}) as response:
                assert response.status == 200
                await response.read()
            async with client.get("/api/v1/usage") as response:
                assert response.status == (200 if enabled else 404)
        finally:
            sys.setprofile(None)
    assert bool(calls) == enabled, calls
