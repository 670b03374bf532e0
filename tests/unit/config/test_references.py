"""Names of agents; those of providers and models are checked in `gateway.validation`."""

import pytest


def test_a_limit_names_agents_that_exist(refused):
    text = "{gateway:{limits:[{agents:['mian'],concurrentRuns:1}]},agents:{entries:{main:{}}}}"
    assert refused(text) == ("gateway.limits[0].agents[0]: there is no agent 'mian'; did you mean 'main'?",)


@pytest.mark.parametrize("name", ["a/b", " ", "a b"])
def test_a_provider_id_has_no_slash_or_space(refused, name: str):
    (problem,) = refused(f"{{models:{{providers:{{'{name}':{{}}}}}}}}")
    assert "is not a provider id" in problem


def test_a_provider_id_is_lower_case_and_unique(loaded, refused):
    assert list(loaded("{models:{providers:{Mock:{baseUrl:'http://h'}}}}").config.models.providers) == ["mock"]
    (problem,) = refused("{models:{providers:{Mock:{},mock:{}}}}")
    assert problem.startswith("models.providers: holds the same id twice")


def test_a_rule_of_a_higher_layer_adds_its_problems_to_all_others(refused):
    def no_agents(config, env):
        from gateway.config.problems import Problem  # noqa: PLC0415

        yield Problem("agents", f"are {len(config.agents.entries)}, with {env['A']}")

    problems = refused("{gateway:{port:0},env:{vars:{A:'one'}}}", checks=[no_agents])
    assert problems == ("gateway.port: must be at least 1", "agents: are 1, with one")
