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
from gateway.wire.anthropic_messages import BETAS, WIRE
from gateway.wire.anthropic_messages.profile import Profile
from gateway.wire.call_ids import NO_RESULT
from gateway.wire.efforts import Efforts
from gateway.wire.model import ModelSpec
from tests.unit.wire.anthropic_messages.provider import validate

FORMAT = UPSTREAMS[WIRE]
HI = Message("user", (Text("hi"),))
ADAPTIVE, BUDGET, NEWEST, OTHER = "claude-sonnet-4-6", "claude-haiku-4-5-20251001", "claude-opus-5-5", "kimi-k2"
OWNER = Owner(WIRE, "house", ADAPTIVE)
PIXEL = "data:image/png;base64,iVBORw0KGgo="
F = ToolSpec("f", "Does it.", {"type": "object", "properties": {"a": {"type": "integer"}}})
G = ToolSpec("g")


def request(*messages, model=ADAPTIVE, row=None, **turn):
    return FORMAT.request(
        Turn("openclaw", messages or (HI,), **turn), ModelSpec(model, provider="house", **(row or {}))
    )


def sent(*messages, cached=False, **options):
    body = json.loads(request(*messages, **options).body)
    validate(body)
    return body if cached else without_breakpoints(body)


def without_breakpoints(value):
    if isinstance(value, list):
        return [without_breakpoints(one) for one in value]
    if isinstance(value, dict):
        return {name: without_breakpoints(one) for name, one in value.items() if name != "cache_control"}
    return value


def text(words):
    return {"type": "text", "text": words}


def conversation(*messages, **options):
    return [(one["role"], one["content"]) for one in sent(*messages, **options)["messages"]]


def test_only_what_is_required_is_added():
    assert sent() == {"model": ADAPTIVE, "max_tokens": 32_000, "messages": [{"role": "user", "content": [text("hi")]}]}


@pytest.mark.parametrize(
    ("model", "row", "asked", "cap"),
    [
        (ADAPTIVE, {}, None, 32_000),
        (ADAPTIVE, {"max_tokens": 64_000}, None, 64_000),
        (ADAPTIVE, {"max_tokens": 1000}, 5000, 1000),
        (ADAPTIVE, {}, 5000, 5000),
        (ADAPTIVE, {"params": {"max_tokens": 77}}, None, 77),
        ("claude-3-5-haiku-latest", {}, None, 8192),
        ("claude-3-haiku-20240307", {}, None, 4096),
        (OTHER, {}, None, 4096),
    ],
)
def test_the_length_of_the_answer_is_always_limited(model, row, asked, cap):
    assert sent(model=model, row=row, sampling=Sampling(max_tokens=asked))["max_tokens"] == cap


def test_system_messages_before_the_conversation_are_the_system_prompt():
    body = sent(Message("system", (Text("Be kind."), Text(" "))), Message("developer", (Text("Be brief."),)), HI)
    assert body["system"] == [text("Be kind."), text("Be brief.")]
    assert len(body["messages"]) == 1


LATE = (
    HI,
    Message("assistant", (Text("Hello"),)),
    Message("system", (Text("Be brief."),)),
    Message("user", (Text("so?"),)),
)


def test_a_later_system_message_keeps_its_role_where_the_model_accepts_one_there():
    assert conversation(*LATE, model=NEWEST)[2:] == [("user", [text("so?")]), ("system", [text("Be brief.")])]
    assert conversation(*LATE)[2:] == [("user", [text("so?"), text("Be brief.")])]
    assert conversation(*LATE[:3], model=NEWEST)[2:] == [("user", [text("Be brief.")])]


def test_roles_alternate():
    messages = (HI, HI, Message("assistant", (Text("a"),)), Message("assistant", (Text("b"),)), HI)
    assert conversation(*messages) == [
        ("user", [text("hi"), text("hi")]),
        ("assistant", [text("a"), text("b")]),
        ("user", [text("hi")]),
    ]


