import pytest

from gateway.agents.configured import directory_from
from gateway.agents.tool_limits import ToolLimits
from gateway.config.root import Config
from gateway.core.errors import ConfigError
from gateway.core.names import ModelRef
from gateway.tools.contract import Tool
from gateway.tools.registry import Registry
from gateway.upstream.provider import Provider

LOCAL = ModelRef("local", "e5")
PROVIDERS = {
    "p": Provider("p", "http://p/v1"),
    "v": Provider("v", "http://v/v1", embedding_model="v-vectors"),
    "w": Provider("w", "http://w/v1", embedding_model="w-vectors"),
}
CHAIN = {"model": {"primary": "p/a", "fallbacks": ["q/b"]}}


class Server:
    available = True

    def __init__(self, name, *tools):
        self.name = name
        self.tools = tuple(Tool(tool, None, {}) for tool in tools)


REGISTRY = Registry([Server("a", "read", "write"), Server("b", "read")])
FAST = {"models": {"p/tiny": {"alias": "Fast"}}}


def ref(text):
    provider, _, model = text.partition("/")
    return ModelRef(provider, model)


@pytest.fixture
def directory(tmp_path, clock):
    """The agents of a configuration; agents not named get a model from the defaults."""

    def build(defaults=None, entries=None, fallback_embedding=LOCAL, default="main", registry=None, **sections):
        agents = {
            "default": default,
            "defaults": {"model": "p/m", **(defaults or {})},
            "entries": entries or {"main": {}},
        }
        config = Config.model_validate({"agents": agents, **sections})
        return directory_from(
            config, PROVIDERS, state=tmp_path, clock=clock, fallback_embedding=fallback_embedding, tools=registry
        )

    return build


@pytest.fixture
def main(directory):
    def build(defaults=None, entry=None, **sections):
        return directory(defaults, {"main": entry or {}}, **sections).default

    return build


@pytest.mark.parametrize(
    ("defaults", "entry", "chain"),
    [
        ({"model": "p/a"}, {}, ["p/a"]),
        ({"model": {"primary": "p/a", "fallbacks": ["q/b", "r/c"]}}, {}, ["p/a", "q/b", "r/c"]),
        ({"model": {"primary": "p/a", "fallbacks": ["p/a", "q/b", "Q/b"]}}, {}, ["p/a", "q/b"]),
        (CHAIN, {"model": "r/c"}, ["r/c"]),
        (CHAIN, {"model": {"primary": "r/c", "fallbacks": ["s/d"]}}, ["r/c", "s/d"]),
        (CHAIN, {"model": {"fallbacks": ["s/d"]}}, ["p/a", "s/d"]),
        ({"model": "gpt"}, {}, ["openai/gpt"]),
        ({"model": "fast", **FAST}, {}, ["p/tiny"]),
        ({"model": {"primary": "p/a", "fallbacks": ["FAST"]}, **FAST}, {}, ["p/a", "p/tiny"]),
        ({"model": "fast", **FAST}, {"models": {"q/own": {"alias": "fast"}}}, ["q/own"]),
    ],
)
def test_the_chain_is_the_agents_own_model_or_the_defaults(main, defaults, entry, chain):
    assert main(defaults, entry).candidates == tuple(ref(name) for name in chain)


def test_a_default_alias_survives_an_agents_settings_for_the_model(main):
    agent = main(FAST, {"models": {"p/tiny": {"params": {"seed": 1}}}})
    assert agent.aliases == {"fast": ref("p/tiny")}


