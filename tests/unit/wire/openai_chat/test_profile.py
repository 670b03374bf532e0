import json

import pytest

from gateway.config.providers import CompatConfig, ModelsConfig
from gateway.core.message import Message, Text
from gateway.core.turn import Options, Turn
from gateway.upstream.catalog import CATALOG
from gateway.upstream.configured import providers_from
from gateway.wire.model import ModelSpec
from gateway.wire.openai_chat.ingress import ChatIngress
from gateway.wire.openai_chat.profile import DEFAULT, Profile, profile_from, profile_of
from gateway.wire.openai_chat.request import build_request


def test_a_quirk_that_is_not_given_keeps_its_default():
    assert profile_from({"supports_developer_role": True, "supports_tool_choice": None}) == Profile(developer_role=True)


def test_quirks_of_other_formats_and_of_the_gateway_are_ignored():
    assert profile_from({"telepathy": True, "supports_tools": False, "accepts_prefill": True}) == DEFAULT


def test_a_model_without_a_profile_has_the_one_that_suits_every_server():
    assert profile_of(ModelSpec("m")) is DEFAULT
    assert (DEFAULT.developer_role, DEFAULT.embedding_base64, DEFAULT.max_tokens_field) == (False, False, "max_tokens")


@pytest.mark.parametrize("name", sorted(CATALOG))
def test_quirks_of_the_catalogue_are_ones_that_can_be_configured(name):
    assert CATALOG[name].quirks.keys() <= CompatConfig.model_fields.keys()


@pytest.mark.parametrize(
    ("quirks", "sent"),
    [
        ({}, "xhigh"),
        ({"supports_reasoning_effort": False}, None),
        ({"supported_reasoning_efforts": ("low", "high")}, "high"),
        ({"reasoning_effort_map": {"xhigh": "max"}}, "max"),
    ],
)
def test_an_effort_is_one_that_the_model_accepts(quirks, sent):
    turn = Turn("m", (Message("user", (Text("hi"),)),), options=Options(effort="xhigh"))
    body = json.loads(build_request(turn, ModelSpec("m", profile=profile_from(quirks))))
    assert body.get("reasoning_effort") == sent


ROUTING = {"only": ["deepinfra"], "data_collection": "deny"}


@pytest.mark.parametrize(
    ("quirk", "fields"),
    [
        ("open_router_routing", {"provider": ROUTING}),
        ("vercel_gateway_routing", {"providerOptions": {"gateway": ROUTING}}),
    ],
)
@pytest.mark.parametrize("others", [{}, {"supports_unknown_fields": False}])
def test_no_client_changes_the_servers_that_the_operator_lets_answer(quirk, fields, others):
    hostile = {"provider": {"only": ["elsewhere"]}, "providerOptions": {"gateway": {"only": ["elsewhere"]}}}
    body = json.dumps({"model": "m", "messages": [{"role": "user", "content": "hi"}], **hostile})
    turn = ChatIngress.read(body.encode()).turn()
    sent = json.loads(build_request(turn, ModelSpec("m", profile=profile_from({quirk: ROUTING, **others}))))
    assert sent.items() >= fields.items()


@pytest.mark.parametrize(("effort", "sent"), [("none", "low"), ("medium", "high"), ("xhigh", "deep"), ("high", "high")])
def test_a_configured_map_of_levels_decides_the_effort_and_the_map_of_efforts_wins(effort, sent):
    levels = {"off": "low", "minimal": None, "low": None, "medium": None, "xhigh": "high"}
    row = {"id": "m", "thinkingLevelMap": levels, "compat": {"reasoningEffortMap": {"xhigh": "deep"}}}
    config = {"providers": {"p": {"baseUrl": "http://p.test/v1", "models": [row]}}}
    model = providers_from(ModelsConfig.model_validate(config), {})["p"].model("m")
    turn = Turn("m", (Message("user", (Text("hi"),)),), options=Options(effort=effort))
    assert json.loads(build_request(turn, model))["reasoning_effort"] == sent