def test_a_conversation_that_begins_with_the_assistant_gets_a_beginning():
    roles = [role for role, _ in conversation(Message("assistant", (Text("Welcome"),)), HI)]
    assert roles == ["user", "assistant", "user"]


@pytest.mark.parametrize("blank", ["", " ", "\n\t"])
def test_blank_text_is_left_out(blank):
    messages = (Message("user", (Text(blank), Text("hi"))), Message("assistant", (Text(blank),)), HI)
    assert conversation(*messages) == [("user", [text("hi"), text("hi")])]


def test_results_of_parallel_calls_come_first_in_one_turn():
    calls = (ToolCall("a", "f", "{}"), ToolCall("b", "f", '{"a": 1}'))
    results = [Message("tool", (ToolResult(call.id, (Text("ok"),)),)) for call in calls]
    *_, (role, content) = conversation(HI, Message("assistant", calls), results[0], HI, results[1], tools=(F,))
    assert role == "user"
    assert content == [
        {"type": "tool_result", "tool_use_id": "a", "content": "ok"},
        {"type": "tool_result", "tool_use_id": "b", "content": "ok"},
        text("hi"),
    ]


def test_a_call_that_was_given_up_gets_a_result_that_says_so():
    """Clients that were interrupted send one; without a result, the provider refuses the conversation."""
    calls = Message("assistant", (ToolCall("a", "f", "{}"), ToolCall("b", "f", "{}")))
    done = Message("tool", (ToolResult("b", (Text("ok"),)),))
    missing = {"type": "tool_result", "content": "There is no result of this call.", "is_error": True}
    given = {"type": "tool_result", "tool_use_id": "b", "content": "ok"}
    *_, (_, content) = conversation(HI, calls, done, HI, tools=(F,))
    assert content == [given, {**missing, "tool_use_id": "a"}, text("hi")]
    *_, (_, content) = conversation(HI, calls, tools=(F,))
    assert content == [{**missing, "tool_use_id": name} for name in "ab"]
    # A result that comes after the next turn of the assistant, or a second one, is text.
    late = conversation(HI, calls, HI, Message("assistant", (Text("well"),)), done, done, tools=(F,))
    assert [role for role, _ in late] == ["user", "assistant", "user", "assistant", "user"]
    assert late[-1][1] == [text("ok"), text("ok")]


def test_turns_of_the_assistant_without_a_users_between_are_one_before_its_results():
    call = Message("assistant", (ToolCall("a", "f", "{}"),))
    more = Message("assistant", (Text("I look."),))
    *_, (role, asked), (_, content) = conversation(
        HI, call, more, Message("tool", (ToolResult("a", (Text("ok"),)),)), tools=(F,)
    )
    assert (role, [block["type"] for block in asked]) == ("assistant", ["tool_use", "text"])
    assert content == [{"type": "tool_result", "tool_use_id": "a", "content": "ok"}]


def test_a_result_carries_pictures_documents_and_its_failure():
    result = ToolResult("a", (Text("It failed:"), Image(PIXEL), Text("")), is_error=True)
    *_, (_, content) = conversation(
        HI, Message("assistant", (ToolCall("a", "f", ""),)), Message("tool", (result,)), tools=(F,)
    )
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}}
    assert content == [
        {"type": "tool_result", "tool_use_id": "a", "is_error": True, "content": [text("It failed:"), image]}
    ]


def test_an_empty_result_has_no_content():
    *_, (_, content) = conversation(
        HI, Message("assistant", (ToolCall("a", "f", ""),)), Message("tool", (ToolResult("a", ()),)), tools=(F,)
    )
    assert content == [{"type": "tool_result", "tool_use_id": "a"}]


def test_a_result_without_its_call_is_text():
    assert conversation(HI, Message("tool", (ToolResult("gone", (Text("ok"),)),))) == [
        ("user", [text("hi"), text("ok")])
    ]