@pytest.mark.parametrize(
    ("defaults", "entry", "allowed", "refused"),
    [
        ({}, {}, ["p/m", "x/y"], []),
        ({"modelPolicy": {"allow": []}}, {}, ["x/y"], []),
        ({"modelPolicy": {"allow": ["p/m", "q/*"]}}, {}, ["p/m", "q/n", "q/o"], ["p/n", "r/m"]),
        ({"modelPolicy": {"allow": ["P/m", "Q/*"]}}, {}, ["p/m", "q/n"], ["p/M"]),
        ({"modelPolicy": {"allow": ["q/maker/*"]}}, {}, ["q/maker/n"], ["q/maker", "q/makers/n", "q/n"]),
        ({"modelPolicy": {"allow": ["gpt"]}}, {}, ["openai/gpt"], ["p/gpt"]),
        ({"modelPolicy": {"allow": ["p/m"]}}, {"modelPolicy": {"allow": ["q/n"]}}, ["q/n"], ["p/m"]),
        ({"modelPolicy": {"allow": ["p/m"]}}, {"modelPolicy": {"allow": []}}, ["p/m", "q/n"], []),
        ({"modelPolicy": {"allow": ["Fast"]}, **FAST}, {}, ["p/tiny"], ["p/m"]),
    ],
)
def test_the_policy_names_models_providers_or_aliases(main, defaults, entry, allowed, refused):
    agent = main(defaults, entry)
    assert [name for name in (*allowed, *refused) if agent.allows(ref(name))] == allowed


def test_params_of_the_agent_win_over_the_defaults(main):
    agent = main({"params": {"temperature": 1, "seed": 1}}, {"params": {"seed": 2}})
    assert agent.params == {"temperature": 1, "seed": 2}


@pytest.mark.parametrize(
    ("defaults", "entry", "streaming"),
    [
        ({}, {}, "auto"),
        ({"upstreamStreaming": "always"}, {}, "always"),
        ({}, {"upstreamStreaming": "never"}, "never"),
        ({"upstreamStreaming": "always"}, {"upstreamStreaming": "auto"}, "auto"),
    ],
)
def test_streaming_is_the_agents_own_choice_or_the_default(main, defaults, entry, streaming):
    assert main(defaults, entry).upstream_streaming == streaming


async def test_prompts_are_the_agents_own_or_the_default(directory):
    agents = directory(
        {"systemPrompt": "all"}, {"main": {}, "own": {"systemPrompt": "own"}, "none": {"systemPrompt": ""}}
    ).agents
    assert [await agent.prompt.text("webchat") for agent in agents] == ["all", "own", ""]


async def test_each_agent_has_a_workspace_below_the_state_directory_unless_it_names_one(directory, tmp_path):
    for folder in ("workspace", "workspace-b", "shared", "own"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "SOUL.md").write_text(folder, encoding="utf-8")
    entries = {"main": {}, "b": {}, "c": {"workspace": str(tmp_path / "own")}}
    agents = directory({}, entries).agents
    assert [await agent.prompt.text("webchat") for agent in agents] == [
        f"# SOUL.md\n\n{folder}" for folder in ("workspace", "workspace-b", "own")
    ]
    shared = directory({"workspace": str(tmp_path / "shared")}, entries).agents
    assert [await agent.prompt.text("webchat") for agent in shared] == [
        f"# SOUL.md\n\n{folder}" for folder in ("shared", "shared", "own")
    ]


async def test_caps_are_the_agents_own_or_the_defaults(directory, tmp_path):
    (tmp_path / "workspace").mkdir()
    (tmp_path / "workspace" / "SOUL.md").write_text("x" * 1000, encoding="utf-8")
    for defaults, entry, length in (
        ({"bootstrapMaxChars": 500}, {}, 500),
        ({"bootstrapMaxChars": 500}, {"bootstrapMaxChars": 300}, 300),
        ({"bootstrapTotalMaxChars": 400}, {}, 400),
        ({}, {}, 1000),
    ):
        text = await directory(defaults, {"main": entry}).default.prompt.text("webchat")
        assert len(text.removeprefix("# SOUL.md\n\n")) == length


