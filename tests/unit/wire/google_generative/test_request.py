import json
from typing import Any

import pytest
from google.genai import types
from msgspec.structs import replace

from gateway.core.message import (
    Audio,
    Citation,
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
from gateway.core.upstream_error import UpstreamError
from gateway.core.upstream_error import UpstreamKind as Kind
from gateway.wire.google_generative.contents import signed
from gateway.wire.google_generative.profile import profile_from
from gateway.wire.google_generative.request import build_request
from gateway.wire.google_generative.upstream import GoogleGenerative
from gateway.wire.model import ModelSpec

MODEL = ModelSpec("gemini-3-flash", provider="house")
OLD = ModelSpec("gemini-2.5-flash", provider="house")
OWNER = Owner("google-generative-ai", "house", "gemini-3-flash")
PIXEL = "data:image/png;base64,iVBORw0KGgo="
INLINE = {"inlineData": {"mimeType": "image/png", "data": "iVBORw0KGgo="}}
USER = Message("user", (Text("Hi"),))
TURN = Turn("openclaw", (USER,))
_SIGNATURES = {"thought": "dGhvdWdodA==", "text": "dGV4dA==", "call": "Y2FsbA=="}
SKIP = "skip_thought_signature_validator"


def sent(turn: Turn = TURN, model: ModelSpec = MODEL) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(build_request(turn, model))
    for content in body["contents"]:
        types.Content.model_validate(content)
    types.GenerationConfig.model_validate(body.get("generationConfig", {}))
    for tool in body.get("tools", ()):
        types.Tool.model_validate(tool)
    types.ToolConfig.model_validate(body.get("toolConfig", {}))
    return body


def contents(*messages: Message, model: ModelSpec = MODEL) -> list[dict[str, Any]]:
    got: list[dict[str, Any]] = sent(replace(TURN, messages=messages), model)["contents"]
    return got


@pytest.mark.parametrize(
    ("model", "stream", "path"),
    [
        ("gemini-3-flash", False, "/models/gemini-3-flash:generateContent"),
        ("gemini-3-flash", True, "/models/gemini-3-flash:streamGenerateContent?alt=sse"),
        ("models/gemini-3-flash", False, "/models/gemini-3-flash:generateContent"),
        ("tunedModels/mine", False, "/tunedModels/mine:generateContent"),
        ("a b?c:d#e", False, "/models/a%20b%3Fc%3Ad%23e:generateContent"),
    ],
)
def test_the_path_names_the_model_and_holds_no_key(model, stream, path):
    asked = GoogleGenerative().request(replace(TURN, stream=stream), ModelSpec(model))
    assert (asked.path, GoogleGenerative().key_header) == (path, "x-goog-api-key")


def test_a_question_is_one_content():
    assert sent() == {"contents": [{"role": "user", "parts": [{"text": "Hi"}]}]}


def test_leading_system_messages_are_the_instruction_and_later_ones_stay_where_they_are():
    system, developer = Message("system", (Text("Be kind."),)), Message("developer", (Text("Be brief."),))
    body = sent(replace(TURN, messages=(system, developer, USER, system, Message("assistant", (Text("Yes?"),)), USER)))
    assert body["systemInstruction"] == {"parts": [{"text": "Be kind."}, {"text": "Be brief."}]}
    assert body["contents"] == [
        {"role": "user", "parts": [{"text": "Hi"}, {"text": "Be kind."}]},  # roles alternate
        {"role": "model", "parts": [{"text": "Yes?"}]},
        {"role": "user", "parts": [{"text": "Hi"}]},
    ]


CALLS = (ToolCall("c1", "look", '{"at":  1}'), ToolCall("c2", "touch", ""))
RESULTS = (
    Message("tool", (ToolResult("c1", (Text("A cat."), Image(PIXEL))),)),
    Message("tool", (ToolResult("c2", (Text("It broke."),), is_error=True),)),
)


def test_the_results_of_a_step_are_one_content_with_their_pictures_inside():
    call, results, after = contents(USER, Message("assistant", CALLS), *RESULTS, USER)[1:]
    assert call["parts"] == [
        {"functionCall": {"id": "c1", "name": "look", "args": {"at": 1}}, "thoughtSignature": SKIP},
        {"functionCall": {"id": "c2", "name": "touch", "args": {}}},
    ]
    assert results["parts"] == [
        {"functionResponse": {"id": "c1", "name": "look", "response": {"output": "A cat."}, "parts": [INLINE]}},
        {"functionResponse": {"id": "c2", "name": "touch", "response": {"error": "It broke."}}},
    ]
    assert after["parts"] == [{"text": "Hi"}]


def test_an_older_model_gets_pictures_of_results_in_the_next_content_and_no_signatures():
    call, results, pictures = contents(USER, Message("assistant", CALLS), *RESULTS, model=OLD)[1:]
    assert all("thoughtSignature" not in part for part in call["parts"])
    assert [part["functionResponse"].get("parts") for part in results["parts"]] == [None, None]
    assert pictures == {"role": "user", "parts": [{"text": "From the results above:"}, INLINE]}


def test_a_call_without_a_result_gets_one_that_says_so():
    results = contents(USER, Message("assistant", CALLS), RESULTS[0], USER)[2]
    assert [one["functionResponse"]["response"] for one in results["parts"]] == [
        {"output": "A cat."},
        {"error": "There is no result of this call."},
    ]


def test_a_result_without_a_call_is_told_as_text():
    assert contents(RESULTS[1], USER)[0]["parts"] == [
        {"text": "Result of an earlier tool call: It broke."},
        {"text": "Hi"},
    ]


def test_signatures_go_back_on_their_parts_to_their_owner_only():
    def answer(owner: Owner) -> Message:
        def block(text: str, **place: Any) -> Thinking:
            return Thinking(text, _SIGNATURES[place["place"]], kind="summary", owner=owner, extras=signed(**place))

        return Message("assistant", (
            block("Hm.", place="thought"), Text("I look."), block("", place="text"),
            block("Now.", place="call", call_id="c2"), *CALLS, block("", place="text"),
        ))  # fmt: skip

    assert contents(USER, answer(OWNER))[1]["parts"] == [
        {"text": "Hm.", "thought": True, "thoughtSignature": "dGhvdWdodA=="},
        {"text": "I look.", "thoughtSignature": "dGV4dA=="},
        {"text": "Now.", "thought": True},
        {"functionCall": {"id": "c1", "name": "look", "args": {"at": 1}}, "thoughtSignature": SKIP},
        {"functionCall": {"id": "c2", "name": "touch", "args": {}}, "thoughtSignature": "Y2FsbA=="},
        {"text": "", "thoughtSignature": "dGV4dA=="},
    ]
    for other in (Owner(OWNER.wire, "house", "gemini-3-pro"), Owner("anthropic-messages", "house", "gemini-3-flash")):
        assert contents(USER, answer(other))[1]["parts"] == [
            {"text": "I look."},
            {"functionCall": {"id": "c1", "name": "look", "args": {"at": 1}}, "thoughtSignature": SKIP},
            {"functionCall": {"id": "c2", "name": "touch", "args": {}}},
        ]


def test_media_are_inline_or_files_that_google_has():
    parts = (
        Text("See"), Image(PIXEL), Audio("UklGRg==", "wav"), File("a.pdf", "application/pdf", "JVBERi0="),
        File("b.pdf", None, "JVBERi0="), Image("gs://bucket/1.png"), Refusal("No."), Citation("https://a.example"),
        File(None, "video/mp4", url="https://www.youtube.com/watch?v=1"),
        Foreign("google-generative-ai", {"text": "own"}),
    )  # fmt: skip
    pdf = {"inlineData": {"mimeType": "application/pdf", "data": "JVBERi0="}}
    assert contents(Message("user", parts))[0]["parts"] == [
        {"text": "See"}, INLINE, {"inlineData": {"mimeType": "audio/wav", "data": "UklGRg=="}}, pdf, pdf,
        {"fileData": {"fileUri": "gs://bucket/1.png"}}, {"text": "No."},
        {"fileData": {"fileUri": "https://www.youtube.com/watch?v=1", "mimeType": "video/mp4"}}, {"text": "own"},
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("part", "named"),
    [
        (Image("https://pictures.example/1.png"), "images by URL"),
        (File("a.pdf", url="https://files.example/a.pdf"), "files by URL"),
        (Foreign("openai-completions", {"type": "video_url"}), "parts of type 'video_url'"),
    ],
)
def test_what_the_format_cannot_carry_is_refused_by_name(part, named):
    with pytest.raises(UpstreamError, match=named) as raised:
        contents(Message("user", (Text("See"), part)))
    assert (raised.value.kind, raised.value.status) == (Kind.UNSUPPORTED, 400)


def test_settings_are_of_the_generation_config():
    sampling = Sampling(0.5, 0.9, 0.1, 0.2, 2**31 + 7, ("END",), 4000, ResponseFormat("json_object"))
    turn = replace(TURN, sampling=sampling, options=Options(top_k=40, logprobs=True, top_logprobs=2))
    assert sent(turn, ModelSpec("gemini-3-flash", max_tokens=1000))["generationConfig"] == {
        "maxOutputTokens": 1000, "temperature": 0.5, "topP": 0.9, "frequencyPenalty": 0.1, "presencePenalty": 0.2,
        "seed": 7, "stopSequences": ["END"], "topK": 40, "responseLogprobs": True, "logprobs": 2,
        "responseMimeType": "application/json",
    }  # fmt: skip


def test_the_operators_settings_are_sent_and_the_clients_win():
    params = {
        "safetySettings": [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "OFF"}],
        "tools": [{"googleSearch": {}}],
        "generationConfig": {"temperature": 1, "mediaResolution": "MEDIA_RESOLUTION_LOW"},
        "top_k": 5,
        "reasoning_effort": "low",
    }
    turn = replace(TURN, params=params, sampling=Sampling(temperature=0.5), tools=(ToolSpec("look"),))
    body = sent(turn)
    assert body["safetySettings"] == params["safetySettings"]
    assert body["tools"] == [{"googleSearch": {}}, {"functionDeclarations": [{"name": "look"}]}]
    assert body["generationConfig"] == {
        "temperature": 0.5, "mediaResolution": "MEDIA_RESOLUTION_LOW", "topK": 5,
        "thinkingConfig": {"thinkingLevel": "LOW", "includeThoughts": True},
    }  # fmt: skip