@pytest.mark.parametrize("call_id", ["call:1/2", "ü", "", "x" * 200, "call_1"])
def test_ids_are_written_in_letters_that_the_provider_accepts(call_id):
    call = ToolCall(call_id, "f", "{}")
    _, (_, (use,)), (_, (result,)) = conversation(
        HI, Message("assistant", (call,)), Message("tool", (ToolResult(call_id, (Text("ok"),)),)), tools=(F,)
    )
    assert use["id"] == result["tool_use_id"]
    assert use["id"].replace("_", "").isalnum()
    assert use["id"].isascii()
    assert len(use["id"]) <= 64


def test_an_id_that_returns_in_a_later_turn_gets_another_one():
    step = (
        Message("assistant", (ToolCall("call_0", "f", "{}"),)),
        Message("tool", (ToolResult("call_0", (Text("ok"),)),)),
    )
    messages = conversation(HI, *step, *step, tools=(F,))
    assert [content[0]["id"] for role, content in messages if role == "assistant"] == ["call_0", "call_0_2"]
    assert [content[0]["tool_use_id"] for role, content in messages[2::2]] == ["call_0", "call_0_2"]


@pytest.mark.parametrize(
    ("arguments", "raw"),
    [
        ('{"b":  [1.50,\n"é"], "a": null}', '{"b":  [1.50,\n"é"], "a": null}'),
        ("", "{}"),
        (" ", "{}"),
        ("[1]", '{"input":"[1]"}'),
        ('{"a": "cut', '{"input":"{\\"a\\": \\"cut"}'),
        ('{"n": 123456789012345678901234567890}', '{"n": 123456789012345678901234567890}'),
    ],
)
def test_arguments_stay_the_models_own_object(arguments, raw):
    asked = request(HI, Message("assistant", (ToolCall("a", "f", arguments),)), HI, tools=(F,))
    assert f'"input":{raw}'.encode() in asked.body


def test_free_text_of_a_custom_tool_is_its_one_field():
    asked = request(HI, Message("assistant", (ToolCall("a", "f", "*** patch", kind="custom"),)), HI, tools=(F,))
    assert b'"input":{"input":"*** patch"}' in asked.body


THOUGHTS = (
    Thinking("hm", "c2ln", owner=OWNER),
    Text("First."),
    Thinking("", "b25seQ==", owner=OWNER),
    Thinking(encrypted="ZGF0YQ==", owner=OWNER),
    ToolCall("a", "f", "{}"),
)


def test_reasoning_goes_back_in_order_to_its_owner_only():
    messages = (HI, Message("assistant", THOUGHTS), Message("tool", (ToolResult("a", (Text("ok"),)),)))
    own = [
        {"type": "thinking", "thinking": "hm", "signature": "c2ln"},
        text("First."),
        {"type": "thinking", "thinking": "", "signature": "b25seQ=="},
        {"type": "redacted_thinking", "data": "ZGF0YQ=="},
        {"type": "tool_use", "id": "a", "name": "f", "input": {}},
    ]
    assert conversation(*messages, tools=(F,))[1] == ("assistant", own)
    assert conversation(*messages, model=NEWEST, tools=(F,))[1] == ("assistant", [own[1], own[4]])


def test_reasoning_that_nobody_signed_stays_away():
    assert conversation(HI, Message("assistant", (Thinking("hm", owner=OWNER), Text("a"))), HI)[1][1] == [text("a")]


def test_parts_that_the_format_knows_by_another_name():
    parts = (Refusal("No."), Foreign(WIRE, {"type": "text", "text": "own"}))
    assert conversation(HI, Message("assistant", parts), HI)[1][1] == [text("No."), text("own")]


@pytest.mark.parametrize(
    ("part", "block"),
    [
        (
            Image(PIXEL),
            {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}},
        ),
        (
            Image("https://x.example/a.png"),
            {"type": "image", "source": {"type": "url", "url": "https://x.example/a.png"}},
        ),
        (
            File("a.pdf", "application/pdf", "JVBERi0="),
            {
                "type": "document",
                "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0="},
                "title": "a.pdf",
            },
        ),
        (
            File("a.md", "text/markdown", "SMOp"),
            {
                "type": "document",
                "source": {"type": "text", "media_type": "text/plain", "data": "Hé"},
                "title": "a.md",
            },
        ),
        (
            File(url="https://x.example/a.pdf"),
            {"type": "document", "source": {"type": "url", "url": "https://x.example/a.pdf"}},
        ),
    ],
)
def test_images_and_documents_are_blocks(part, block):
    assert conversation(Message("user", (part,))) == [("user", [block])]


