"""`compat.thinkingFormat`: the field in which each kind of server expects the client's effort, and
`compat.requiresReasoningContentOnAssistantMessages`: the one that it expects back.
"""

import json
from typing import Any, get_args

import pytest

from gateway.config.providers import CompatConfig
from gateway.core.message import Extras, Message, Owner, Text, Thinking, ToolCall
from gateway.core.turn import Turn
from gateway.upstream.catalog import CATALOG
from gateway.upstream.model import model_from
from gateway.wire.anthropic_messages.ingress import MessagesIngress
from gateway.wire.model import ModelSpec
from gateway.wire.openai_chat import WIRE
from gateway.wire.openai_chat.ingress import ChatIngress
from gateway.wire.openai_chat.request import build_request
from gateway.wire.openai_chat.thinking_format import ThinkingFormat

FIELDS = ("reasoning_effort", "reasoning", "thinking", "enable_thinking", "chat_template_kwargs")


def turn_of(**fields: Any) -> Turn:
    body = {"model": "m", "messages": [{"role": "user", "content": "hi"}], **fields}
    return ChatIngress.read(json.dumps(body).encode()).turn()


def sent(turn: Turn, name: str, params: dict[str, Any] | None = None, **quirks: Any) -> dict[str, Any]:
    spec = model_from("m", WIRE, {"thinking_format": name, **quirks})
    model = ModelSpec("m", profile=spec.profile, params=params)
    body = json.loads(build_request(turn, model))
    return {field: body[field] for field in FIELDS if field in body}


KWARGS = "chat_template_kwargs"
EXPECTED: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "openai": ({"reasoning_effort": "high"}, {"reasoning_effort": "none"}),
    "openrouter": ({"reasoning": {"effort": "high"}}, {"reasoning": {"effort": "none"}}),
    "deepseek": ({"reasoning_effort": "high", "thinking": {"type": "enabled"}}, {"thinking": {"type": "disabled"}}),
    "zai": ({"thinking": {"type": "enabled", "clear_thinking": False}}, {"thinking": {"type": "disabled"}}),
    "together": ({"reasoning": {"enabled": True}}, {"reasoning": {"enabled": False}}),
    "qwen": ({"enable_thinking": True}, {"enable_thinking": False}),
    "qwen-chat-template": (
        {KWARGS: {"enable_thinking": True, "preserve_thinking": True}},
        {KWARGS: {"enable_thinking": False, "preserve_thinking": True}},
    ),
}


def test_every_format_that_can_be_configured_is_expected_here():
    configured = get_args(get_args(CompatConfig.model_fields["thinking_format"].annotation)[0])
    assert set(configured) == set(get_args(ThinkingFormat)) == EXPECTED.keys()


@pytest.mark.parametrize("name", EXPECTED)
def test_an_effort_is_sent_in_the_field_of_the_server(name):
    on, off = EXPECTED[name]
    assert sent(turn_of(reasoning_effort="high"), name) == on
    assert sent(turn_of(reasoning_effort="none"), name) == off


@pytest.mark.parametrize("name", EXPECTED)
def test_without_an_effort_the_default_of_the_server_applies(name):
    assert sent(turn_of(), name) == {}


@pytest.mark.parametrize("name", ["deepseek", "zai", "together"])
def test_a_level_goes_with_the_switch_where_the_row_knows_levels(name):
    levels = {"supported_reasoning_efforts": ("high", "max")}
    assert sent(turn_of(reasoning_effort="xhigh"), name, **levels)["reasoning_effort"] == "max"
    assert sent(turn_of(reasoning_effort="low"), name, supports_reasoning_effort=True)["reasoning_effort"] == "low"
    assert "reasoning_effort" not in sent(turn_of(reasoning_effort="none"), name, **levels)
    assert "reasoning_effort" not in sent(turn_of(reasoning_effort="low"), name, supports_reasoning_effort=False)


def test_openrouter_gets_a_switch_for_a_model_without_levels():
    for effort, enabled in (("low", True), ("none", False)):
        turn = turn_of(reasoning_effort=effort)
        assert sent(turn, "openrouter", supports_reasoning_effort=False) == {"reasoning": {"enabled": enabled}}


@pytest.mark.parametrize("name", [name for name in EXPECTED if name != "openai"])
def test_a_map_of_efforts_decides_first_whether_the_model_thinks(name):
    assert sent(turn_of(reasoning_effort="minimal"), name, reasoning_effort_map={"minimal": "off"}) == EXPECTED[name][1]


