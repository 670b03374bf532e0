import pytest

from gateway.config.root import Config


def agents(loaded, text: str):
    return loaded(f"{{agents:{text}}}").config.agents


def test_without_entries_there_is_one_agent_called_main(loaded):
    result = agents(loaded, "{}")
    assert list(result.entries) == ["main"]
    assert result.default == "main"
    assert list(Config().agents.entries) == ["main"]


@pytest.mark.parametrize(
    ("text", "default"),
    [
        ("{entries:{only:{}}}", "only"),
        ("{entries:{a:{},main:{}}}", "main"),
        ("{entries:{a:{},Main:{}}}", "main"),
        ("{entries:{a:{default:true},main:{}}}", "a"),
        ("{default:'B',entries:{a:{default:true},b:{}}}", "b"),
        ("{list:[{id:'a'},{id:'b',default:true}]}", "b"),
    ],
)
def test_the_default_agent_is_the_named_the_marked_the_only_or_main(loaded, text: str, default: str):
    assert agents(loaded, text).default == default


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{default:'man',entries:{main:{}}}", "there is no agent 'man'; did you mean 'main'?"),
        ("{default:'zz',entries:{main:{}}}", "there is no agent 'zz'; add it to agents.entries"),
    ],
)
def test_a_default_agent_that_does_not_exist_is_refused(refused, text: str, problem: str):
    assert refused(f"{{agents:{text}}}") == (f"agents.default: {problem}",)


@pytest.mark.parametrize(
    ("text", "default"),
    [
        ("{entries:{b:{},a:{}}}", "b"),
        ("{list:[{id:'b'},{id:'a'}]}", "b"),
        ("{entries:{a:{},b:{default:true},c:{default:true}}}", "b"),
        ("{ownership:'explicit',entries:{ops:{},home:{}}}", "ops"),
    ],
)
def test_where_nothing_decides_the_first_agent_of_the_file_is_the_default_one(loaded, text: str, default: str):
    result = agents(loaded, text)
    assert (result.default, result.default_id) == (None, default)


@pytest.mark.parametrize(
    "text",
    [
        "{defaults:{systemAgent:{agentId:'Ops'}},entries:{home:{},ops:{}}}",
        "{defaults:{systemAgent:{agentId:'ops'}},entries:{main:{default:true},ops:{}}}",
        "{default:'ops',defaults:{systemAgent:{agentId:'home'}},entries:{home:{},ops:{}}}",
    ],
)
def test_the_system_agent_is_the_default_one_unless_the_file_names_another(loaded, text: str):
    assert agents(loaded, text).default_id == "ops"


def test_a_system_agent_that_does_not_exist_is_refused_at_its_path(refused):
    assert refused("{agents:{defaults:{systemAgent:{agentId:'opz'}},entries:{ops:{},home:{}}}}") == (
        "agents.defaults.systemAgent.agentId: there is no agent 'opz'; did you mean 'ops'?",
    )


def test_the_older_list_joins_the_entries_in_order(loaded):
    result = agents(loaded, "{list:[{id:'Home',name:'H'},{id:'work',model:'p/m'}],entries:{extra:{}},default:'home'}")
    assert list(result.entries) == ["home", "work", "extra"]
    assert result.entries["home"].name == "H"
    assert result.older_list == ()


@pytest.mark.parametrize(
    "text", ["{list:[{id:'a'},{id:'A'}]}", "{list:[{id:'a'}],entries:{a:{}}}", "{entries:{A:{},a:{}}}"]
)
def test_one_id_twice_is_refused(refused, text: str):
    assert refused(f"{{agents:{text}}}") == (
        "agents: holds the same id twice; write every agent once, under agents.entries",
    )


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("{list:[{id:'a'},{name:'x'}]}", "agents.list[1].id"),
        ("{list:[{id:'a'},7]}", "agents.list[1]"),
        ("{list:{a:{}}}", "agents.list"),
        ("{list:[{id:'a',timeoutSeconds:'x'}]}", "agents.entries.a.timeoutSeconds"),
        ("{list:[{id:'a'}],entries:7}", "agents.entries"),
    ],
)
def test_a_malformed_list_is_reported(refused, text: str, path: str):
    (problem,) = refused(f"{{agents:{text}}}")
    assert problem.startswith(f"{path}: ")


@pytest.mark.parametrize("name", ["a b", "-a", "ä", "a" * 65, "a/b"])
def test_a_malformed_id_is_refused(refused, name: str):
    (problem,) = refused(f"{{agents:{{entries:{{'{name}':{{}}}}}}}}")
    assert "is not an agent id" in problem


def test_ids_are_lower_case(loaded):
    assert list(agents(loaded, "{entries:{RESEARCH:{}}}").entries) == ["research"]


@pytest.mark.parametrize(
    ("model", "primary", "fallbacks"),
    [
        ("'p/m'", "p/m", ()),
        ("{primary:'p/m'}", "p/m", ()),
        ("{primary:'p/m',fallbacks:['q/n','r/o'],timeoutMs:5}", "p/m", ("q/n", "r/o")),
        ("{fallbacks:['q/n']}", None, ("q/n",)),
    ],
)
def test_a_model_is_a_name_or_a_chain(loaded, model: str, primary: str | None, fallbacks: tuple[str, ...]):
    choice = agents(loaded, f"{{defaults:{{model:{model}}}}}").defaults.model
    assert (choice.primary, choice.fallbacks) == (primary, fallbacks)


@pytest.mark.parametrize("model", ["''", "{primary:''}", "7", "[]"])
def test_a_model_that_names_nothing_is_refused(refused, model: str):
    (problem,) = refused(f"{{agents:{{defaults:{{model:{model}}}}}}}")
    assert problem.startswith("agents.defaults.model")


def test_settings_have_the_defaults_of_openclaw(loaded):
    settings = agents(loaded, "{}").defaults
    assert (settings.bootstrap_max_chars, settings.bootstrap_total_max_chars) == (20_000, 60_000)
    assert (settings.timeout_seconds, settings.skip_bootstrap, settings.upstream_streaming) == (None, False, "auto")
    assert settings.model_policy.allow is None


def test_settings_are_read(loaded):
    text = """{defaults:{models:{'p/m':{alias:'fast',params:{temperature:0},agentRuntime:{}}},
        modelPolicy:{allow:['p/*']},params:{a:1},workspace:'~/w',timeoutSeconds:0,upstreamStreaming:'always'}}"""
    settings = agents(loaded, text).defaults
    assert settings.models["p/m"].alias == "fast"
    assert settings.models["p/m"].params == {"temperature": 0}
    assert settings.model_policy.allow == ("p/*",)
    assert (settings.params, settings.workspace, settings.timeout_seconds) == ({"a": 1}, "~/w", 0)
    assert settings.upstream_streaming == "always"


@pytest.mark.parametrize("spelling", ["memory:{search:{model:'e',store:{}}}", "memorySearch:{model:'e',sync:{}}"])
def test_an_agent_may_have_its_own_embedding_model_under_either_name(loaded, spelling: str):
    entry = agents(loaded, f"{{entries:{{main:{{{spelling}}}}}}}").entries["main"]
    assert entry.embedding.model == "e"


def test_without_an_embedding_model_of_its_own_an_agent_has_none(loaded):
    assert agents(loaded, "{}").entries["main"].embedding is None