@pytest.mark.parametrize(
    ("part", "named"),
    [
        (Audio("UklGRg==", "wav"), "audio"),
        (Image("data:image/heic;base64,AAAA"), "image/heic"),
        (File("a.txt", "text/plain", "%"), "base64"),
        (File("a.doc", "application/msword", "AAAA"), "application/msword"),
        (Foreign("openai-completions", {"type": "video_url"}), "video_url"),
    ],
)
def test_content_that_the_format_lacks_is_refused_by_name_and_another_candidate_is_asked(part, named):
    with pytest.raises(UpstreamError) as caught:
        request(Message("user", (Text("hi"), part)))
    assert caught.value.kind is UpstreamKind.UNSUPPORTED
    assert caught.value.status == 400
    assert named in caught.value.message


@pytest.mark.parametrize(
    ("model", "effort", "fields"),
    [
        (ADAPTIVE, None, {}),
        (
            ADAPTIVE,
            "low",
            {"thinking": {"type": "adaptive", "display": "summarized"}, "output_config": {"effort": "low"}},
        ),
        (
            ADAPTIVE,
            "minimal",
            {"thinking": {"type": "adaptive", "display": "summarized"}, "output_config": {"effort": "low"}},
        ),
        (
            ADAPTIVE,
            "xhigh",
            {"thinking": {"type": "adaptive", "display": "summarized"}, "output_config": {"effort": "high"}},
        ),
        (
            NEWEST,
            "xhigh",
            {"thinking": {"type": "adaptive", "display": "summarized"}, "output_config": {"effort": "xhigh"}},
        ),
        (ADAPTIVE, "none", {"thinking": {"type": "disabled"}}),
        (
            "claude-fable-5",
            "none",
            {"thinking": {"type": "adaptive", "display": "summarized"}, "output_config": {"effort": "low"}},
        ),
        (BUDGET, "low", {"thinking": {"type": "enabled", "budget_tokens": 2048}}),
        (BUDGET, "none", {}),
        ("claude-3-5-haiku-latest", "high", {}),
        (OTHER, "high", {}),
    ],
)
def test_effort_is_what_the_model_understands(model, effort, fields):
    body = sent(model=model, options=Options(effort=effort))
    assert {name: body[name] for name in ("thinking", "output_config") if name in body} == fields


def test_a_model_of_another_maker_that_reasons_takes_a_budget():
    row = {"reasoning": True, "max_tokens": 20_000}
    assert sent(model=OTHER, row=row, options=Options(effort="high"))["thinking"]["budget_tokens"] == 16_384
    row["profile"] = Profile(efforts=Efforts(accepted=False))
    assert "thinking" not in sent(model=OTHER, row=row, options=Options(effort="high"))


@pytest.mark.parametrize(("cap", "budget"), [(77, None), (1024, None), (2000, 1999), (50_000, 24_576)])
def test_a_budget_leaves_room_for_the_answer(cap, budget):
    body = sent(model=BUDGET, sampling=Sampling(max_tokens=cap), options=Options(effort="xhigh"))
    assert body.get("thinking", {}).get("budget_tokens") == budget


def test_a_loop_that_another_model_began_goes_on_without_reasoning():
    """The provider refuses calls without reasoning while it is asked to reason."""
    step = (Message("assistant", (ToolCall("a", "f", "{}"),)), Message("tool", (ToolResult("a", (Text("ok"),)),)))
    asked = {"tools": (F,), "options": Options(effort="low")}
    assert "thinking" not in sent(HI, *step, model=BUDGET, **asked)
    assert "thinking" in sent(HI, *step, HI, Message("assistant", (Text("ok"),)), HI, model=BUDGET, **asked)
    assert "thinking" in sent(HI, *step, model=ADAPTIVE, **asked)
    owned = Message("assistant", (Thinking("hm", "c2ln", owner=Owner(WIRE, "house", BUDGET)), *step[0].parts))
    assert "thinking" in sent(HI, owned, step[1], model=BUDGET, **asked)


