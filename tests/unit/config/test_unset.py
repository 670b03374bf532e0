"""Variables that are not set: a warning where nobody needs the value, else a problem."""

import pytest

HOUSE = "house:{baseUrl:'http://house.example/v1',models:[{id:'m'}]}"
OTHER = "other:{baseUrl:'http://other.example/v1',apiKey:%s,models:[{id:'z'}]}"
REFERENCE = "{source:'env',provider:'default',id:'OTHER_KEY'}"


def file(agents: str, key: str = "'${OTHER_KEY}'", more: str = "") -> str:
    return f"{{models:{{providers:{{{HOUSE},{OTHER % key}}}}},agents:{agents}{more}}}"


def test_a_variable_of_the_file_that_refers_to_one_that_is_not_set_is_not_set(loaded):
    text = "{env:{vars:{A:'${A}',B:'${OUTER}/x',C:'${A:-c}'}}}"
    assert "A" not in loaded(text).env
    assert "B" not in loaded(text).env
    assert loaded(text).env["C"] == "c"
    assert loaded(text, {"A": "a", "OUTER": "o"}).env["B"] == "o/x"
    assert loaded(text, {"A": "a"}).env["A"] == "a"


def test_an_unused_provider_may_have_a_key_from_a_command(loaded):
    result = loaded(file("{defaults:{model:'house/m'}}", "{source:'exec',provider:'vault',id:'other'}"))
    (warning,) = result.warnings
    assert str(warning).startswith('models.providers.other.apiKey: secret references to "exec" are not supported, so')


@pytest.mark.parametrize("key", ["'${OTHER_KEY}'", REFERENCE])
def test_the_missing_key_of_a_provider_that_no_agent_asks_is_a_warning(loaded, key):
    result = loaded(file("{defaults:{model:'house/m'}}", key))
    (warning,) = result.warnings
    assert str(warning) == (
        "models.providers.other.apiKey: environment variable OTHER_KEY is not set, "
        "so calls go without a key; no agent asks this provider"
    )
    row = result.config.models.providers["other"]
    assert row.api_key is None
    assert row.auth_header is False  # no other key, such as that of a built-in provider, goes to its host


@pytest.mark.parametrize(
    ("agents", "more"),
    [
        ("{defaults:{model:'other/z'}}", ""),
        ("{defaults:{model:'Other/z'}}", ""),
        ("{defaults:{model:'z'}}", ""),
        ("{defaults:{model:{primary:'house/m',fallbacks:['other/z']}}}", ""),
        ("{defaults:{model:'house/m'},entries:{a:{model:'other/z'}}}", ""),
        ("{defaults:{model:'house/m'},list:[{id:'a',model:'other/z'}]}", ""),
        ("{defaults:{model:'fast',models:{'other/z':{alias:'Fast'}}}}", ""),
        ("{defaults:{model:'house/m',memorySearch:{provider:'other'}}}", ""),
        ("{defaults:{model:'house/m'}}", ",memory:{search:{model:'other/z'}}"),
        ("{}", ""),
    ],
)
def test_the_missing_key_of_a_provider_that_is_asked_is_a_problem(refused, agents, more):
    (problem,) = refused(file(agents, more=more))
    assert problem.startswith("models.providers.other.apiKey: environment variable OTHER_KEY is not set; set it, or")


def test_the_other_ids_of_a_provider_ask_its_row(refused):
    for row, model in (("zai", "z.ai/m"), ("z-ai", "ZAI/m"), ("amazon-bedrock", "bedrock/m")):
        text = (
            f"{{models:{{providers:{{'{row}':{{apiKey:'${{OTHER_KEY}}'}}}}}},agents:{{defaults:{{model:'{model}'}}}}}}"
        )
        (problem,) = refused(text)
        assert "OTHER_KEY is not set; set it" in problem


def test_another_value_of_a_row_must_be_there(refused):
    text = file("{defaults:{model:'house/m'}}", "'k',headers:{a:'${OTHER_KEY}'}")
    (problem,) = refused(text)
    assert problem.startswith("models.providers.other.headers.a: environment variable OTHER_KEY is not set")


