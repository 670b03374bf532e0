import json

import pytest

from gateway.core.errors import BadRequest
from gateway.core.message import NO_EXTRAS, Extras, Message, Text
from gateway.core.params import with_params
from gateway.core.turn import NO_OPTIONS, Options, ResponseFormat, Sampling, ToolChoice, ToolSpec
from gateway.wire.openai_responses.ingress import ResponsesIngress
from gateway.wire.openai_responses.schema import ResponsesRequest

TOOL = {"type": "function", "name": "f", "description": "d", "parameters": {"type": "object"}, "strict": True}


def read(**fields):
    return ResponsesIngress.read(json.dumps({"model": "openclaw", "input": "hi", **fields}).encode())


def refusal(**fields):
    with pytest.raises(BadRequest) as caught:
        read(**fields).turn()
    return caught.value


def test_model_may_be_empty_but_not_missing():
    assert read(model="").model == ""
    assert refusal(model=None).param == "model"
    with pytest.raises(BadRequest, match="`model`"):
        ResponsesIngress.read(b'{"input":"hi"}')


@pytest.mark.parametrize("body", [b"[]", b"null", b"5", b"{"])
def test_a_body_that_is_not_an_object_is_refused(body):
    with pytest.raises(BadRequest):
        ResponsesIngress.read(body)


def test_null_means_absent_for_every_optional_field():
    optional = set(ResponsesRequest.__struct_fields__) - {"model", "input"}
    assert read(**dict.fromkeys([*optional, "conversation"])).turn() == read().turn()


def test_fields_of_official_clients_are_accepted():
    turn = read(
        store=True,
        include=["reasoning.encrypted_content"],
        previous_response_id="resp_x",
        unknown_field=1,
    ).turn()
    assert turn == read().turn()


def test_sampling_parameters_are_decoded():
    fields = {"temperature": 0.3, "top_p": 0.8, "frequency_penalty": -2, "presence_penalty": 2}
    assert read(**fields, max_output_tokens=5).turn().sampling == Sampling(**fields, max_tokens=5)


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"temperature": 3}, "temperature"),
        ({"temperature": "warm"}, "temperature"),
        ({"top_p": -1}, "top_p"),
        ({"frequency_penalty": 2.1}, "frequency_penalty"),
        ({"presence_penalty": -2.1}, "presence_penalty"),
        ({"top_logprobs": 21}, "top_logprobs"),
        ({"top_logprobs": 0.5}, "top_logprobs"),
        ({"max_tool_calls": 0}, "max_tool_calls"),
        ({"max_tool_calls": 1.5}, "max_tool_calls"),
        ({"max_output_tokens": 0}, "max_output_tokens"),
        ({"max_output_tokens": 1.5}, "max_output_tokens"),
        ({"stream": "yes"}, "stream"),
        ({"metadata": {"a": 1}}, "metadata.a"),
        ({"metadata": [1]}, "metadata"),
        ({"truncation": "x"}, "truncation"),
        ({"user": 5}, "user"),
        ({"reasoning": {"effort": 5}}, "reasoning.effort"),
        ({"text": {"format": "json"}}, "text.format"),
        ({"text": {"format": {"type": "xml"}}}, "text.format.type"),
        ({"text": {"format": {"type": "json_schema", "schema": {}}}}, "text.format.name"),
        ({"text": {"format": {"type": "json_schema", "name": "n"}}}, "text.format.schema"),
        ({"background": True, "store": False}, "background"),
        ({"conversation": "conv_1"}, "conversation"),
        ({"prompt": {"id": "p"}}, "prompt"),
        ({"previous_response_id": 5}, "previous_response_id"),
        ({"tools": [{"type": "functions"}]}, "tools[0].type"),
        ({"tools": [{"type": "custom"}]}, "tools[0].name"),
        ({"tools": [{"type": "namespace", "name": "n"}]}, "tools[0].tools"),
        ({"tools": [{"type": "namespace", "tools": []}]}, "tools[0].name"),
        ({"tools": [{"type": "namespace", "name": "n", "tools": [{"type": "mcp"}]}]}, "tools[0].tools[0].type"),
        ({"tools": [{"type": "namespace", "name": "n", "tools": [TOOL, TOOL]}]}, "tools[0]"),
        ({"tools": [{"type": "web_search"}], "tool_choice": {"type": "mcp"}}, "tool_choice.type"),
        ({"tools": [{"type": "function", "name": ""}]}, "tools[0].name"),
        ({"tools": [{"type": "function", "function": {"name": ""}}]}, "tools[0].function.name"),
        ({"tools": [TOOL, TOOL]}, "tools[1]"),
        ({"tools": ["f"]}, "tools[0]"),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"tools": [TOOL], "tool_choice": {"type": "function", "name": "g"}}, "tool_choice.name"),
        ({"tools": [TOOL], "tool_choice": {"type": "allowed_tools"}}, "tool_choice.tools"),
        ({"tools": [TOOL], "tool_choice": {"type": "allowed_tools", "tools": [5]}}, "tool_choice.tools[0]"),
        (
            {"tools": [TOOL], "tool_choice": {"type": "allowed_tools", "tools": [{"type": "mcp"}]}},
            "tool_choice.tools[0]",
        ),
        ({"tools": [TOOL], "tool_choice": {"type": "allowed_tools", "tools": [{}]}}, "tool_choice.tools[0].name"),
        ({"tools": [TOOL], "tool_choice": {"type": "allowed_tools", "tools": [{"name": "g"}]}}, "tool_choice.tools"),
        ({"tools": [TOOL], "tool_choice": {"type": "allowed_tools", "mode": "none", "tools": []}}, "tool_choice.mode"),
        ({"tools": [TOOL], "tool_choice": {"type": "custom", "name": "f"}}, "tool_choice.name"),
        ({"input": None}, "input"),
    ],
)
def test_refusals_name_the_field(fields, param):
    assert refusal(**fields).param == param