@pytest.mark.parametrize("name", ["thinking", "reasoning_effort"])
def test_the_operators_effort_holds_until_the_client_sets_one(name):
    row = {"params": {name: "high"}}
    assert sent(row=row)["output_config"] == {"effort": "high"}
    assert sent(row=row, options=Options(effort="low"))["output_config"] == {"effort": "low"}


@pytest.mark.parametrize(
    ("model", "effort", "sampling"),
    [
        (ADAPTIVE, None, {"temperature": 1}),
        (ADAPTIVE, "low", {}),
        (NEWEST, None, {}),
        (OTHER, None, {"temperature": 1}),
    ],
)
def test_sampling_is_sent_only_where_it_is_accepted(model, effort, sampling):
    asked = sent(model=model, sampling=Sampling(temperature=1.7, top_p=0.5), options=Options(effort=effort, top_k=5))
    sent_fields = {name: asked[name] for name in ("temperature", "top_p") if name in asked}
    assert sent_fields == sampling
    assert ("top_k" in asked) == bool(sampling)


def test_other_settings():
    options = Options(end_user="u1", service_tier="default", metadata={"a": "b"}, verbosity="low")
    body = sent(sampling=Sampling(stop=("END", " ", "\n"), seed=1, frequency_penalty=1), options=options, stream=True)
    names = {"model", "max_tokens", "messages", "metadata", "service_tier", "stop_sequences", "stream"}
    assert body.keys() == names
    assert (body["metadata"], body["service_tier"]) == ({"user_id": "u1"}, "standard_only")
    assert (body["stop_sequences"], body["stream"]) == (["END"], True)


TOOLS = [
    {"name": "f", "description": "Does it.", "input_schema": F.parameters},
    {"name": "g", "input_schema": {"type": "object", "properties": {}}},
]


@pytest.mark.parametrize(
    ("choice", "parallel", "field"),
    [
        (None, None, None),
        (ToolChoice("auto"), None, None),
        (ToolChoice("auto"), False, {"type": "auto", "disable_parallel_tool_use": True}),
        (ToolChoice("required"), None, {"type": "any"}),
        (ToolChoice("required"), False, {"type": "any", "disable_parallel_tool_use": True}),
        (ToolChoice("pinned", "g"), None, {"type": "tool", "name": "g"}),
        (ToolChoice("none"), False, {"type": "none"}),
    ],
)
def test_the_tool_choice_is_the_clients(choice, parallel, field):
    asked = request(tools=(F, G), tool_choice=choice, options=Options(parallel_tool_calls=parallel))
    body = json.loads(asked.body)
    assert without_breakpoints(body["tools"]) == TOOLS
    assert body.get("tool_choice") == field
    assert not asked.choice_in_words


@pytest.mark.parametrize(
    ("model", "effort"), [(ADAPTIVE, "low"), (BUDGET, "low"), (NEWEST, None), ("claude-fable-5-1", None)]
)
@pytest.mark.parametrize(
    ("choice", "words"), [(ToolChoice("required"), "one of the tools"), (ToolChoice("pinned", "g"), "`g`")]
)
def test_a_call_that_can_not_be_demanded_is_asked_for_in_words(model, effort, choice, words):
    asked = request(model=model, tools=(F, G), tool_choice=choice, options=Options(effort=effort))
    body = json.loads(asked.body)
    validate(body)
    assert asked.choice_in_words
    assert "tool_choice" not in body
    assert words in body["messages"][-1]["content"][-1]["text"]


def test_the_history_of_tools_that_are_not_offered_any_more_stays_valid():
    step = (Message("assistant", (ToolCall("a", "f", "{}"),)), Message("tool", (ToolResult("a", (Text("ok"),)),)))
    body = sent(HI, *step)
    assert body["tools"] == [{"name": "f", "input_schema": {"type": "object"}}]
    assert body["tool_choice"] == {"type": "none"}


