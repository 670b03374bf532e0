import pytest
from structlog.testing import capture_logs

GUESS = "a-guess-0123456789"
PROXY = {"userHeader": "X-User", "allowLoopback": True, "requiredHeaders": ["X-Proxy-Secret"], "allowUsers": ["ann"]}
FOR = {"X-Forwarded-For": "2001:db8::7"}
ANN = FOR | {"X-User": "ann", "X-Proxy-Secret": "s3cret-of-the-proxy"}


@pytest.fixture
def trusted():
    return ["127.0.0.1"]


@pytest.fixture
def redis():
    return None


@pytest.fixture
def config(config, auth, trusted, redis):
    if redis is not None:
        config["gateway"]["redis"] = {"url": redis}
    config["gateway"] |= {"trustedProxies": trusted, "auth": config["gateway"]["auth"] | auth}
    if auth.get("mode") not in (None, "token"):
        del config["gateway"]["auth"]["token"]
    return config


async def lines_about(client, *requests, path="/v1/models", method="GET", **sent):
    """The log lines about refused callers, for requests with these headers."""
    with capture_logs() as lines:
        for headers in requests:
            async with client.request(method, path, headers=headers, **sent) as response:
                assert response.status in (401, 403, 429, 503)
    lines = [line for line in lines if line["event"] != "The store can't be used"]  # without Redis
    assert all((line["event"], line["log_level"]) == ("Caller refused", "warning") for line in lines)
    assert GUESS not in str(lines)
    assert "s3cret" not in str(lines)
    return lines


@pytest.mark.parametrize("auth", [{"rateLimit": {"maxAttempts": 2}}])
async def test_a_wrong_token_a_lockout_and_a_missing_token_have_different_reasons(client):
    wrong = FOR | {"Authorization": f"Bearer {GUESS}"}
    first, second, third = await lines_about(client, FOR | {"Authorization": ""}, wrong, wrong, wrong, wrong)
    about = {"client": "2001:db8::7", "proxy": "127.0.0.1", "method": "GET", "path": "/v1/models"}
    assert first.items() >= (about | {"status": 401, "type": "unauthorized", "reason": "missing token"}).items()
    assert second.items() >= (about | {"status": 401, "reason": "wrong token"}).items()
    assert third.items() >= (about | {"status": 429, "type": "rate_limited", "reason": "locked out"}).items()
    assert "suppressed" not in first | second
    assert third["suppressed"] == 1


@pytest.mark.parametrize("auth", [{}])
async def test_an_unattributed_request_is_logged_with_peer_and_headers(client):
    sent = {"X-Forwarded-For": GUESS, "X-Real-IP": GUESS, "Forwarded": f"for={GUESS}"}
    (line,) = await lines_about(client, sent)
    assert line.items() >= {"status": 403, "type": "proxy_attribution_required", "peer": "127.0.0.1"}.items()
    assert line["evidence"] == ["X-Forwarded-For", "X-Real-IP", "Forwarded"]
    assert line["reason"] == "the trusted proxy names no usable client address"
    assert "client" not in line


@pytest.mark.parametrize(("auth", "trusted"), [({}, ["10.0.0.1"])])
async def test_proxy_headers_of_an_untrusted_peer_are_logged_with_the_setting(client):
    (line,) = await lines_about(client, FOR)
    assert line["reason"] == "the request has proxy headers, but the peer is not in gateway.trustedProxies"


@pytest.mark.parametrize("auth", [{}])
async def test_a_long_path_is_truncated_in_the_log(client):
    (line,) = await lines_about(client, {"Tailscale-User-Login": "x"}, path=f"/{'x' * 500}?token={GUESS}")
    assert line["path"] == f"/{'x' * 79}"


@pytest.mark.parametrize("auth", [{"mode": "trusted-proxy", "trustedProxy": PROXY}])
async def test_a_refused_identity_is_logged_with_its_rule(client):
    lines = await lines_about(
        client,
        ANN | {"X-User": "mallory"},
        {**FOR, "X-User": "ann"},
        ANN | {"Origin": "https://evil.example"},
        ANN | {"x-openclaw-scopes": "operator.approvals"},
    )
    assert [(line["status"], line["reason"]) for line in lines] == [
        (401, "the user is not in trustedProxy.allowUsers"),
        (401, "the required header X-Proxy-Secret is missing or blank"),
        (401, "the Origin is not in gateway.controlUi.allowedOrigins"),
        (403, "missing scope: operator.read"),
    ]
    assert [line.get("user") for line in lines] == [None, None, None, "ann"]
    assert "mallory" not in str(lines)


@pytest.mark.parametrize("auth", [{"mode": "none"}])
async def test_a_missing_scope_for_another_model_is_logged_too(client):
    headers = {"x-openclaw-scopes": "operator.write", "x-openclaw-model": "fake/small"}
    (line,) = await lines_about(client, headers, path="/v1/chat/completions", method="POST", data=b"{}")
    assert (line["client"], line["reason"]) == ("127.0.0.1", "missing scope: operator.admin")


@pytest.mark.parametrize("auth", [{"rateLimit": {"maxAttempts": 1}}])
async def test_repeated_refusals_are_throttled_in_the_log(client):
    attack = [{"X-Forwarded-For": f"198.18.0.{n}", "Authorization": f"Bearer {GUESS}"} for n in range(1, 120)]
    assert 50 <= len(await lines_about(client, *attack)) <= 70


@pytest.mark.parametrize(
    ("auth", "redis"), [({"rateLimit": {"failureMode": "deny", "exemptLoopback": False}}, "redis://127.0.0.1:1")]
)
async def test_repeated_refusals_without_a_limiter_are_throttled_in_the_log(client):
    lines = await lines_about(client, *[FOR | {"Authorization": f"Bearer {GUESS}"}] * 20)
    assert [(line["status"], line["type"], line["client"]) for line in lines] == [(503, "unavailable", "2001:db8::7")]