@pytest.mark.parametrize(
    ("search", "of_all", "own", "embedding", "dimensions"),
    [
        ({}, {}, {}, "v/v-vectors", None),
        ({"provider": "w"}, {}, {}, "w/w-vectors", None),
        ({"provider": "W"}, {}, {}, "w/w-vectors", None),
        ({"provider": "local"}, {}, {}, "local/e5", None),
        ({"provider": "p"}, {}, {}, None, None),
        ({"provider": "w", "model": "x"}, {}, {}, "w/x", None),
        ({"provider": "w", "model": "a/b"}, {}, {}, "w/a/b", None),
        ({"model": "x"}, {}, {}, "v/x", None),
        ({"model": "w/x"}, {}, {}, "w/x", None),
        ({"provider": "w"}, {"provider": "v"}, {}, "v/v-vectors", None),
        ({"provider": "v"}, {"provider": "v"}, {"provider": "w"}, "w/w-vectors", None),
        ({"provider": "w", "model": "x", "outputDimensionality": 64}, {}, {"provider": "v"}, "v/v-vectors", None),
        ({"provider": "w", "model": "x"}, {"model": "y"}, {}, "w/y", None),
        ({"outputDimensionality": 64}, {}, {}, "v/v-vectors", 64),
        ({"outputDimensionality": 64}, {}, {"outputDimensionality": 32}, "v/v-vectors", 32),
    ],
)
def test_embeddings_come_from_the_nearest_setting_that_names_a_provider(
    main, search, of_all, own, embedding, *, dimensions
):
    agent = main({"model": "v/m", "memory": {"search": of_all}}, {"memory": {"search": own}}, memory={"search": search})
    assert (agent.embedding and str(agent.embedding), agent.embedding_dimensions) == (embedding, dimensions)


def test_the_older_name_of_an_agents_embedding_settings_is_read(main):
    agent = main({}, {"memorySearch": {"model": "x"}}, memory={"search": {"provider": "w"}})
    assert str(agent.embedding) == "w/x"


def test_an_agent_whose_provider_cannot_embed_uses_the_embedded_model(main):
    assert main().embedding == LOCAL


def test_without_an_embedded_model_there_may_be_no_embeddings(main):
    assert main(fallback_embedding=None).embedding is None


def test_every_agent_without_a_model_is_named(tmp_path, clock):
    config = Config.model_validate({"agents": {"entries": {"main": {}, "b": {"model": "p/m"}, "c": {}}}})
    with pytest.raises(ConfigError) as caught:
        directory_from(config, PROVIDERS, state=tmp_path, clock=clock, fallback_embedding=None)
    assert [problem.partition(":")[0] for problem in caught.value.problems] == [
        *("agents.entries.main.model", "agents.entries.c.model")
    ]


def test_the_first_of_several_agents_answers_where_nothing_names_a_default_one(directory):
    assert directory({}, {"b": {}, "a": {}}, default=None).default.id == "b"


@pytest.mark.parametrize(
    ("top", "defaults", "entry", "offered"),
    [
        ({}, {}, {}, ["a__read", "a__write", "b__read"]),
        ({"allow": ["*__read"]}, {}, {}, ["a__read", "b__read"]),
        ({"allow": ["*__read"]}, {}, {"tools": {"allow": ["a__*"]}}, ["a__read"]),
        ({}, {"tools": {"deny": ["b__*"]}}, {}, ["a__read", "a__write"]),
        ({}, {"tools": {"deny": ["b__*"]}}, {"tools": {"deny": ["a__read"]}}, ["a__write", "b__read"]),
        ({"deny": ["*"]}, {}, {}, None),
        ({}, {}, {"tools": {"profile": "minimal"}}, None),
        ({"profile": "minimal"}, {}, {"tools": {"allow": ["a__*"]}}, None),
        ({"profile": "coding"}, {}, {"tools": {"allow": ["b__*"]}}, ["b__read"]),
    ],
)
def test_an_agent_may_run_what_every_level_allows(main, top, defaults, entry, offered):
    toolset = main(defaults, entry, tools=top, registry=REGISTRY).toolset
    assert (toolset and [spec.name for spec in toolset.offer().specs]) == offered


def test_the_bounds_of_tool_rounds_are_in_seconds(main):
    assert main(tools={"maxRounds": 3, "timeoutMs": 1500}).tool_limits == ToolLimits(3, 1.5)