@pytest.mark.parametrize(
    ("parameters", "schema"),
    [
        (None, {"type": "object", "properties": {}}),
        ({"properties": {"a": {}}}, {"type": "object", "properties": {"a": {}}}),
        (
            {"anyOf": [{"type": "object", "properties": {"a": {}}}, {"properties": {"b": {}}}]},
            {"type": "object", "properties": {"a": {}, "b": {}}},
        ),
        (
            {"type": "object", "properties": {"a": {"anyOf": []}}},
            {"type": "object", "properties": {"a": {"anyOf": []}}},
        ),
    ],
)
def test_the_root_of_a_tools_schema_is_an_object(parameters, schema):
    assert sent(tools=(ToolSpec("f", parameters=parameters),))["tools"][0]["input_schema"] == schema


SCHEMA = {
    "type": "object",
    "properties": {
        "n": {"type": "integer", "minimum": 1, "description": "A number"},
        "s": {"type": "string", "format": "regex", "maxLength": 5},
        "d": {"type": "string", "format": "date"},
        "l": {"type": "array", "items": {"$ref": "#/$defs/o"}, "minItems": 2},
        "u": {"oneOf": [{"type": "null"}, {"enum": ["a"]}]},
    },
    "required": ["n"],
    "additionalProperties": True,
    "$defs": {"o": {"type": "object", "properties": {}}},
}


def test_a_schema_is_reduced_as_the_makers_sdk_does_it():
    from anthropic.lib._parse._transform import transform_schema  # noqa: PLC0415

    form = ResponseFormat("json_schema", {"name": "x", "schema": SCHEMA, "strict": True})
    schema = sent(sampling=Sampling(response_format=form))["output_config"]["format"]["schema"]
    assert shape(schema) == shape(transform_schema(SCHEMA))
    assert schema["properties"]["n"]["description"] == 'A number\n\n{"minimum":1}'


def shape(schema):
    """Without descriptions, whose wording is free."""
    if isinstance(schema, dict):
        return {
            name: shape(value) for name, value in schema.items() if name != "description" or isinstance(value, dict)
        }
    return [shape(one) for one in schema] if isinstance(schema, list) else schema


@pytest.mark.parametrize(
    ("model", "form"),
    [
        (ADAPTIVE, ResponseFormat("json_object")),
        (OTHER, ResponseFormat("json_schema", {"name": "x", "schema": {"type": "object"}})),
    ],
)
def test_a_form_without_a_field_is_asked_for_in_words(model, form):
    body = sent(model=model, sampling=Sampling(response_format=form))
    assert "output_config" not in body
    assert "JSON" in body["system"][-1]["text"]


PREFILL = (HI, Message("assistant", (Text("The answer is \n"),)))


def test_a_prefill_reaches_models_that_continue_it():
    assert conversation(*PREFILL, model=BUDGET)[-1] == ("assistant", [text("The answer is")])
    assert conversation(*PREFILL, model=OTHER, row={"profile": Profile(prefill=False)})[-1][0] == "user"
    assert [role for role, _ in conversation(*PREFILL)] == ["user", "assistant", "user"]
    assert conversation(*PREFILL, model=BUDGET, options=Options(effort="low"))[-1][0] == "user"


def breakpoints(body):
    sent_fields = [("system", block["cache_control"]) for block in body.get("system", ()) if "cache_control" in block]
    sent_fields += [("tool", tool["cache_control"]) for tool in body.get("tools", ()) if "cache_control" in tool]
    for index, message in enumerate(body["messages"]):
        blocks = message["content"] if isinstance(message["content"], list) else ()
        sent_fields += [(index, block["cache_control"]) for block in blocks if "cache_control" in block]
    return sent_fields


