import json
from pathlib import Path

import pytest

from gateway.config.load import load
from gateway.core.errors import ConfigError

MODEL = {
    "id": "small",
    "name": "small",
    "reasoning": False,
    "input": ["text", "image"],
    "contextWindow": 128000,
    "maxTokens": 4096,
    "cost": {"input": 0, "output": 0, "cacheRead": 0, "cacheWrite": 0},
}
OPENCLAW = {
    "gateway": {
        "mode": "local",
        "bind": "loopback",
        "auth": {"mode": "token", "token": "a-token-of-some-length"},
        "controlUi": {"enabled": False},
        "http": {
            "endpoints": {"chatCompletions": {"enabled": True, "maxBodyBytes": 1000}, "responses": {"enabled": True}}
        },
    },
    "plugins": {"allow": ["memory-core"]},
    "tools": {"deny": ["*"]},
    "memory": {"search": {"provider": "mock", "model": "emb-small"}},
    "models": {
        "mode": "replace",
        "providers": {
            "mock": {"baseUrl": "http://127.0.0.1:9/v1", "apiKey": "mock-key", "models": [MODEL], "timeoutSeconds": 3}
        },
    },
    "agents": {
        "defaults": {
            "model": {"primary": "mock/small"},
            "heartbeat": {"every": "0m"},
            "skipBootstrap": True,
            "maxConcurrent": 60,
        },
        "entries": {"main": {}, "research": {"default": True}},
    },
}


def test_a_configuration_of_openclaw_loads_as_it_stands(loaded):
    result = loaded(json.dumps(OPENCLAW))
    config = result.config
    assert config.gateway.auth.mode == "token"
    assert config.gateway.http.endpoints.chat_completions.enabled
    assert config.models.providers["mock"].models[0].context_window == 128000
    assert config.models.providers["mock"].timeout_seconds == 3
    assert config.memory.search.model == "emb-small"
    assert config.agents.default == "research"
    assert result.ignored == ("plugins",)
    assert result.inert == (
        "gateway.controlUi.enabled",
        "gateway.http.endpoints.chatCompletions.maxBodyBytes",
        "models.providers.mock.models[].name",
        "agents.defaults.heartbeat",
        "agents.defaults.skipBootstrap",
        "agents.defaults.maxConcurrent",
    )


def test_an_empty_file_gives_the_recorded_defaults(loaded):
    gateway = loaded().config.gateway
    assert (gateway.port, gateway.bind) == (18789, "loopback")
    limit = gateway.auth.rate_limit
    assert (limit.max_attempts, limit.window_ms, limit.lockout_ms, limit.exempt_loopback) == (10, 60000, 300000, True)
    assert limit.global_per_minute == 100
    assert not gateway.http.endpoints.chat_completions.enabled
    assert not gateway.http.endpoints.responses.enabled
    assert not gateway.http.endpoints.chat_completions.images.allow_url
    assert gateway.http.endpoints.responses.images.allow_url


def test_without_a_file_at_the_default_path_everything_has_its_default(tmp_path: Path):
    result = load(None, {"OPENCLAW_STATE_DIR": str(tmp_path)})
    assert result.path == tmp_path / "openclaw.json"
    assert result.state_directory == tmp_path
    assert list(result.config.agents.entries) == ["main"]


@pytest.mark.parametrize("by", ["argument", "variable"])
def test_a_named_file_that_is_missing_is_refused(tmp_path: Path, by: str):
    file = tmp_path / "nowhere.json"
    with pytest.raises(ConfigError, match=r"nowhere\.json: can't be read"):
        load(file if by == "argument" else None, {"OPENCLAW_CONFIG_PATH": str(file)} if by == "variable" else {})


def test_the_token_of_the_file_beats_that_of_the_environment(loaded):
    config = loaded('{gateway:{auth:{token:"of-the-file"}}}', {"OPENCLAW_GATEWAY_TOKEN": "of-the-environment"}).config
    assert config.gateway.auth.token.get_secret_value() == "of-the-file"


def test_secrets_that_the_file_leaves_out_come_from_the_environment(loaded):
    env = {"OPENCLAW_GATEWAY_PASSWORD": "hunter22", "OPENCLAW_REDIS_URL": "redis://shared:6379/0"}
    gateway = loaded('{gateway:{auth:{mode:"password"}}}', env).config.gateway
    assert gateway.auth.password.get_secret_value() == "hunter22"
    assert gateway.redis.url.get_secret_value() == "redis://shared:6379/0"


def test_a_password_alone_means_password_mode(loaded):
    assert loaded('{gateway:{auth:{password:"hunter22"}}}').config.gateway.auth.mode == "password"


def test_without_any_secret_a_token_is_generated_and_marked(loaded):
    first, second = (loaded().config.gateway.auth for _ in range(2))
    assert first.mode == "token"
    assert first.generated
    assert first.token.get_secret_value() != second.token.get_secret_value()


def test_a_configured_token_is_not_marked_as_generated(loaded):
    assert not loaded('{gateway:{auth:{token:"of-the-file"}}}').config.gateway.auth.generated


@pytest.mark.parametrize("variable", ["", "   "])
def test_a_blank_variable_counts_as_absent(loaded, variable: str):
    assert loaded("{}", {"OPENCLAW_GATEWAY_TOKEN": variable}).config.gateway.auth.generated


