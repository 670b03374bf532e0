import json

import pytest
from msgspec.structs import replace

from gateway.core.message import Extras, Message, Text
from gateway.core.params import layered, split, with_params
from gateway.core.turn import Options, Sampling, Turn
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
    extras = Extras("openai-completions", {"logit_bias": {}, "min_p": 1})
    changed = with_params(Turn("openclaw", HELLO, extras=extras), {"min_p": 5, "chat_template_kwargs": {}})
    assert (changed.extras, changed.params) == (extras, {"min_p": 5, "chat_template_kwargs": {}})
    sent = json.loads(build_request(changed, ModelSpec("m")))
    assert (sent["min_p"], sent["chat_template_kwargs"], sent["logit_bias"]) == (1, {}, {})


@pytest.mark.parametrize(
    ("params", "options"),
    [
        ({"thinking": "low"}, Options(effort="low")),
        ({"reasoning_effort": "xhigh"}, Options(effort="xhigh")),
        ({"thinking": "Off"}, Options(effort="none")),
        ({"think": False}, Options(effort="none")),
        ({"parallel_tool_calls": False}, Options(parallel_tool_calls=False)),
        ({"service_tier": "flex", "verbosity": "low"}, Options(service_tier="flex", verbosity="low")),
        ({"safety_identifier": "u", "top_k": 3}, Options(end_user="u", top_k=3)),
    ],
)
def test_settings_that_a_turn_has_a_field_for_are_no_fields_of_the_provider(params, options):
    changed = with_params(turn(), params)
    assert (changed.options, changed.params) == (options, None)
    own = replace(turn(), options=Options("high", 5, None, "high", True, None, None, 9, "auto", None, None, "own"))
    assert with_params(own, params).options == own.options


@pytest.mark.parametrize("value", [True, {"type": "enabled"}, 5])
def test_a_field_of_the_providers_own_with_the_name_of_an_effort_stays(value):
    assert with_params(turn(), {"thinking": value}).params == {"thinking": value}
    assert split({"thinking": value, "maxTokens": 1}) == ({"maxTokens": 1}, {"thinking": value})


def test_params_that_fill_in_what_others_left_open_do_not_replace_theirs():
    first = with_params(turn(), {"temperature": 0.1, "a": 1, "thinking": "low"})
    changed = with_params(first, {"temperature": 0.9, "seed": 3, "a": 2, "b": 2, "reasoning_effort": "high"})
    assert changed.sampling == Sampling(temperature=0.1, seed=3)
    assert (changed.params, changed.options.effort) == ({"a": 1, "b": 2}, "low")


def test_a_later_layer_wins_with_an_effort_under_another_name():
    assert layered({"thinking": "low", "a": 1}, {"reasoning_effort": "high"}) == {"a": 1, "reasoning_effort": "high"}
    assert layered({"think": "low"}, {"a": 1}) == {"think": "low", "a": 1}


def test_without_further_settings_the_clients_fields_are_unchanged():
    asked = Turn("openclaw", HELLO, extras=Extras("another", {"a": 1}))
    assert with_params(asked, {"temperature": 1}).extras is asked.extras
