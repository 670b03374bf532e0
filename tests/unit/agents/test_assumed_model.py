"""Configurations that name no model, as OpenClaw accepts them."""

from typing import Any

import pytest

from gateway.agents.assumed_model import AssumedModel, with_assumed_model
from gateway.config.root import Config

EMBEDDED = "local/small"
OWN = {"baseUrl": "http://own.example/v1", "models": [{"id": "own-embed"}, {"id": "own-chat"}]}


def assumed(env: dict[str, str] | None = None, **sections: Any) -> str | None:
    config = with_assumed_model(Config.model_validate(sections), env or {}, EMBEDDED)
    model = config.agents.defaults.model
    return model.primary if isinstance(model, AssumedModel) else None


def test_the_first_configured_provider_is_asked_for_its_first_chat_model():
    assert assumed({"OPENAI_API_KEY": "k"}, models={"providers": {"own": OWN}}) == "own/own-chat"


def test_a_configured_row_of_a_built_in_provider_is_asked_for_its_default_model():
    assert assumed(models={"providers": {"anthropic": {"apiKey": "k"}}}) == "anthropic/claude-opus-5"


@pytest.mark.parametrize("env", [{"ANTHROPIC_API_KEY": "k"}, {"ANTHROPIC_API_KEY": "k", "XAI_API_KEY": "k"}])
def test_a_key_in_the_environment_names_the_provider(env: dict[str, str]):
    assert assumed(env) == "anthropic/claude-opus-5"


def test_without_a_provider_and_a_key_the_embedded_model_answers_so_that_no_prompt_leaves():
    assert assumed() == EMBEDDED


def test_a_closed_list_of_providers_is_not_widened():
    sections = {"models": {"mode": "replace"}}
    assert (
        with_assumed_model(Config.model_validate(sections), {"OPENAI_API_KEY": "k"}, None).agents.defaults.model is None
    )


def test_nothing_is_assumed_where_every_agent_has_a_model():
    agents = {"entries": {"a": {"model": "x/y"}, "b": {"model": {"primary": "x/z"}}}}
    assert assumed(agents=agents) is None


def test_the_agents_without_a_model_and_the_fallbacks_of_the_file_are_completed():
    agents = {"defaults": {"model": {"fallbacks": ["x/y"]}}, "entries": {"a": {"model": "x/y"}, "b": {}}}
    config = with_assumed_model(Config.model_validate({"agents": agents}), {}, EMBEDDED)
    model = config.agents.defaults.model
    assert model is not None
    assert (model.primary, model.fallbacks) == (EMBEDDED, ("x/y",))
