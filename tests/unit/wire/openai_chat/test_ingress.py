import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.errors import BadRequest
from gateway.core.message import Extras, Message, Text
from gateway.core.turn import AUTO, Options, ResponseFormat, Sampling, ToolChoice, ToolSpec, Turn
from gateway.wire.openai_chat import WIRE
from gateway.wire.openai_chat.ingress import ChatIngress

HI = [{"role": "user", "content": "hi"}]
FUNCTION = {"type": "function", "function": {"name": "f"}}
SAFE = 2**53 - 1


def body(**fields):
    return json.dumps({"model": "openclaw", "messages": HI, **fields}).encode()


def turn(**fields):
    return ChatIngress.read(body(**fields)).turn()


def read_or_refused(raw):
    try:
        return ChatIngress.read(raw).turn()
    except BadRequest as error:
        return error


def refused(raw):
    with pytest.raises(BadRequest) as caught:
        ChatIngress.read(raw).turn()
    return caught.value


@pytest.mark.parametrize(
    ("fields", "param", "message"),
    [
        ({"model": 1}, "model", "`model`: must be a string."),
        ({"model": ["a"]}, "model", "`model`: must be a string."),
        ({"messages": "hi"}, "messages", "`messages`: must be an array."),
        ({"messages": {"role": "user"}}, "messages", "`messages`: must be an array."),
        ({"stream": "true"}, "stream", "`stream`: must be true or false."),
        ({"stream": 1}, "stream", "`stream`: must be true or false."),
        ({"stream_options": True}, "stream_options", "`stream_options`: must be an object."),
        ({"stream_options": {"include_usage": 1}}, "stream_options.include_usage", "must be true or false."),
        ({"user": 7}, "user", "`user`: must be a string."),
        ({"tools": {}}, "tools", "`tools`: must be an array."),
        ({"temperature": "1"}, "temperature", "`temperature`: must be a number."),
        ({"temperature": True}, "temperature", "`temperature`: must be a number."),
        ({"max_tokens": "1"}, "max_tokens", "`max_tokens`: must be a number."),
        ({"stop": 1}, "stop", "`stop`: must be a string."),
        ({"stop": [1]}, "stop[0]", "`stop[0]`: must be a string."),
        ({"stop": {}}, "stop", "`stop`: must be a string."),
        ({"n": 2}, "n", "`n`: only one answer per request is supported"),
        ({"n": 1.5}, "n", "`n`: only one answer"),
        ({"n": 0.5}, "n", "`n`: only one answer"),
        ({"n": True}, "n", "`n`: only one answer"),
        ({"n": "1"}, "n", "`n`: only one answer"),
        ({"max_completion_tokens": 0}, "max_completion_tokens", f"must be between 1 and {SAFE}."),
        ({"max_completion_tokens": -1}, "max_completion_tokens", "must be between 1"),
        ({"max_completion_tokens": 1.5}, "max_completion_tokens", "must be a whole number."),
        ({"max_completion_tokens": SAFE + 1}, "max_completion_tokens", "must be between 1"),
        ({"max_tokens": 0}, "max_tokens", "must be between 1"),
        ({"max_tokens": 10**30}, "max_tokens", "must be between 1"),
        ({"max_completion_tokens": 5, "max_tokens": 0}, "max_tokens", "must be between 1"),
        ({"response_format": "text"}, "response_format", "must be an object."),
        ({"response_format": []}, "response_format", "must be an object."),
        ({"response_format": {}}, "response_format.type", "must be text, json_object or json_schema."),
        ({"response_format": {"type": "xml"}}, "response_format.type", "must be text"),
        ({"response_format": {"type": ["text"]}}, "response_format.type", "must be text"),
        ({"response_format": {"type": "json_schema"}}, "response_format.json_schema", "must be an object."),
        ({"stop": ["a", "b", "c", "d", "e"]}, "stop", "at most 4 sequences are supported."),
        ({"stop": ""}, "stop", "entries must be non-empty strings."),
        ({"stop": ["a", ""]}, "stop", "entries must be non-empty strings."),
        ({"temperature": -0.1}, "temperature", "`temperature` must be between 0 and 2."),
        ({"temperature": 2.01}, "temperature", "`temperature` must be between 0 and 2."),
        ({"top_p": -1}, "top_p", "`top_p` must be between 0 and 1."),
        ({"top_p": 1.1}, "top_p", "`top_p` must be between 0 and 1."),
        ({"frequency_penalty": -2.1}, "frequency_penalty", "must be between -2.0 and 2.0."),
        ({"presence_penalty": 3}, "presence_penalty", "must be between -2.0 and 2.0."),
        ({"seed": 1.5}, "seed", "`seed` must be an integer."),
        ({"tools": [1]}, "tools[0]", "Invalid tools/tool_choice: each tool must be an object"),
        ({"tool_choice": "required"}, "tool_choice", "tool_choice=required but no tools were provided"),
        ({"messages": []}, "messages", "Missing user message in `messages`."),
    ],
)  # fmt: skip
def test_every_documented_refusal_names_the_field(fields, param, message):
    error = refused(body(**fields))
    assert error.status == 400
    assert error.param == param
    assert message in error.message


