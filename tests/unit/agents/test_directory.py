import pytest

from gateway.agents.directory import Directory
from gateway.core.errors import AgentNotAllowed, BadRequest, NotFound
from gateway.core.identity import OWNER, Principal


@pytest.fixture
def directory(agent):
    return Directory([agent("alpha"), agent("main"), agent("beta_2")], "main")


@pytest.mark.parametrize(
    ("model", "selected", "agent_id"),
    [
        ("openclaw", None, "main"),
        ("openclaw/default", None, "main"),
        ("  OpenClaw  ", None, "main"),
        ("", None, "main"),
        ("  ", None, "main"),
        ("openclaw/alpha", None, "alpha"),
        ("openclaw:alpha", None, "alpha"),
        ("agent:alpha", None, "alpha"),
        ("AGENT:ALPHA", None, "alpha"),
        ("openclaw/main", None, "main"),
        ("agent:beta_2", None, "beta_2"),
        ("openclaw", "alpha", "alpha"),
        ("openclaw", "ALPHA", "alpha"),
        ("openclaw/beta_2", "alpha", "alpha"),
        ("openclaw/nope", "alpha", "alpha"),
        ("", "alpha", "alpha"),
    ],
)
def test_an_agent_is_addressed_by_every_recorded_name(directory, model, selected, agent_id):
    assert directory.resolve(model, selected, OWNER).id == agent_id


@pytest.mark.parametrize(
    ("model", "selected", "message", "param"),
    [
        ("gpt-4", None, "Invalid `model`. Use `openclaw` or `openclaw/<agentId>`.", "model"),
        ("gpt-4", "alpha", "Invalid `model`.", "model"),
        ("openclaw/", None, "Invalid `model`.", "model"),
        ("openclaw/nope", None, "Unknown agent 'nope'.", "model"),
        ("openclaw:default", None, "Unknown agent 'default'.", "model"),
        ("agent:default", None, "Unknown agent 'default'.", "model"),
        ("openclaw", "nope", "Unknown agent 'nope'.", "x-openclaw-agent-id"),
        ("openclaw", "no pe", "Unknown agent 'no pe'.", "x-openclaw-agent-id"),
        ("openclaw", "default", "Unknown agent 'default'.", "x-openclaw-agent-id"),
    ],
)
def test_a_wrong_name_is_refused_with_its_parameter(directory, model, selected, message, param):
    with pytest.raises(BadRequest) as caught:
        directory.resolve(model, selected, OWNER)
    assert caught.value.message.startswith(message)
    assert caught.value.param == param


def test_a_long_wrong_name_is_cut_in_the_error(directory):
    with pytest.raises(BadRequest) as caught:
        directory.resolve("openclaw", "x" * 10_000, OWNER)
    assert len(caught.value.message) < 120


def test_the_list_has_the_general_names_then_the_default_agent_then_the_others_in_order(directory):
    body = directory.models(OWNER)
    assert body["object"] == "list"
    assert [model["id"] for model in body["data"]] == [
        *("openclaw", "openclaw/default", "openclaw/main", "openclaw/alpha", "openclaw/beta_2")
    ]
    assert body["data"][0] == {
        "id": "openclaw",
        "object": "model",
        "created": 0,
        "owned_by": "openclaw",
        "permission": [],
    }


def test_every_model_of_the_list_can_be_looked_up_and_addressed(directory):
    for model in directory.models(OWNER)["data"]:
        assert directory.model(model["id"], OWNER) == model
        assert directory.resolve(model["id"], None, OWNER).id == model["id"].removeprefix("openclaw/") or "main"


@pytest.mark.parametrize(
    ("model_id", "error", "message"),
    [
        ("", BadRequest, "Missing model id."),
        ("gpt-4", BadRequest, "Invalid model id."),
        ("openclaw/main/", BadRequest, "Invalid model id."),
        ("openclaw:main", NotFound, "Model 'openclaw:main' not found."),
        ("agent:main", NotFound, "Model 'agent:main' not found."),
        ("OpenClaw", NotFound, "Model 'OpenClaw' not found."),
        (" openclaw", NotFound, "Model ' openclaw' not found."),
        ("openclaw/nope", NotFound, "Model 'openclaw/nope' not found."),
    ],
)
def test_a_model_is_looked_up_by_its_exact_id(directory, model_id, error, message):
    with pytest.raises(error) as caught:
        directory.model(model_id, OWNER)
    assert caught.value.message.startswith(message)


@pytest.fixture
def restricted():
    return Principal("ci", frozenset({"operator.write"}), owner=False, shared_secret=False, agents=frozenset({"alpha"}))


def test_a_client_may_use_only_the_agents_of_its_key(directory, restricted):
    assert directory.resolve("openclaw/alpha", None, restricted).id == "alpha"
    for model, selected, param in (
        ("openclaw", None, "model"),
        ("", None, "model"),
        ("openclaw/beta_2", None, "model"),
        ("openclaw/alpha", "main", "x-openclaw-agent-id"),
    ):
        with pytest.raises(AgentNotAllowed) as caught:
            directory.resolve(model, selected, restricted)
        assert (caught.value.status, caught.value.param, caught.value.code) == (403, param, "agent_not_allowed")


def test_a_client_sees_only_the_agents_of_its_key(directory, restricted):
    assert [model["id"] for model in directory.models(restricted)["data"]] == ["openclaw/alpha"]
    assert directory.model("openclaw/alpha", restricted)["id"] == "openclaw/alpha"
    for model_id in ("openclaw", "openclaw/main"):
        with pytest.raises(NotFound):
            directory.model(model_id, restricted)
