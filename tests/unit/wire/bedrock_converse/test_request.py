import json

import pytest

from gateway.core.message import (
    Audio,
    Extras,
    File,
    Foreign,
    Image,
    Message,
    Owner,
    Refusal,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)
from gateway.core.turn import Options, ResponseFormat, Sampling, ToolChoice, ToolSpec, Turn
from gateway.core.upstream_error import UpstreamError, UpstreamKind
from gateway.wire import UPSTREAMS
from gateway.wire.bedrock_converse import WIRE
from gateway.wire.bedrock_converse.profile import DEFAULT, Profile, profile_from, profile_of
from gateway.wire.model import ModelSpec
from tests.unit.wire.bedrock_converse.provider import validate

FORMAT = UPSTREAMS[WIRE]
HI = Message("user", (Text("hi"),))
ADAPTIVE, BUDGET, NOVA = (
    "us.anthropic.claude-sonnet-4-6",
    "anthropic.claude-haiku-4-5-20251001-v1:0",
    "amazon.nova-pro-v1:0",
)
LLAMA = "meta.llama4-maverick-17b-instruct-v1:0"
OWNER = Owner(WIRE, "house", ADAPTIVE)
PNG = "data:image/png;base64,iVBORw0KGgo="
F = ToolSpec("f", "Does it.", {"type": "object"})
POINT = {"cachePoint": {"type": "default"}}


def request(*messages, model=ADAPTIVE, row=None, **turn):
    return FORMAT.request(
        Turn("openclaw", messages or (HI,), **turn), ModelSpec(model, provider="house", **(row or {}))
    )


def sent(*messages, model=ADAPTIVE, **options):
    body = json.loads(request(*messages, model=model, **options).body)
    validate(body, model)
    return body


def conversation(*messages, model=LLAMA, **options):
    return [(one["role"], one["content"]) for one in sent(*messages, model=model, **options)["messages"]]


def test_only_what_is_required_is_added():
    asked = request(model=LLAMA)
    assert json.loads(asked.body) == {
        "messages": [{"role": "user", "content": [{"text": "hi"}]}],
        "inferenceConfig": {"maxTokens": 4096},
    }
    assert asked.path == "/model/meta.llama4-maverick-17b-instruct-v1%3A0/converse"
    assert request(model="arn:a/b", stream=True).path == "/model/arn%3Aa%2Fb/converse-stream"


def test_roles_alternate_and_late_system_messages_are_text():
    messages = (
        Message("system", (Text("Be kind."),)), Message("assistant", (Text("Welcome"),)), HI, HI,
        Message("assistant", (Text(" "),)), Message("system", (Text("Be brief."),)),
    )  # fmt: skip
    body = sent(*messages, model=LLAMA)
    assert body["system"] == [{"text": "Be kind."}]
    assert [one["role"] for one in body["messages"]] == ["user", "assistant", "user"]
    assert body["messages"][-1]["content"] == [{"text": "hi"}, {"text": "hi"}, {"text": "Be brief."}]


CALL = Message("assistant", (ToolCall("call:1", "f", '{"a":  1}'),))


def test_results_have_pictures_and_a_status():
    results = (ToolResult("call:1", (Text("No:"), Image(PNG)), is_error=True),)
    _, (_, (use,)), (_, content) = conversation(HI, CALL, Message("tool", results), HI, tools=(F,))
    image = {"image": {"format": "png", "source": {"bytes": "iVBORw0KGgo="}}}
    call_id = use["toolUse"]["toolUseId"]
    assert content == [
        {"toolResult": {"toolUseId": call_id, "content": [{"text": "No:"}, image], "status": "error"}},
        {"text": "hi"},
    ]
    *_, (_, content) = conversation(HI, CALL, Message("tool", (ToolResult("call:1", ()),)), tools=(F,))
    assert content == [{"toolResult": {"toolUseId": call_id, "content": [{"text": "(no output)"}]}}]
    assert conversation(HI, Message("tool", (ToolResult("gone", (Text("ok"),)),)))[0][1][1] == {"text": "ok"}


def test_reasoning_goes_back_to_its_owner_only():
    thoughts = (
        Thinking("hm", "c2ln", owner=OWNER), Thinking(encrypted="ZGF0YQ==", owner=OWNER),
        Thinking("open", "", owner=OWNER), Thinking("unsigned", owner=OWNER), Text("a"), Refusal("b"),
    )  # fmt: skip
    content = conversation(HI, Message("assistant", thoughts), HI, model=ADAPTIVE)[1][1]
    assert content == [
        {"reasoningContent": {"reasoningText": {"text": "hm", "signature": "c2ln"}}},
        {"reasoningContent": {"redactedContent": "ZGF0YQ=="}},
        {"reasoningContent": {"reasoningText": {"text": "open"}}},
        {"text": "a"},
        {"text": "b"},
    ]
    assert conversation(HI, Message("assistant", thoughts), HI)[1][1] == content[3:]