MINUTES, HOUR = {"type": "ephemeral"}, {"type": "ephemeral", "ttl": "1h"}
LONG = (
    Message("system", (Text("Be kind."),)),
    HI,
    Message("assistant", (Text("a"),)),
    HI,
    Message("assistant", (Text("b"),)),
    HI,
)


@pytest.mark.parametrize(
    ("options", "params", "mark"),
    [
        (Options(), None, MINUTES),
        (Options(cache_retention="24h"), None, HOUR),
        (Options(), {"cacheRetention": "long"}, HOUR),
        (Options(), {"cacheRetention": "short"}, MINUTES),
        (Options(), {"cacheRetention": "none"}, None),
    ],
)
def test_the_prompt_is_cached_up_to_the_latest_turns(options, params, mark):
    body = sent(*LONG, cached=True, tools=(F,), options=options, params=params)
    assert breakpoints(body) == ([("system", mark), (2, mark), (4, mark)] if mark else [])


def test_without_a_system_prompt_the_tools_are_cached():
    assert breakpoints(sent(cached=True, tools=(F, G))) == [("tool", MINUTES), (0, MINUTES)]


def test_a_clients_own_breakpoints_replace_ours_and_at_most_four_are_sent():
    marked = Message("user", (Text("hi", Extras("openai-completions", {"cache_control": HOUR})),))
    assert breakpoints(sent(*LONG, marked, cached=True)) == [(4, HOUR)]
    body = sent(*(message for _ in range(6) for message in (marked, LONG[2])), HI, cached=True)
    assert [index for index, _ in breakpoints(body)] == [4, 6, 8, 10]


@pytest.mark.parametrize(
    ("model", "effort", "binding", "asked_to_drop"),
    [
        (NEWEST, None, True, True),
        (NEWEST, "low", True, True),
        (NEWEST, "none", True, False),
        (NEWEST, None, False, False),
        (ADAPTIVE, None, True, False),
    ],
)
def test_reasoning_before_which_something_has_changed_is_dropped_by_the_provider(model, effort, binding, asked_to_drop):
    thought = Thinking("hm", "c2ln", owner=Owner(WIRE, "house", model))
    row = {"profile": Profile(block_binding=binding)}
    messages = (HI, Message("assistant", (thought, Text("a"))), HI)
    asked = request(*messages, model=model, row=row, options=Options(effort=effort))
    thinking = json.loads(asked.body).get("thinking", {})
    assert thinking.get("block_binding") == ({"prefix_mismatch_behavior": "drop_block"} if asked_to_drop else None)
    beta = "thinking-binding-controls-2026-08-01" if asked_to_drop else None
    assert asked.headers.get("anthropic-beta") == beta
    assert "anthropic-beta" not in request(HI, model=model, row=row).headers


def test_an_endpoint_that_refuses_unknown_fields_gets_none_of_the_clients_fields_and_betas():
    extras = Extras(WIRE, {"container": "c", "metadata": {"user_id": "u"}, BETAS: ("some-beta",)})
    built = {}
    for tolerant in (True, False):
        built[tolerant] = request(row={"profile": Profile(unknown_fields=tolerant)}, extras=extras)
    assert "container" in json.loads(built[True].body)
    assert built[True].headers["anthropic-beta"] == "some-beta"
    body = json.loads(built[False].body)
    assert ("container" in body, body["metadata"]) == (False, {"user_id": "u"})
    assert "anthropic-beta" not in built[False].headers


def test_a_call_whose_result_the_client_left_out_gets_one():
    calls = Message("assistant", (ToolCall("a", "f", "{}"), ToolCall("b", "f", "{}")))
    result, late = (Message("tool", (ToolResult(call_id, (Text("ok"),)),)) for call_id in "ab")
    asked = conversation(HI, calls, result, HI, Message("assistant", (Text("x"),)), late, tools=(F,))
    missing = {
        "type": "tool_result",
        "tool_use_id": "b",
        "content": NO_RESULT,
        "is_error": True,
    }
    assert asked[2][1] == [{"type": "tool_result", "tool_use_id": "a", "content": "ok"}, missing, text("hi")]
    assert asked[4] == ("user", [text("ok")])
