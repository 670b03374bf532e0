import json

import pytest

from gateway.agents.params import with_params
from gateway.core.message import Extras, Message, Text
from gateway.core.turn import Sampling, Turn
from gateway.wire.model import ModelSpec
from gateway.wire.openai_chat.request import build_request

HELLO = (Message("user", (Text("hi"),)),)


def turn(**settings):
    return Turn("openclaw", HELLO, sampling=Sampling(**settings))


@pytest.mark.parametrize(
    ("params", "field", "value"),
    [
        ({"temperature": 0.5}, "temperature", 0.5),
        ({"temperature": 0}, "temperature", 0),
        ({"topP": 0.5}, "top_p", 0.5),
        ({"top_p": 0.5}, "top_p", 0.5),
        ({"frequencyPenalty": 1}, "frequency_penalty", 1),
        ({"presence_penalty": 1}, "presence_penalty", 1),
        ({"seed": 7}, "seed", 7),
        ({"maxTokens": 99}, "max_tokens", 99),
        ({"max_tokens": 99}, "max_tokens", 99),
    ],
)
def test_the_agents_setting_applies_in_either_spelling(params, field, value):
    changed = with_params(turn(), params)
    assert getattr(changed.sampling, field) == value
    assert changed.messages == HELLO


def test_the_clients_own_setting_wins():
    assert with_params(turn(temperature=0, max_tokens=1), {"temperature": 1, "maxTokens": 2}).sampling == Sampling(
        temperature=0, max_tokens=1
    )


def test_other_settings_go_to_the_provider_below_the_clients_own():
    extras = Extras("openai-completions", {"logit_bias": {}, "top_k": 1})
    changed = with_params(Turn("openclaw", HELLO, extras=extras), {"top_k": 5, "reasoning_effort": "low"})
    assert (changed.extras, changed.params) == (extras, {"top_k": 5, "reasoning_effort": "low"})
    sent = json.loads(build_request(changed, ModelSpec("m")))
    assert (sent["top_k"], sent["reasoning_effort"], sent["logit_bias"]) == (1, "low", {})


def test_without_further_settings_the_clients_fields_are_unchanged():
    asked = Turn("openclaw", HELLO, extras=Extras("another", {"a": 1}))
    assert with_params(asked, {"temperature": 1}).extras is asked.extras