def test_flat_and_nested_tools_are_equivalent():
    spec = ToolSpec("f", "d", {"type": "object"}, True)
    nested = {"type": "function", "function": {k: v for k, v in TOOL.items() if k != "type"}}
    assert read(tools=[TOOL]).turn().tools == (spec,)
    assert read(tools=[nested]).turn().tools == (spec,)


def test_fields_of_a_tool_that_only_this_format_defines_are_kept_for_its_providers():
    tool = {**TOOL, "strict": None, "defer_loading": True}
    extras = Extras("openai-responses", {"defer_loading": True})
    assert read(tools=[tool]).turn().tools == (ToolSpec("f", "d", {"type": "object"}, extras=extras),)


@pytest.mark.parametrize(
    ("raw", "choice"),
    [
        ("auto", ToolChoice("auto")),
        ("none", ToolChoice("none")),
        ("required", ToolChoice("required")),
        ({"type": "function", "name": "f"}, ToolChoice("pinned", "f")),
        ({"type": "function", "function": {"name": "f"}}, ToolChoice("pinned", "f")),
    ],
)
def test_every_form_of_tool_choice_is_decoded(raw, choice):
    assert read(tools=[TOOL], tool_choice=raw).turn().tool_choice == choice


@pytest.mark.parametrize("entry", [{"type": "function", "name": "f"}, {"type": "function", "function": {"name": "f"}}])
def test_only_the_allowed_tools_are_offered(entry):
    choice = {"type": "allowed_tools", "mode": "required", "tools": [entry]}
    turn = read(tools=[{**TOOL, "name": "g"}, TOOL], tool_choice=choice).turn()
    assert ([tool.name for tool in turn.tools], turn.tool_choice) == (["f"], ToolChoice("required"))


def test_item_references_are_replaced_by_their_items():
    ingress = read(input=[{"type": "item_reference", "id": "a"}, {"role": "user", "content": "x"}, {"id": "b"}])
    assert ingress.references() == [("a", "input[0]"), ("b", "input[2]")]
    ingress.refer({"a": {"role": "user", "content": "A"}, "b": {"role": "assistant", "content": "B"}})
    texts = [message.parts[0].text for message in ingress.turn().messages]
    assert texts == ["A", "x", "B"]


def test_instructions_come_first_and_are_available_separately():
    ingress = read(
        instructions="first", input=[{"role": "system", "content": "second"}, {"role": "user", "content": "x"}]
    )
    assert ingress.turn().messages[0] == ingress.instructions[0] == Message("system", (Text("first"),))
    assert len(ingress.turn().messages) == 3
    assert read(instructions=" ").instructions == ()


