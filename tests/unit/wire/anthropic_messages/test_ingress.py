"""Requests of clients: what each part becomes, and what is refused by name."""

import base64
import json

import pytest
from msgspec.structs import replace

from gateway.core.errors import BadRequest
from gateway.core.message import Extras, File, Foreign, Image, Message, Owner, Text, Thinking, ToolCall, ToolResult
from gateway.core.seal import seal_for
from gateway.core.turn import ToolChoice, ToolSpec
from gateway.wire.anthropic_messages import BETAS, WIRE
from gateway.wire.anthropic_messages.ingress import MessagesIngress
from gateway.wire.anthropic_messages.request import build_request
from gateway.wire.anthropic_messages.signature import redacted_data, signature_of
from gateway.wire.model import ModelSpec

SEAL = seal_for(b"secret", "ann")
HI = [{"role": "user", "content": "hi"}]
CLAUDE = ModelSpec("claude-sonnet-4-6", provider="anthropic")


def turn(*, betas="", seal=SEAL, **fields):
    body = {"model": "openclaw", "max_tokens": 99, "messages": HI, **fields}
    return MessagesIngress.read(json.dumps(body).encode(), betas=betas).turn(seal)


def messages_of(role, *blocks):
    return turn(messages=[{"role": role, "content": [*blocks]}, *HI]).messages[:-1]


def sent(**fields):
    """The request to Anthropic that a client's request leads to."""
    return json.loads(build_request(turn(**fields), CLAUDE).body)


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"model": None}, "model"),
        ({"messages": None}, "messages"),
        ({"messages": []}, "messages"),
        ({"max_tokens": None}, "max_tokens"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"temperature": 1.5}, "temperature"),
        ({"stop_sequences": [""]}, "stop_sequences"),
        ({"system": [1]}, "system[0]"),
        ({"system": [{"type": "text"}]}, "system[0].text"),
        ({"messages": ["hi"]}, "messages[0]"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages[0].role"),
        ({"messages": [{"role": "user"}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": ["hi"]}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": [{"text": "hi"}]}]}, "messages[0].content[0].type"),
        ({"messages": [{"role": "user", "content": [{"type": "text", "text": 1}]}]}, "messages[0].content[0].text"),
        ({"messages": [{"role": "user", "content": [{"type": "tool_result"}]}]}, "messages[0].content[0].tool_use_id"),
        (
            {"messages": [{"role": "user", "content": [{"type": "image", "source": {"type": "base64"}}]}]},
            "messages[0].content[0].source.media_type",
        ),
        (
            {"messages": [{"role": "assistant", "content": [{"type": "tool_use", "id": "c"}]}]},
            "messages[0].content[0].name",
        ),
        ({"tools": [{"name": "a"}]}, "tools[0].input_schema"),
        ({"tools": [{"input_schema": {}}]}, "tools[0].name"),
        ({"tools": [{"name": "a", "input_schema": {}}] * 2}, "tools[1].name"),
        ({"tool_choice": {"type": "any"}}, "tool_choice"),
        ({"tool_choice": {"type": "tool", "name": "x"}}, "tool_choice.name"),
        ({"tool_choice": {"type": "required"}}, "tool_choice.type"),
        ({"output_config": {"format": {"type": "text"}}}, "output_config.format"),
    ],
)
def test_a_wrong_field_is_refused_by_its_path(fields, path):
    with pytest.raises(BadRequest) as refused:
        turn(**fields)
    assert refused.value.param == path


def test_null_means_absent_at_every_depth():
    block = {"type": "text", "text": "hi", "cache_control": None, "citations": None}
    tool = {"name": "a", "input_schema": {"type": "object"}, "strict": None, "type": None, "cache_control": None}
    asked = turn(system=None, tools=[tool], tool_choice=None, thinking=None, metadata=None, top_k=None, container=None,
                 messages=[{"role": "user", "content": [block]}])  # fmt: skip
    assert asked.messages == (Message("user", (Text("hi"),)),)
    assert asked.tools == (ToolSpec("a", None, {"type": "object"}),)
    assert asked.extras.fields == {}