def test_documents_have_names_of_their_own_and_text_beside_them():
    files = [
        File(name, mime, "JVBERi0=")
        for name, mime in (("a_b.pdf", "application/pdf"), ("a_b.pdf", "application/pdf"), (None, "text/csv"))
    ]
    ((_, content),) = conversation(Message("user", tuple(files)))
    assert [block["document"]["name"] for block in content[:3]] == ["a b 1", "a b 2", "file 3"]
    assert content[3]["text"]


@pytest.mark.parametrize(
    ("part", "named"),
    [
        (Audio("UklGRg==", "wav"), "audio"),
        (Image("https://x.example/a.png"), "images by URL"),
        (Image("data:image/heic;base64,AAAA"), "image/heic"),
        (File(url="https://x.example/a.pdf"), "files by URL"),
        (File("a", "application/zip", "AAAA"), "application/zip"),
        (Foreign("openai-completions", {"type": "video_url"}), "video_url"),
    ],
)
def test_content_that_the_format_lacks_is_refused_by_name(part, named):
    with pytest.raises(UpstreamError, match=named) as caught:
        request(Message("user", (Text("hi"), part)))
    assert caught.value.kind is UpstreamKind.UNSUPPORTED
    if not isinstance(part, Audio):
        with pytest.raises(UpstreamError):
            request(HI, Message("assistant", (part,)))


@pytest.mark.parametrize(
    ("model", "effort", "output", "thinking"),
    [
        (ADAPTIVE, "low", {"effort": "low"}, {"type": "adaptive", "display": "summarized"}),
        (ADAPTIVE, "none", None, {"type": "disabled"}),
        (BUDGET, "low", None, {"type": "enabled", "budget_tokens": 2048}),
        (LLAMA, "high", None, None),
        (ADAPTIVE, None, None, None),
    ],
)
def test_effort_is_what_the_model_understands(model, effort, output, thinking):
    body = sent(model=model, options=Options(effort=effort), sampling=Sampling(temperature=0.5))
    assert body.get("outputConfig") == output
    assert body.get("additionalModelRequestFields", {}).get("thinking") == thinking
    reasons = thinking is not None and thinking["type"] != "disabled"
    assert ("temperature" in body["inferenceConfig"]) != reasons


def test_a_loop_that_another_model_began_goes_on_without_reasoning():
    messages = (HI, CALL, Message("tool", (ToolResult("call:1", (Text("ok"),)),)))
    assert "additionalModelRequestFields" not in sent(
        *messages, model=BUDGET, tools=(F,), options=Options(effort="low")
    )


def test_settings_and_the_operators_fields_have_their_places():
    row = {
        "params": {
            "top_p": 0.5,
            "anthropic_beta": ["x"],
            "guardrailConfig": {"guardrailIdentifier": "abc", "guardrailVersion": "1"},
            "thinking": "low",
        }
    }
    body = sent(model=LLAMA, row=row, sampling=Sampling(max_tokens=9, stop=("END", " ")), options=Options(top_k=5))
    assert body["inferenceConfig"] == {"maxTokens": 9, "topP": 0.5, "stopSequences": ["END"]}
    assert body["additionalModelRequestFields"] == {"anthropic_beta": ["x"], "top_k": 5}
    assert body["guardrailConfig"]["guardrailIdentifier"] == "abc"
    newest = sent(model="anthropic.claude-opus-4-8", sampling=Sampling(temperature=1), options=Options(top_k=5))
    assert newest["inferenceConfig"] == {"maxTokens": 32_000}
    assert "additionalModelRequestFields" not in newest


@pytest.mark.parametrize(
    ("choice", "field"),
    [
        (None, None),
        (ToolChoice("auto"), None),
        (ToolChoice("required"), {"any": {}}),
        (ToolChoice("pinned", "f"), {"tool": {"name": "f"}}),
    ],
)
def test_the_tool_choice_is_the_clients(choice, field):
    asked = request(model=NOVA, tools=(F,), tool_choice=choice)
    config = json.loads(asked.body)["toolConfig"]
    assert config["tools"][0]["toolSpec"] == {
        "name": "f",
        "description": "Does it.",
        "inputSchema": {"json": {"type": "object"}},
    }
    assert config.get("toolChoice") == field
    assert not asked.choice_in_words


@pytest.mark.parametrize("choice", [ToolChoice("required"), ToolChoice("pinned", "f")])
@pytest.mark.parametrize(
    ("options", "row"), [(Options(effort="low"), {}), (Options(), {"profile": Profile(tool_choice=False)})]
)
def test_a_call_that_can_not_be_demanded_is_asked_for_in_words(choice, options, row):
    asked = request(tools=(F,), tool_choice=choice, options=options, row=row)
    body = json.loads(asked.body)
    assert asked.choice_in_words
    assert "toolChoice" not in body["toolConfig"]
    assert any("by calling" in block.get("text", "") for block in body["messages"][-1]["content"])