def test_the_text_format_is_decoded():
    wanted = {"type": "json_schema", "name": "n", "schema": {"type": "object"}, "strict": True, "description": None}
    assert read(text={"format": wanted}).turn().sampling.response_format == ResponseFormat(
        "json_schema", {"name": "n", "schema": {"type": "object"}, "strict": True}
    )
    assert read(text={"format": {"type": "json_object"}}).turn().sampling.response_format == ResponseFormat(
        "json_object"
    )
    assert read(text={"format": {"type": "text"}}).turn().sampling.response_format is None


def test_options_are_decoded_into_neutral_options():
    options = (
        read(
            reasoning={"effort": "minimal", "summary": "auto"},
            text={"verbosity": "low"},
            tools=[TOOL],
            parallel_tool_calls=False,
            include=["message.output_text.logprobs"],
            top_logprobs=2,
            service_tier="flex",
            prompt_cache_key="k",
            safety_identifier="s",
        )
        .turn()
        .options
    )
    assert options == Options(
        effort="minimal",
        summary="auto",
        verbosity="low",
        parallel_tool_calls=False,
        logprobs=True,
        top_logprobs=2,
        service_tier="flex",
        cache_key="k",
        end_user="s",
    )


def test_options_that_providers_refuse_are_not_sent():
    turn = read(metadata={"a": "b"}, parallel_tool_calls=True, top_logprobs=2, store=True).turn()
    assert (turn.options, turn.extras) == (NO_OPTIONS, NO_EXTRAS)


def test_the_echo_repeats_the_request():
    ingress = read(
        instructions="be brief",
        metadata={"a": "b"},
        tools=[TOOL],
        tool_choice={"type": "function", "name": "f"},
        parallel_tool_calls=False,
        temperature=0,
        top_p=0.5,
        frequency_penalty=0.1,
        presence_penalty=-0.1,
        service_tier="flex",
        max_output_tokens=9,
        max_tool_calls=3,
        reasoning={"effort": "low", "summary": "auto"},
        text={"format": {"type": "json_object"}, "verbosity": "high"},
        truncation="auto",
        user="u",
        prompt_cache_key="k",
        safety_identifier="s",
        top_logprobs=2,
    )
    assert ingress.echo(ingress.turn()) == {
        "background": False,
        "frequency_penalty": 0.1,
        "instructions": "be brief",
        "max_output_tokens": 9,
        "max_tool_calls": 3,
        "metadata": {"a": "b"},
        "parallel_tool_calls": False,
        "presence_penalty": -0.1,
        "previous_response_id": None,
        "prompt_cache_key": "k",
        "reasoning": {"effort": "low", "summary": "auto"},
        "safety_identifier": "s",
        "service_tier": "flex",
        "store": True,
        "temperature": 0,
        "text": {"format": {"type": "json_object"}, "verbosity": "high"},
        "tool_choice": {"type": "function", "name": "f"},
        "tools": [TOOL],
        "top_logprobs": 2,
        "top_p": 0.5,
        "truncation": "auto",
        "user": "u",
    }


def test_the_echo_of_a_bare_request_has_openais_defaults():
    ingress = read()
    echo = ingress.echo(ingress.turn())
    assert (echo["tool_choice"], echo["tools"], echo["parallel_tool_calls"]) == ("auto", [], True)
    assert (echo["text"], echo["truncation"], echo["metadata"]) == ({"format": {"type": "text"}}, "disabled", {})
    numbers = ("temperature", "top_p", "frequency_penalty", "presence_penalty", "top_logprobs")
    assert [echo[name] for name in numbers] == [1, 1, 0, 0, 0]


def test_the_echo_includes_the_agents_settings():
    ingress = read(top_p=0.5)
    turn = with_params(ingress.turn(), {"temperature": 0.2, "topP": 0.9, "maxTokens": 7})
    echo = ingress.echo(turn)
    assert (echo["temperature"], echo["top_p"], echo["max_output_tokens"]) == (0.2, 0.5, 7)


def test_a_blank_user_is_none():
    assert read(user=" ").user is None
    assert read(user="u").turn().user == "u"
