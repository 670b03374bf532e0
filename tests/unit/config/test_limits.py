import pytest


def test_rules_are_read_as_written(loaded):
    text = """{gateway: {limits: [
        {name: "guests", per: ["agent", "model"], agents: ["MAIN"], models: ["OpenAI/gpt-5.4", "ollama/*"],
         requestsPerMinute: 60, tokensPerMinute: 90000, concurrentRuns: 4},
        {concurrentRuns: 1},
    ]}}"""
    first, second = loaded(text).config.gateway.limits
    assert (first.name, first.per, first.agents) == ("guests", ("agent", "model"), ("main",))
    assert first.models == ("openai/gpt-5.4", "ollama/*")
    assert (first.requests_per_minute, first.tokens_per_minute, first.concurrent_runs) == (60, 90_000, 4)
    assert (second.name, second.per, second.requests_per_minute) == (None, ("identity",), None)


def test_there_are_none_unless_configured(loaded):
    assert loaded("{}").config.gateway.limits == ()


@pytest.mark.parametrize(
    ("rule", "path", "text"),
    [
        ("{}", "gateway.limits[0]", "limits nothing; set requestsPerMinute, tokensPerMinute or concurrentRuns"),
        ('{per: ["team"], concurrentRuns: 1}', "gateway.limits[0].per[0]", "must be 'identity', 'agent' or 'model'"),
        ("{requestsPerMinute: 0}", "gateway.limits[0].requestsPerMinute", "must be more than 0"),
        ("{requestPerMinute: 5}", "gateway.limits[0].requestPerMinute", "did you mean 'requestsPerMinute'?"),
        ('{name: "a b", concurrentRuns: 1}', "gateway.limits[0].name", "must be 1 to 40 letters"),
        ('{models: ["gpt-5.4"], concurrentRuns: 1}', "gateway.limits[0].models", 'must be "provider/model"'),
        ('{agents: ["mian"], concurrentRuns: 1}', "gateway.limits[0].agents[0]", "did you mean 'main'?"),
    ],
)
def test_a_rule_with_a_mistake_is_refused(refused, rule, path, text):
    problems = refused(f"{{gateway: {{limits: [{rule}]}}}}")
    assert any(problem.startswith(f"{path}: ") and text in problem for problem in problems), problems


def test_users_and_keys_can_only_be_named_where_somebody_has_a_name(refused, loaded):
    limits = '[{identities:["alice"],concurrentRuns:1}]'
    (problem,) = refused(f'{{gateway:{{auth:{{mode:"none"}},limits:{limits}}}}}')
    assert problem.startswith("gateway.limits[0].identities: names users or keys, while auth mode is")
    assert loaded(f'{{gateway:{{auth:{{mode:"token",token:"t"}},limits:{limits}}}}}')


def test_a_trusted_proxy_names_users(loaded):
    auth = '{mode:"trusted-proxy",trustedProxy:{userHeader:"x-user"}}'
    text = f'{{gateway:{{trustedProxies:["10.0.0.1"],auth:{auth},limits:[{{identities:["alice"],concurrentRuns:1}}]}}}}'
    assert loaded(text).config.gateway.limits[0].identities == ("alice",)


@pytest.mark.parametrize(
    "url",
    ["ftp://host/x", "http://", "http://[::1/x", "http://hooks..example/x", "http://host:99999/x", "http://host:x"],
)
def test_a_webhook_that_can_not_be_reached_is_refused_without_its_address(refused, url):
    (problem,) = refused(f'{{gateway: {{budgetAlerts: {{url: "{url}", secret: "a-shared-secret"}}}}}}')
    assert problem.startswith("gateway.budgetAlerts.url: is not an http(s) URL")
    assert url not in problem


def test_a_webhook_may_have_a_login_and_a_key_in_its_address(loaded):
    url = "https://user:word@hooks.example:8443/x?key=1"
    text = f'{{gateway: {{budgetAlerts: {{url: "{url}", secret: "a-shared-secret"}}}}}}'
    assert loaded(text).config.gateway.budget_alerts.url.get_secret_value() == url