@pytest.mark.parametrize(
    "raw",
    [b"{", b"nonsense", b'{"a":}', b'{"model":"openclaw",}', b'{"model":NaN}', b'{"x":NaN}', b"\x80", b"[" * 10**5],
)
def test_invalid_json_is_refused_without_quoting_it(raw):
    error = refused(raw)
    assert error.code == "invalid_json"
    assert "nonsense" not in error.message
    assert len(error.message) < 120


@pytest.mark.parametrize("field", [b'"x":1e999', b'"messages":[{"role":"user","content":"hi","x":[1e999]}]'])
def test_a_number_out_of_range_is_refused_in_any_field(field):
    assert refused(b'{"messages":[{"role":"user","content":"hi"}],' + field + b"}").code == "invalid_json"
    assert refused(b'{"temperature":1e999}').code == "invalid_json"


@pytest.mark.parametrize("raw", [b"[]", b'"hi"', b"1", b"null", b"true"])
def test_a_body_that_is_not_an_object_is_refused(raw):
    assert refused(raw).message == "The request body must be a JSON object."


@pytest.mark.parametrize("raw", [b"", b"  \n", b"{}"])
def test_an_empty_body_is_refused_for_its_missing_message(raw):
    assert refused(raw).param == "messages"


@pytest.mark.parametrize(
    "raw",
    [
        b'\xef\xbb\xbf{"messages":[{"role":"user","content":"hi"}]}',
        b' {"messages":[{"role":"user","content":"hi"}]}\n',
        b'{"messages":[],"messages":[{"role":"user","content":"hi"}]}',
    ],
)
def test_harmless_oddities_of_json_are_accepted(raw):
    assert ChatIngress.read(raw).turn().messages == (Message("user", (Text("hi"),)),)


def test_invalid_utf8_is_replaced_and_half_a_surrogate_pair_is_preserved():
    raw = b'{"messages":[{"role":"user","content":"a\xff"},{"role":"user","content":"\\ud83d"}]}'
    texts = [message.parts[0].text for message in ChatIngress.read(raw).turn().messages]
    assert texts == ["a\N{REPLACEMENT CHARACTER}", "\ud83d"]


OPTIONAL = (
    *("stream", "stream_options", "max_tokens", "max_completion_tokens", "temperature", "top_p", "frequency_penalty"),
    *("presence_penalty", "seed", "stop", "response_format", "tools", "tool_choice", "user", "n"),
)


@pytest.mark.parametrize("field", OPTIONAL)
def test_null_is_the_same_as_absent(field):
    assert turn(**{field: None}) == turn()


def test_a_plain_request_is_decoded_as_a_plain_turn():
    assert turn() == Turn("openclaw", (Message("user", (Text("hi"),)),))


@pytest.mark.parametrize(
    ("fields", "sampling"),
    [
        ({"max_tokens": 5}, Sampling(max_tokens=5)),
        ({"max_completion_tokens": 5}, Sampling(max_tokens=5)),
        ({"max_tokens": 5, "max_completion_tokens": 7}, Sampling(max_tokens=7)),
        ({"max_tokens": 5.0}, Sampling(max_tokens=5)),
        ({"max_tokens": SAFE}, Sampling(max_tokens=SAFE)),
        ({"temperature": 0, "top_p": 1}, Sampling(temperature=0, top_p=1)),
        ({"temperature": 2.0, "top_p": 0.0}, Sampling(temperature=2.0, top_p=0.0)),
        ({"frequency_penalty": -2, "presence_penalty": 2}, Sampling(frequency_penalty=-2, presence_penalty=2)),
        ({"seed": 7}, Sampling(seed=7)),
        ({"seed": -7.0}, Sampling(seed=-7)),
        ({"stop": "a"}, Sampling(stop=("a",))),
        ({"stop": ["a", "b", "c", "d"]}, Sampling(stop=("a", "b", "c", "d"))),
        ({"stop": []}, Sampling()),
        ({"stop": " "}, Sampling(stop=(" ",))),
        ({"response_format": {"type": "text"}}, Sampling(response_format=ResponseFormat("text"))),
        ({"n": 1}, Sampling()),
        ({"n": 1.0}, Sampling()),
        ({"n": 0}, Sampling()),
    ],
)
def test_sampling_parameters_are_decoded(fields, sampling):
    assert turn(**fields).sampling == sampling


