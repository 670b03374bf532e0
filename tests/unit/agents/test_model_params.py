import pytest

from gateway.agents.configured import directory_from
from gateway.config.root import Config
from gateway.core.names import ModelRef
from gateway.upstream.provider import Provider
from gateway.wire.model import ModelSpec

REASONS = {"m": ModelSpec("m", reasoning=True), "plain": ModelSpec("plain")}
PROVIDERS = {
    "p": Provider("p", "http://p/v1", models=REASONS),
    "o": Provider("o", "http://o", wire="ollama", models=REASONS),
}


@pytest.fixture
def params_for(tmp_path, clock):
    def build(defaults, entry=None):
        agents = {"defaults": {"model": "p/m", **defaults}, "entries": {"main": entry or {}}}
        config = Config.model_validate({"agents": agents})
        agent = directory_from(config, PROVIDERS, state=tmp_path, clock=clock, fallback_embedding=None).default

        def of(name: str):
            provider, _, model = name.partition("/")
            return agent.params_for(ModelRef(provider, model))

        return of

    return build


def test_the_order_of_layers_is_openclaws(params_for):
    of = params_for(
        {"params": {"a": 1, "b": 1, "c": 1, "d": 1}, "models": {"p/m": {"params": {"b": 2, "c": 2, "d": 2}}}},
        {"params": {"d": 4}, "models": {"p/m": {"params": {"c": 3, "d": 3}}}},
    )
    assert of("p/m") == {"a": 1, "b": 2, "c": 3, "d": 4}
    assert of("p/other") == {"a": 1, "b": 1, "c": 1, "d": 4}


def test_an_entry_holds_under_every_id_of_the_provider(params_for):
    of = params_for({"models": {"z.ai/glm": {"params": {"a": 1}}, "kimi/k": {"params": {"b": 1}}}})
    assert of("zai/glm") == of("z-ai/glm") == of("z.ai/glm") == {"a": 1}
    assert of("kimi-coding/k") == {"b": 1}
    assert of("zai/other") == {}


def test_a_level_of_thinking_beside_params_is_one_of_them(params_for):
    of = params_for({"models": {"p/a": {"thinking": "low"}, "p/b": {"thinking": "low", "params": {"think": "high"}}}})
    assert (of("p/a"), of("p/b")) == ({"thinking": "low"}, {"think": "high"})


@pytest.mark.parametrize(
    ("level", "model", "params"),
    [
        ("high", "p/m", {"reasoning_effort": "high"}),
        ("high", "p/plain", {}),
        ("off", "p/m", {}),
        ("off", "o/m", {"reasoning_effort": "off"}),
    ],
)
def test_a_default_level_holds_for_models_of_the_agent_that_reason(params_for, level, model, params):
    assert params_for({"thinkingDefault": level, "model": model})(model) == params
    assert params_for({"thinkingDefault": "max", "model": model}, {"thinkingDefault": level})(model) == params
    assert params_for({"thinkingDefault": level, "model": model, "params": {"thinking": "low"}})(model) == {
        "thinking": "low"
    }