def test_the_clients_effort_wins_over_the_operators_and_leaves_the_other_keys():
    effort = turn_of(reasoning_effort="low")
    assert sent(effort, "openrouter", {"reasoning": {"max_tokens": 9, "exclude": True}}) == {
        "reasoning": {"effort": "low", "exclude": True}
    }
    assert sent(turn_of(), "openrouter", {"reasoning": {"max_tokens": 9}}) == {"reasoning": {"max_tokens": 9}}
    assert sent(turn_of(), "qwen", {"reasoning_effort": "none"}) == {"enable_thinking": False}
    assert sent(effort, "qwen", {"enable_thinking": False, "reasoning_effort": "none"}) == {"enable_thinking": True}
    assert sent(effort, "zai", {"thinking": {"type": "disabled", "clear_thinking": True}}) == {
        "thinking": {"type": "enabled", "clear_thinking": True}
    }
    assert sent(effort, "qwen-chat-template", {KWARGS: {"custom": 1, "preserve_thinking": False}}) == {
        KWARGS: {"custom": 1, "preserve_thinking": False, "enable_thinking": True}
    }


def test_the_servers_own_field_wins_over_the_effort_when_the_client_sends_both():
    own = {"thinking": {"type": "disabled"}, "enable_thinking": False, "reasoning": {"max_tokens": 9}}
    turn = turn_of(reasoning_effort="low", **own, chat_template_kwargs={"a": 1})
    assert sent(turn, "zai")["thinking"] == own["thinking"]
    assert sent(turn, "qwen")["enable_thinking"] is False
    assert sent(turn, "openrouter")["reasoning"] == own["reasoning"]
    assert sent(turn, "qwen-chat-template")[KWARGS] == {"a": 1, "enable_thinking": True, "preserve_thinking": True}


@pytest.mark.parametrize("thinking", [{"type": "enabled", "budget_tokens": 2048}, {"type": "disabled"}])
@pytest.mark.parametrize("name", [name for name in EXPECTED if name not in ("openai", "openrouter")])
def test_the_thinking_of_the_messages_api_switches_it_on_and_off(name, thinking):
    body = {"model": "m", "max_tokens": 4096, "messages": [{"role": "user", "content": "hi"}], "thinking": thinking}
    turn = MessagesIngress.read(json.dumps(body).encode()).turn(None)
    on, off = EXPECTED[name]
    expected = {field: value for field, value in on.items() if field != "reasoning_effort"}
    assert sent(turn, name) == (expected if thinking["type"] == "enabled" else off)


@pytest.mark.parametrize(
    ("provider", "name"),
    [
        ("deepseek", "deepseek"),
        ("xiaomi", "deepseek"),
        ("zai", "zai"),
        ("together", "together"),
    ],
)
def test_built_in_providers_get_the_field_that_they_document(provider, name):
    spec = model_from("m", WIRE, CATALOG[provider].quirks)
    body = json.loads(build_request(turn_of(reasoning_effort="none"), spec))
    assert {field: body[field] for field in FIELDS if field in body} == EXPECTED[name][1]


def own(text: str, field: str) -> Thinking:
    return Thinking(text, owner=Owner(WIRE, "", "m"), extras=Extras(WIRE, {"field": field}))


CALL = ToolCall("c", "f", "{}")
HISTORY = (
    (Text("plain"),),
    (CALL,),
    (own("mine", "reasoning_content"), CALL),
    (own("mine, by another name", "reasoning"), Text("a")),
    (Thinking("foreign", owner=Owner(WIRE, "other", "m2"), extras=Extras(WIRE, {"field": "reasoning_content"})), CALL),
    (Thinking("signed", owner=Owner("anthropic-messages", "a", "claude"), signature="s"), CALL),
)


def replayed(*, reasons: bool = True, **quirks: Any) -> list[Any]:
    turn = Turn("m", (Message("user", (Text("hi"),)), *(Message("assistant", parts) for parts in HISTORY)))
    spec = model_from("m", WIRE, quirks)
    model = ModelSpec("m", profile=spec.profile, reasoning=reasons)
    user, *answers = json.loads(build_request(turn, model))["messages"]
    assert user.keys() == {"role", "content"}
    assert not any("reasoning" in answer for answer in answers if "reasoning_content" in answer)
    return [answer.get("reasoning_content") for answer in answers]


REQUIRED = {"requires_reasoning_content_on_assistant_messages": True}


@pytest.mark.parametrize("strict", [{}, {"strict_message_keys": True}, {"supports_unknown_fields": False}])
def test_every_assistant_message_has_reasoning_content_where_the_server_requires_it(strict):
    assert replayed(**REQUIRED, **strict) == ["", "", "mine", "mine, by another name", "", ""]


def test_a_model_that_does_not_reason_and_a_server_without_the_requirement_get_only_their_own():
    assert replayed() == replayed(**REQUIRED, reasons=False) == [None, None, "mine", None, None, None]


@pytest.mark.parametrize("provider", ["deepseek", "xiaomi"])
def test_built_in_providers_that_require_reasoning_content_get_it(provider):
    assert replayed(**CATALOG[provider].quirks)[0] == ""