@pytest.mark.parametrize(
    ("fields", "changes"),
    [
        ({"stream": True}, {"stream": True}),
        ({"stream": True, "stream_options": {"include_usage": True}}, {"stream": True, "include_usage": True}),
        ({"stream_options": {"include_usage": None, "x": 1}}, {}),
        ({"user": "ann"}, {"user": "ann"}),
        ({"user": "  "}, {}),
        ({"tools": [FUNCTION], "tool_choice": "auto"}, {"tools": (ToolSpec("f"),), "tool_choice": AUTO}),
        ({"tools": [], "tool_choice": "none"}, {"tool_choice": ToolChoice("none")}),
        ({"metadata": {"a": 1}}, {"options": Options(metadata={"a": 1})}),
        (
            {"reasoning_effort": "low", "parallel_tool_calls": False},
            {"options": Options("low", parallel_tool_calls=False)},
        ),
        ({"reasoning_effort": 5, "x": 1, "y": None}, {"extras": Extras(WIRE, {"reasoning_effort": 5, "x": 1})}),
        ({"functions": [], "function_call": "auto"}, {}),
    ],
)
def test_the_other_fields_are_decoded(fields, changes):
    plain = turn()
    expected = {field: changes.get(field, getattr(plain, field)) for field in Turn.__struct_fields__}
    assert turn(**fields) == Turn(**expected)


@pytest.mark.parametrize(
    ("fields", "model"), [({}, "openclaw"), ({"model": " OpenClaw/X "}, " OpenClaw/X "), ({"model": ""}, "")]
)
def test_the_callers_model_is_preserved_verbatim(fields, model):
    assert ChatIngress.read(json.dumps({"messages": HI, **fields}).encode()).model == model


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
INSIDE = st.sampled_from(
    ["role", "content", "name", "tool_calls", "tool_call_id", "type", "text", "image_url", "url", "detail", "function"]
)
DEEP = st.recursive(
    JSON | st.sampled_from(["user", "assistant", "tool", "function", "text", "image_url", "hi"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(INSIDE, inner, max_size=4),
    max_leaves=10,
)


@given(
    st.dictionaries(st.sampled_from([*OPTIONAL, "messages", "model", "zz"]), DEEP, max_size=4),
    st.lists(DEEP, max_size=3),
)
def test_any_fields_decode_to_a_turn_or_a_refusal(fields, messages):
    raw = json.dumps({"messages": [*HI, *messages], **fields}).encode()
    outcome = read_or_refused(raw)
    assert isinstance(outcome, Turn) or outcome.param or outcome.code


@given(st.binary(max_size=40))
def test_any_bytes_are_refused(raw):
    assert refused(raw).status == 400


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"function_call": 7}, "function_call"),
        ({"function_call": [[1]]}, "function_call"),
        ({"function_call": "required"}, "function_call"),
        ({"function_call": {"name": 7}}, "function_call.name"),
        ({"function_call": {"name": "f"}}, "function_call.name"),
        ({"function_call": {"name": "g"}, "functions": [{"name": "f"}]}, "function_call.name"),
        ({"function_call": {}, "functions": [{"name": "f"}]}, "function_call.name"),
        ({"function_call": "none", "tools": [FUNCTION]}, "function_call"),
        ({"function_call": {"name": "f"}, "tools": [FUNCTION]}, "function_call"),
        ({"functions": [{"name": "f"}], "tools": [FUNCTION]}, "functions"),
        ({"functions": [{"name": "f"}], "tool_choice": 7}, "tool_choice"),
        ({"functions": [7]}, "functions[0]"),
        ({"functions": [{"name": None}]}, "functions[0].name"),
        ({"functions": [{"name": "f"}, {"name": "f"}]}, "functions[1]"),
    ],
)
def test_the_older_form_of_tools_is_checked_like_tools(fields, param):
    error = refused(body(**fields))
    assert error.param == param
    assert f"`{param.partition('[')[0]}" in str(error) or "tool" in str(error)


def test_the_older_form_of_a_choice_may_be_absent_null_or_mean_the_same():
    functions = [{"name": "f"}]
    for fields, choice in (
        ({"functions": functions}, None),
        ({"functions": functions, "function_call": None}, None),
        ({"functions": functions, "function_call": "none"}, ToolChoice("none")),
        ({"functions": functions, "function_call": {"name": " f "}}, ToolChoice("pinned", "f")),
        ({"functions": functions, "tool_choice": "required"}, ToolChoice("required")),
        ({"functions": [], "function_call": "none"}, None),
        ({"functions": None, "function_call": "auto", "tools": [FUNCTION], "tool_choice": "required"}, "required"),
    ):
        read = turn(**fields).tool_choice
        assert (read and read.mode if choice == "required" else read) == choice