SCHEMA = {"type": "object", "properties": {"a": {"$ref": "#/$defs/A"}}, "$defs": {"A": {"type": ["integer", "null"]}}}
FORM = Sampling(response_format=ResponseFormat("json_schema", {"name": "x", "schema": SCHEMA}))
LOOK = ToolSpec(
    "look", "Look.", {"type": "object", "properties": {"at": {"const": "é"}}, "additionalProperties": False}
)


def test_a_schema_is_reduced():
    assert sent(replace(TURN, sampling=FORM))["generationConfig"] == {
        "responseMimeType": "application/json",
        "responseSchema": {"type": "object", "properties": {"a": {"type": "integer", "nullable": True}}},
    }


def test_an_older_model_that_has_tools_gets_the_schema_in_words():
    body = sent(replace(TURN, sampling=FORM, tools=(LOOK,)), OLD)
    assert "generationConfig" not in body
    assert "matches this schema" in body["systemInstruction"]["parts"][0]["text"]
    assert "responseSchema" in sent(replace(TURN, sampling=FORM, tools=(LOOK,)))["generationConfig"]


def test_tools_are_declared_with_reduced_schemas():
    declared = sent(replace(TURN, tools=(LOOK, ToolSpec("go", None, {"type": "object", "properties": {}}))))["tools"]
    properties = {"at": {"type": "string", "enum": ["é"]}}
    assert declared == [{
        "functionDeclarations": [
            {"name": "look", "description": "Look.", "parameters": {"type": "object", "properties": properties}},
            {"name": "go"},
        ]
    }]  # fmt: skip