def test_every_problem_is_reported_at_once_with_its_path(refused):
    problems = refused(
        """{gateway: {port: "high", auth: {tokn: "x", mode: "none"}, bind: "lan", trustedProxies: ["10.0.0.0/33"]},
            agents: {entries: {main: {model: "${ABSENT}"}}}}"""
    )
    assert [problem.partition(": ")[0] for problem in problems] == [
        "gateway.auth.tokn",
        "agents.entries.main.model",
        "gateway.port",
        "gateway.auth.mode",
        "gateway.trustedProxies[0]",
    ]


def test_a_refused_value_causes_no_second_problem(refused):
    assert refused(
        '{gateway:{auth:{mode:"trusted-proxy",trustedProxy:{userHeader:"x-user"}},trustedProxies:"10.0.0.1"}}'
    ) == ("gateway.trustedProxies: must be a list: [ … ]",)


def test_references_to_a_refused_table_are_not_checked(refused):
    text = '{models:{mode:"replace",providers:{mock:7}},agents:{defaults:{model:"mock/small"}}}'
    assert refused(text) == ("models.providers.mock: must be an object: { … }",)


def test_the_command_line_wins_over_the_environment_and_that_over_the_file(loaded):
    env = {"OPENCLAW_GATEWAY_PORT": "2000"}
    assert loaded("{gateway:{port:1000}}").config.gateway.port == 1000
    assert loaded("{gateway:{port:1000}}", env).config.gateway.port == 2000
    assert loaded("{gateway:{port:1000}}", env, port=3000).config.gateway.port == 3000
    assert loaded("{}", bind="lan").config.gateway.bind == "lan"


def test_a_bind_from_the_command_line_is_judged_by_the_rules(refused):
    problems = refused('{gateway:{auth:{mode:"none"}}}', bind="lan")
    assert problems[0].startswith('gateway.auth.mode: is "none", while bind is "lan"')


def test_sections_of_openclaw_that_are_not_served_are_named_in_order(loaded):
    text = '{"$schema":"x",meta:{},wizard:{},channels:{telegram:{botToken:"${ABSENT}"}},cron:{},ownSection:1}'
    assert loaded(text).ignored == ("channels", "cron", "ownSection")


@pytest.mark.parametrize(
    ("written", "meant"), [("gatway", "gateway"), ("agent", "agents"), ("model", "models"), ("sessions", "session")]
)
def test_a_section_spelt_almost_like_one_of_ours_is_refused(refused, written: str, meant: str):
    assert refused(f"{{{written}: {{}}}}") == (f"{written}: unknown key; did you mean '{meant}'?",)


def test_secrets_never_show_in_the_representation(loaded):
    env = {"OPENCLAW_REDIS_URL": "redis://:pw-redis@h/0", "KEY": "pw-env"}
    text = """{gateway:{auth:{token:"pw-token"}},models:{providers:{p:{baseUrl:"http://h",apiKey:"pw-key",
        headers:{"x-key":"pw-header"}}}},mcp:{servers:{s:{command:"c",env:{K:"pw-mcp"}}}}}"""
    assert "pw-" not in repr(loaded(text, env))


def test_problems_never_quote_a_value(refused):
    text = '{gateway:{auth:{token:{secret:"pw-a"},password:["pw-b"]},redis:{url:["pw-c"]}}}'
    problems = refused(text)
    assert len(problems) == 3
    assert "pw-" not in " ".join(problems)


def test_an_env_section_supplies_variables_that_the_process_lacks(loaded):
    text = '{env:{vars:{NAME:"file",OTHER:"o"},DIRECT:"d"},agents:{entries:{main:{name:"${NAME} ${OTHER} ${DIRECT}"}}}}'
    result = loaded(text, {"NAME": "process"})
    assert result.config.agents.entries["main"].name == "process o d"
    assert result.env["OTHER"] == "o"


def test_an_env_section_of_the_wrong_shape_is_refused(refused):
    assert refused("{env:{vars:{NAME:1}}}") == ("env.vars.NAME: must be a string",)
    assert refused("{env:{vars:1}}") == ("env.vars: must be an object: { NAME: … }",)
    assert refused("{env:[]}") == ("env: must be an object: { vars: { NAME: … } }",)


def test_a_shell_is_never_asked_for_variables_and_the_report_says_so(loaded):
    assert loaded("{env:{shellEnv:{enabled:true}}}").ignored == ("env.shellEnv",)


def test_a_port_that_is_not_a_number_names_its_variable(refused):
    assert refused("{}", {"OPENCLAW_GATEWAY_PORT": "http"}) == ("OPENCLAW_GATEWAY_PORT: must be a whole number",)


@pytest.mark.parametrize("text", ["{gateway:1}", "{gateway:{auth:1}}"])
def test_a_section_that_is_not_an_object_is_refused_and_not_filled(refused, text: str):
    problems = refused(text, {"OPENCLAW_GATEWAY_TOKEN": "t", "OPENCLAW_GATEWAY_PORT": "1"})
    assert len(problems) == 1
    assert problems[0].endswith("must be an object: { … }")


def test_a_configuration_can_not_be_changed(loaded):
    config = loaded().config
    with pytest.raises(ValueError, match="frozen"):
        config.gateway.port = 1