def test_results_come_one_by_one_before_what_else_the_user_says():
    blocks = [
        {"type": "tool_result", "tool_use_id": "c1", "content": "one", "cache_control": {"type": "ephemeral"}},
        {"type": "text", "text": "and?"},
        {"type": "tool_result", "tool_use_id": "c2", "content": [{"type": "text", "text": "two"}], "is_error": True},
    ]
    assert messages_of("user", *blocks) == (
        Message(
            "tool", (ToolResult("c1", (Text("one"),)),), extras=Extras(WIRE, {"cache_control": {"type": "ephemeral"}})
        ),
        Message("tool", (ToolResult("c2", (Text("two"),), is_error=True),)),
        Message("user", (Text("and?"),)),
    )


def test_media_become_images_and_files():
    pdf = {"type": "base64", "media_type": "application/pdf", "data": "QQ=="}
    blocks = [
        {"type": "image", "source": {"type": "url", "url": "https://a.example/1.png"}},
        {"type": "document", "title": "A", "source": pdf, "citations": {"enabled": True}},
        {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "é"}},
        {"type": "document", "source": {"type": "file", "file_id": "f"}},
    ]
    (message,) = messages_of("user", *blocks)
    assert message.parts == (
        Image("https://a.example/1.png"),
        File("A", "application/pdf", "QQ==", extras=Extras(WIRE, {"citations": {"enabled": True}})),
        File(None, "text/plain", base64.b64encode("é".encode()).decode()),
        Foreign(WIRE, blocks[3]),
    )


def test_the_attribution_of_claude_code_is_no_part_of_the_prompt():
    system = [
        {"type": "text", "text": "x-anthropic-billing-header: cc_version=2"},
        {"type": "text", "text": "Be kind."},
    ]
    assert turn(system=system).messages[0] == Message("system", (Text("Be kind."),))


def test_the_input_of_a_call_stays_as_it_was_written():
    body = b'{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"hi"},{"role":"assistant","content":'
    body += b'[{"type":"tool_use","id":"c","name":"look","input":{"at": 1.50,  "b":"\\u00e9"}}]}]}'
    (_, message) = MessagesIngress.read(body).turn(None).messages
    assert message.parts == (ToolCall("c", "look", '{"at": 1.50,  "b":"\\u00e9"}'),)


@pytest.mark.parametrize(
    ("choice", "mode"),
    [
        ({"type": "auto"}, ToolChoice("auto")),
        ({"type": "any"}, ToolChoice("required")),
        ({"type": "none"}, ToolChoice("none")),
        ({"type": "tool", "name": "a"}, ToolChoice("pinned", "a")),
        ({"type": "tool", "name": "web_search"}, ToolChoice("pinned", "web_search", "hosted")),
    ],
)
def test_every_tool_choice_has_a_neutral_form(choice, mode):
    search = {"type": "web_search_20250305", "name": "web_search"}
    asked = turn(tools=[{"name": "a", "input_schema": {}}, search], tool_choice=choice)
    assert asked.tool_choice == mode
    assert [tool.kind for tool in asked.tools] == ["function", "hosted"]


@pytest.mark.parametrize(
    ("user", "name"),
    [("ann", "ann"), (" ", None), (None, None), ('{"session_id": "s"}', None)],
)
def test_a_users_id_names_a_conversation_unless_it_describes_a_client_with_its_own(user, name):
    body = {"model": "m", "max_tokens": 9, "messages": HI, "metadata": {"user_id": user}}
    assert MessagesIngress.read(json.dumps(body).encode()).user == name


def test_betas_reach_anthropic_and_what_can_be_no_header_does_not():
    asked = turn(betas="a-2026-01-01, b.c_d,bad\r\nname,,é")
    assert asked.extras.fields[BETAS] == ("a-2026-01-01", "b.c_d")
    built = build_request(asked, CLAUDE)
    assert built.beta == "a-2026-01-01,b.c_d"
    assert BETAS not in json.loads(built.body)