@pytest.mark.parametrize(
    ("choice", "calling"),
    [
        (ToolChoice("auto"), {"mode": "AUTO"}),
        (ToolChoice("none"), {"mode": "NONE"}),
        (ToolChoice("required"), {"mode": "ANY"}),
        (ToolChoice("pinned", "look"), {"mode": "ANY", "allowedFunctionNames": ["look"]}),
    ],
)
def test_a_tool_choice_is_a_mode_and_the_tools_stay(choice, calling):
    body = sent(replace(TURN, tools=(LOOK, ToolSpec("go")), tool_choice=choice))
    assert body["toolConfig"] == {"functionCallingConfig": calling}
    assert len(body["tools"][0]["functionDeclarations"]) == 2


@pytest.mark.parametrize(
    ("model", "effort", "thinking"),
    [
        ("gemini-3-flash", "none", {"thinkingLevel": "MINIMAL", "includeThoughts": False}),
        ("gemini-3-flash", "medium", {"thinkingLevel": "MEDIUM", "includeThoughts": True}),
        ("gemini-3-flash", "max", {"thinkingLevel": "HIGH", "includeThoughts": True}),
        ("gemini-3-pro-preview", "medium", {"thinkingLevel": "HIGH", "includeThoughts": True}),
        ("gemini-3-pro-preview", "none", {"thinkingLevel": "LOW", "includeThoughts": False}),
        ("gemini-3.1-pro", "medium", {"thinkingLevel": "MEDIUM", "includeThoughts": True}),
        ("gemini-flash-latest", "low", {"thinkingLevel": "LOW", "includeThoughts": True}),
        ("gemini-2.5-flash", "none", {"thinkingBudget": 0, "includeThoughts": False}),
        ("gemini-2.5-flash", "low", {"thinkingBudget": 1024, "includeThoughts": True}),
        ("gemini-2.5-flash", "max", {"thinkingBudget": 24_576, "includeThoughts": True}),
        ("gemini-2.5-pro", "none", {"thinkingBudget": 128, "includeThoughts": True}),
        ("gemini-2.5-pro", "max", {"thinkingBudget": 32_768, "includeThoughts": True}),
        ("gemini-2.5-flash", "dynamic", {"thinkingBudget": -1, "includeThoughts": True}),
        ("gemini-2.0-flash", "high", None),
        ("gemma-3-27b-it", "high", None),
    ],
)
def test_an_effort_becomes_what_the_generation_of_the_model_knows(model, effort, thinking):
    config = sent(replace(TURN, options=Options(effort=effort)), ModelSpec(model)).get("generationConfig", {})
    assert config.get("thinkingConfig") == thinking