@pytest.mark.parametrize(("tools", "choice"), [((), None), ((F,), ToolChoice("none"))])
def test_tools_of_the_history_stay_defined_where_none_may_be_called(tools, choice):
    asked = request(HI, CALL, Message("tool", (ToolResult("call:1", (Text("ok"),)),)), tools=tools, tool_choice=choice)
    body = json.loads(asked.body)
    validate(body, ADAPTIVE)
    assert [one["toolSpec"]["name"] for one in body["toolConfig"]["tools"] if "toolSpec" in one] == ["f"]
    assert any("without calling" in block.get("text", "") for block in body["messages"][-1]["content"])
    assert not asked.choice_in_words
    assert "toolConfig" not in sent(tools=tools, tool_choice=choice)


FORM = ResponseFormat("json_schema", {"name": "x", "schema": {"type": "object"}})


def test_a_schema_is_a_text_or_asked_for_in_words():
    definition = sent(sampling=Sampling(response_format=FORM))["outputConfig"]["textFormat"]["structure"]["jsonSchema"]
    assert definition == {"name": "x", "schema": '{"type":"object","additionalProperties":false}'}
    assert "JSON" in sent(model=LLAMA, sampling=Sampling(response_format=FORM))["system"][0]["text"]


def test_a_prefill_reaches_models_that_continue_it():
    messages = (HI, Message("assistant", (Text("It is"),)))
    assert conversation(*messages)[-1] == ("assistant", [{"text": "It is"}])
    assert conversation(*messages, model=ADAPTIVE)[-1][0] == "user"


SYSTEM = Message("system", (Text("Be kind."),))


@pytest.mark.parametrize(
    ("model", "options", "points"),
    [
        (ADAPTIVE, Options(), [POINT, POINT]),
        (NOVA, Options(), [POINT, POINT]),
        (LLAMA, Options(), []),
        (ADAPTIVE, Options(cache_retention="none"), []),
        (ADAPTIVE, Options(cache_retention="24h"), [{"cachePoint": {"type": "default", "ttl": "1h"}}] * 2),
    ],
)
def test_models_with_a_prompt_cache_get_its_points(model, options, points):
    body = sent(SYSTEM, HI, model=model, options=options)
    blocks = [*body["system"], *body["messages"][0]["content"]]
    assert [block for block in blocks if "cachePoint" in block] == points
    assert ("cachePoint" in sent(model=model, tools=(F,), options=options)["toolConfig"]["tools"][-1]) == bool(points)


def test_quirks_of_a_row_replace_what_the_id_says():
    profile = profile_from({"supports_temperature": False, "supports_prompt_cache": None, "supports_store": True})
    assert profile == Profile(sampling=False)
    assert profile_of(ModelSpec("m")) is DEFAULT
    assert not profile.abilities(ModelSpec(NOVA)).sampling
    assert not Profile(cache=False).caches(ModelSpec(ADAPTIVE))
    own = Message("user", (Foreign(WIRE, {"text": "own"}), Thinking("x"), Text("hi", Extras("another", {"a": 1}))))
    assert conversation(own)[0][1][0] == {"text": "own"}
    assert conversation(HI, Message("assistant", (Foreign(WIRE, {"text": "own"}),)), HI)[1][1] == [{"text": "own"}]


def test_a_call_that_was_given_up_gets_a_result_that_says_so():
    calls = Message("assistant", (ToolCall("a", "f", "{}"), ToolCall("b", "f", "{}")))
    done = Message("tool", (ToolResult("b", (Text("ok"),)),))
    missing = [{"text": "There is no result of this call."}]
    *_, (_, content) = conversation(HI, calls, done, HI, tools=(F,))
    assert content == [
        {"toolResult": {"toolUseId": "b", "content": [{"text": "ok"}]}},
        {"toolResult": {"toolUseId": "a", "content": missing, "status": "error"}},
        {"text": "hi"},
    ]
    late = conversation(HI, calls, HI, Message("assistant", (Text("well"),)), done, done, tools=(F,))
    assert late[-1][1] == [{"text": "ok"}, {"text": "ok"}]


def test_a_call_whose_result_the_client_left_out_gets_one():
    _, (_, (use,)), (_, content) = conversation(HI, CALL, HI, tools=(F,))
    missing = {"toolUseId": use["toolUse"]["toolUseId"], "content": [{"text": "There is no result of this call."}]}
    assert content == [{"toolResult": missing | {"status": "error"}}, {"text": "hi"}]
