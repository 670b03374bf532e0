import pytest

from gateway.core.turn import Options, Turn
from gateway.wire.efforts import asks_to_reason, map_of_levels, nearest_effort
from gateway.wire.model import ModelSpec


@pytest.mark.parametrize(
    ("effort", "supported", "nearest"),
    [
        ("low", ("low", "high"), "low"),
        ("medium", ("low", "high"), "high"),  # the higher of two that are as near
        ("minimal", ("medium", "high"), "medium"),
        ("max", ("low", "medium"), "medium"),
        ("dynamic", ("low",), "dynamic"),
        ("low", (), "low"),
        ("low", ("custom",), "low"),
    ],
)
def test_an_effort_becomes_the_nearest_one_that_the_model_knows(effort, supported, nearest):
    assert nearest_effort(effort, supported) == nearest


@pytest.mark.parametrize(
    ("options", "agent", "model", "asks"),
    [
        ({}, None, None, False),
        ({"effort": "low"}, None, None, True),
        ({"effort": "none"}, {"thinking": "high"}, None, False),  # the client's word counts
        ({"thinking_budget": 1024}, None, None, True),
        ({"thinking_budget": 0}, None, {"reasoning_effort": "high"}, False),
        ({}, {"thinking": "medium"}, None, True),
        ({}, {"thinking": "off"}, {"thinking": "high"}, False),  # the agent's setting replaces the model's
        ({}, None, {"reasoning_effort": "high"}, True),
        ({}, None, {"reasoning": {"effort": "high"}}, True),
        ({}, None, {"think": True}, True),
        ({}, None, {"think": False}, False),
        ({}, None, {"reasoning_effort": None, "temperature": 1}, False),
    ],
)
def test_a_request_asks_to_reason_in_the_clients_or_the_operators_words(options, agent, model, asks):
    turn = Turn("openclaw", (), options=Options(**options), params=agent)
    assert asks_to_reason(turn, ModelSpec("m", params=model)) is asks


@pytest.mark.parametrize(
    ("levels", "sent"),
    [
        ({"off": "low", "minimal": "low", "xhigh": "high"}, {"none": "low", "minimal": "low", "xhigh": "high"}),
        ({"minimal": None, "low": None, "high": "high"}, {"minimal": "medium", "low": "medium", "high": "high"}),
        ({"off": None, "minimal": "low"}, {"none": "low", "minimal": "low"}),
        ({"off": None, "minimal": None}, {"none": "low", "minimal": "low"}),
        ({"xhigh": None, "max": "ultra"}, {"xhigh": "ultra", "max": "ultra"}),
        ({}, {}),
    ],
)
def test_a_level_that_the_model_lacks_becomes_the_word_of_the_nearest(levels, sent):
    assert map_of_levels(levels) == sent