def test_thoughts_are_asked_for_when_the_model_reasons():
    reasoning = ModelSpec("gemini-3-flash", reasoning=True)
    assert sent(model=reasoning)["generationConfig"] == {"thinkingConfig": {"includeThoughts": True}}
    assert "generationConfig" not in sent()
    budget = replace(TURN, options=Options(thinking_budget=99_999))
    assert sent(budget, OLD)["generationConfig"]["thinkingConfig"]["thinkingBudget"] == 24_576


def test_a_row_may_say_how_a_model_thinks():
    asked = replace(TURN, options=Options(effort="high"))
    none = ModelSpec("gemini-3-flash", profile=profile_from({"supports_reasoning_effort": False}))
    assert "generationConfig" not in sent(asked, none)
    some = ModelSpec("gemini-3-flash", profile=profile_from({"supported_reasoning_efforts": ("low",)}))
    assert sent(asked, some)["generationConfig"]["thinkingConfig"]["thinkingLevel"] == "LOW"
    words = ModelSpec("gemini-3-flash", profile=profile_from({"reasoning_effort_map": {"high": "minimal"}}))
    assert sent(asked, words)["generationConfig"]["thinkingConfig"]["thinkingLevel"] == "MINIMAL"


def test_extras_of_another_format_are_not_sent():
    message = Message("user", (Text("Hi", Extras("openai-completions", {"cache_control": {}})),), name="Ann")
    assert contents(message) == [{"role": "user", "parts": [{"text": "Hi"}]}]