def test_an_origin_with_a_variable_that_is_not_set_is_left_out(loaded):
    result = loaded("{gateway:{controlUi:{allowedOrigins:['http://${LAN_IP}:1','http://b']}}}")
    assert result.config.gateway.control_ui.allowed_origins == ("http://b",)
    (warning,) = result.warnings
    assert str(warning).startswith("gateway.controlUi.allowedOrigins[0]: environment variable LAN_IP is not set")


def test_a_part_that_is_switched_off_needs_no_values(loaded, refused):
    server = "{mcp:{servers:{s:{command:'x',enabled:%s,env:{T:'${ABSENT}'}}}}}"
    (warning,) = loaded(server % "false").warnings
    assert str(warning).startswith("mcp.servers.s.env.T: environment variable ABSENT is not set, so it is left out")
    (problem,) = refused(server % "true")
    assert problem.startswith("mcp.servers.s.env.T: environment variable ABSENT is not set; set it")
    otel = "{diagnostics:{otel:{enabled:%s,endpoint:'http://h:4318',headers:{a:'${ABSENT}'}}}}"
    assert len(loaded(otel % "false").warnings) == 1
    assert len(refused(otel % "true")) == 1


def test_the_missing_key_of_an_endpoint_of_embeddings_is_a_warning(loaded):
    search = "{remote:{baseUrl:'http://v.example',apiKey:'${SEARCH_KEY}'}}"
    result = loaded(f"{{agents:{{defaults:{{memorySearch:{search}}}}},memory:{{search:{search}}}}}")
    assert sorted(warning.path for warning in result.warnings) == [
        "agents.defaults.memorySearch.remote.apiKey",
        "memory.search.remote.apiKey",
    ]


def test_a_key_that_looks_like_the_name_of_a_variable_is_sent_with_a_warning(loaded):
    text = file("{defaults:{model:'other/z'}}", "'OTHER_API_KEY'")
    (warning,) = loaded(text).warnings
    assert str(warning).startswith("models.providers.other.apiKey: looks like the name of an environment variable")
    assert loaded(text, {"OTHER_API_KEY": "k"}).warnings == ()
    assert loaded(file("{defaults:{model:'other/z'}}", "'lmstudio'")).warnings == ()


@pytest.mark.parametrize("text", ["${env:TOKEN}", " ${env.TOKEN} ", "${secret:TOKEN}", "${process.env.TOKEN}"])
def test_a_reference_in_the_form_of_another_program_is_no_token(refused, text):
    assert refused(f"{{gateway:{{auth:{{token:'{text}'}}}}}}", {"TOKEN": "a"}) == (
        "gateway.auth.token: is no reference to an environment variable; write ${TOKEN}",
    )


@pytest.mark.parametrize(
    "text",
    ["{env:OTHER_KEY}", "${env:OTHER_KEY}", "$OTHER_KEY", "env:OTHER_KEY", "process.env.OTHER_KEY", "%OTHER_KEY%"],
)
def test_such_a_text_as_the_key_of_a_provider_is_a_warning(loaded, text):
    result = loaded(file("{defaults:{model:'other/z'}}", f"'{text}'"))
    assert [str(warning) for warning in result.warnings] == [
        "models.providers.other.apiKey: is no reference to an environment variable; write ${OTHER_KEY}"
    ]


def test_two_bad_values_of_one_model_do_not_hide_its_provider(refused):
    text = "{models:{providers:{p:{baseUrl:'http://h/v1',models:[{id:'m',maxTokens:0,contextWindow:0}]}}}}"
    problems = refused(text, checks=(lambda config, _: [] if "p" in config.models.providers else ["gone"],))
    assert [problem.partition(":")[0] for problem in problems] == [
        "models.providers.p.models[0].contextWindow",
        "models.providers.p.models[0].maxTokens",
    ]
