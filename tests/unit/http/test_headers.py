import pytest
from multidict import CIMultiDict

from gateway.core.errors import BadRequest, MissingScope
from gateway.core.identity import OWNER, Principal
from gateway.core.names import ModelRef
from gateway.http.headers import run_headers, run_options
from gateway.runs.run import RunOptions
from gateway.runs.trace import RunTrace

WRITER = Principal(name="ann", scopes=frozenset({"operator.write"}), owner=False, shared_secret=False)


@pytest.mark.parametrize(
    ("headers", "options"),
    [
        ({}, RunOptions()),
        ({"X-OpenClaw-Model": " other/x "}, RunOptions(model="other/x")),
        ({"x-openclaw-model": "  "}, RunOptions()),
        ({"x-openclaw-agent-id": " Research "}, RunOptions(agent="Research")),
        ({"x-openclaw-agent": "research"}, RunOptions(agent="research")),
        ({"x-openclaw-agent-id": "a", "x-openclaw-agent": "b"}, RunOptions(agent="a")),
        ({"x-openclaw-agent-id": "", "x-openclaw-agent": "b"}, RunOptions(agent="b")),
        ({"x-openclaw-message-channel": " Phone "}, RunOptions(channel="phone")),
        ({"x-openclaw-message-channel": " "}, RunOptions()),
        ({"x-openclaw-session-key": "mine"}, RunOptions()),
    ],
)
def test_headers_give_the_options_of_a_run(headers, options):
    assert run_options(CIMultiDict(headers), OWNER, b"{}") == options


@pytest.mark.parametrize("body", [b"", b" ", b"{}", b"[]", b'{"model":7}'])
def test_another_model_needs_the_admin_scope(body):
    with pytest.raises(MissingScope) as caught:
        run_options({"x-openclaw-model": "other/x"}, WRITER, body)
    assert caught.value.scope == "operator.admin"
    assert run_options({"x-openclaw-model": " "}, WRITER, b"{") == RunOptions()
    assert run_options({"x-openclaw-agent-id": "a"}, WRITER, b"{") == RunOptions(agent="a")


@pytest.mark.parametrize("body", [b"{", b"nonsense", b"[NaN]", b"[" * 100_000])
def test_invalid_json_is_refused_before_a_missing_scope(body):
    with pytest.raises(BadRequest) as caught:
        run_options({"x-openclaw-model": "other/x"}, WRITER, body)
    assert caught.value.code == "invalid_json"


@pytest.mark.parametrize("name", ["subagent:x", "cron:x", "acp:x", "harness:x", "subagent:"])
@pytest.mark.parametrize("written", ["{}", " {} ", "agent:main:{}", "AGENT:Main:{}"])
def test_reserved_session_keys_are_refused(name, written):
    for key in (written.format(name), written.format(name.upper())):
        with pytest.raises(BadRequest, match="reserved internal session namespaces") as caught:
            run_options({"x-openclaw-session-key": key}, OWNER, b"")
        assert caught.value.param == "x-openclaw-session-key"


@pytest.mark.parametrize(
    "key",
    ["", "main", "global", "unknown", "hook:x", "x" * 600, "a/../b", "my:cron:x", "agent:main:x", "agent:", "cron"],
)
def test_other_session_keys_are_accepted(key):
    assert run_options({"x-openclaw-session-key": key}, OWNER, b"") == RunOptions()


def test_a_response_has_the_model_the_attempts_and_the_timing():
    trace = RunTrace("main", lambda: 0.0)
    trace.begin(ModelRef("a", "x"), "apiKey", 0.0)
    trace.begin(ModelRef("b", "y/z"), "apiKey", 0.5)
    assert run_headers(trace, gateway=0.00125, upstream=2.0) == {
        "Server-Timing": "gateway;dur=1.25, upstream;dur=1500.00, backoff;dur=500.00",
        "x-openclaw-model": "b/y/z",
        "x-openclaw-attempts": "2",
    }


def test_without_an_attempt_a_response_names_no_model():
    headers = run_headers(RunTrace("main", lambda: 0.0), gateway=0, upstream=0)
    assert headers == {"Server-Timing": "gateway;dur=0.00, upstream;dur=0.00"}