def test_thinking_reaches_anthropic_as_the_client_wrote_it_if_the_model_accepts_it():
    adaptive = {"type": "adaptive", "display": "omitted"}
    asked = sent(thinking=adaptive, output_config={"effort": "medium"}, temperature=0.5)
    assert (asked["thinking"], asked["output_config"]) == (adaptive, {"effort": "medium"})
    assert "temperature" not in asked
    enabled = sent(thinking={"type": "enabled", "budget_tokens": 2048})
    assert enabled["thinking"]["type"] == "adaptive"
    assert "thinking" not in sent(output_config={"effort": "low"})
    assert sent(output_config={"effort": "low"})["output_config"] == {"effort": "low"}
    assert sent(thinking={"type": "disabled"})["thinking"] == {"type": "disabled"}


def test_an_older_model_gets_a_budget_in_place_of_adaptive_thinking():
    asked = turn(thinking={"type": "adaptive"}, max_tokens=30_000)
    body = json.loads(build_request(asked, ModelSpec("claude-sonnet-4-5", provider="anthropic")).body)
    assert body["thinking"] == {"type": "enabled", "budget_tokens": 16_384}


def test_edits_of_thinking_are_left_out_of_a_request_without_thinking():
    edits = [{"type": "clear_thinking_20251015", "keep": "all"}, {"type": "clear_tool_uses_20250919"}]
    assert sent(context_management={"edits": edits})["context_management"] == {"edits": edits[1:]}
    assert "context_management" not in sent(context_management={"edits": edits[:1]})
    thinking = {"type": "adaptive"}
    assert sent(context_management={"edits": edits}, thinking=thinking)["context_management"] == {"edits": edits}


def test_a_signature_of_claude_passes_unchanged_and_goes_back_to_claude_alone():
    owner = Owner(WIRE, "anthropic", "claude-sonnet-4-6")
    assert signature_of(Thinking("t", "c2ln+/8=", owner=owner), SEAL) == "c2ln+/8="
    assert redacted_data(Thinking(encrypted="ZW5j", owner=owner), SEAL) == "ZW5j"
    (message,) = messages_of("assistant", {"type": "thinking", "thinking": "t", "signature": "c2ln+/8="},
                      {"type": "redacted_thinking", "data": "ZW5j"}, {"type": "text", "text": "Yes."})  # fmt: skip
    asked = turn()
    body = json.loads(build_request(_with(asked, message), CLAUDE).body)
    assert body["messages"][1]["content"] == [
        {"type": "thinking", "thinking": "t", "signature": "c2ln+/8="},
        {"type": "redacted_thinking", "data": "ZW5j"},
        {"type": "text", "text": "Yes."},
    ]
    other = json.loads(build_request(_with(asked, message), ModelSpec("kimi-k3", provider="kimi")).body)
    assert [block["type"] for block in other["messages"][1]["content"]] == ["text"]


OTHERS = [
    Thinking(
        "t", owner=Owner("openai-completions", "deepseek", "m"), extras=Extras("openai-completions", {"field": "f"})
    ),
    Thinking("t", "sig", owner=Owner(WIRE, "kimi", "kimi-k3")),
    Thinking("", encrypted="enc", id="rs_1", owner=Owner("openai-responses", "openai", "gpt-5.6")),
    Thinking("t", encrypted="enc", id="rs_1", kind="summary", owner=Owner("openai-responses", "openai", "gpt-5.6")),
]


@pytest.mark.parametrize("block", OTHERS)
def test_the_state_of_another_model_comes_back_as_it_was_and_only_from_the_user_who_got_it(block):
    if (data := redacted_data(block, SEAL)) is not None:
        raw = {"type": "redacted_thinking", "data": data}
    else:
        raw = {"type": "thinking", "thinking": block.text, "signature": signature_of(block, SEAL)}
    messages = [*HI, {"role": "assistant", "content": [raw]}, *HI]
    assert turn(messages=messages).messages[1].parts == (block,)
    for seal in (None, seal_for(b"secret", "bob")):
        parts = [part for message in turn(messages=messages, seal=seal).messages for part in message.parts]
        assert [part for part in parts if isinstance(part, Thinking) and part.owner is not None] == []


def _with(asked, message):
    (hi,) = asked.messages
    return replace(asked, messages=(hi, message, hi))
