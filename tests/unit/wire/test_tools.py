import pytest

from gateway.core.errors import BadRequest
from gateway.core.message import Extras
from gateway.core.turn import AUTO, ToolChoice, ToolSpec
from gateway.wire.tools import read_allowed, read_choice, read_tools

TOOLS = (ToolSpec("f"), ToolSpec("g"))

WIRE = "openai-completions"


def function(**fields):
    return {"type": "function", "function": {"name": "f", **fields}}


@pytest.mark.parametrize(
    ("raw", "tool"),
    [
        (function(), ToolSpec("f")),
        ({"function": {"name": "f"}}, ToolSpec("f")),
        (function(name="  f "), ToolSpec("f")),
        (function(name="two words" * 9), ToolSpec("two words" * 9)),
        (
            function(description="d", parameters={"type": "object"}, strict=True),
            ToolSpec("f", "d", {"type": "object"}, strict=True),
        ),
        (function(description=1, parameters=[], strict="yes"), ToolSpec("f")),
        (function(description=None, parameters=None, strict=None), ToolSpec("f")),
        (function(zz=1), ToolSpec("f", extras=Extras("openai-completions", {"zz": 1}))),
        ({**function(), "cache_control": {}}, ToolSpec("f", outer=Extras("openai-completions", {"cache_control": {}}))),
        ({**function(), "cache_control": None}, ToolSpec("f")),
    ],
)
def test_a_function_tool_is_decoded(raw, tool):
    assert read_tools([raw], WIRE) == (tool,)


def test_a_custom_tool_is_described_as_a_function_too():
    form = {"type": "grammar", "grammar": {"syntax": "regex", "definition": "[a-z]+"}}
    raw = {"type": "custom", "custom": {"name": "sql", "description": "Runs SQL.", "format": form}}
    (tool,) = read_tools([raw], WIRE)
    assert (tool.name, tool.kind, tool.extras) == ("sql", "custom", Extras(WIRE, raw))
    assert tool.description == "Runs SQL.\n\n`input` must match this regex grammar:\n[a-z]+"
    assert tool.parameters["required"] == ["input"]
    choice = read_choice({"type": "custom", "custom": {"name": "sql"}}, (tool,))
    assert choice == ToolChoice("pinned", "sql", "custom")


@pytest.mark.parametrize(
    ("raw", "why", "param"),
    [
        ("f", "each tool must be an object", "tools[1]"),
        (None, "each tool must be an object", "tools[1]"),
        ({"type": "web_search"}, "only function tools are supported", "tools[1].type"),
        ({"type": "custom"}, "only function tools are supported", "tools[1].type"),
        ({"type": "custom", "custom": {}}, "tools[1].custom.name is required", "tools[1].custom.name"),
        ({"type": "custom", "custom": {"name": "g"}}, "two tools are called 'g'", "tools[1]"),
        ({"type": ["function"]}, "only function tools are supported", "tools[1].type"),
        ({"type": "function"}, "tool.function is required", "tools[1].function"),
        ({"type": "function", "name": "f"}, "tool.function is required", "tools[1].function"),
        ({"type": "function", "function": {}}, "tool.function.name is required", "tools[1].function.name"),
        (function(name=" "), "tool.function.name is required", "tools[1].function.name"),
        (function(name=7), "tool.function.name is required", "tools[1].function.name"),
        (function(name="g"), "two tools are called 'g'", "tools[1]"),
        (function(name=" g "), "two tools are called 'g'", "tools[1]"),
    ],
)
def test_every_refusal_names_the_entry(raw, why, param):
    with pytest.raises(BadRequest) as caught:
        read_tools([function(name="g"), raw], WIRE)
    assert caught.value.message == f"Invalid tools/tool_choice: {why}"
    assert caught.value.param == param


@pytest.mark.parametrize(
    ("raw", "choice"),
    [
        ("auto", AUTO),
        (" auto ", AUTO),
        ("none", ToolChoice("none")),
        ("required", ToolChoice("required")),
        ({"type": "function", "function": {"name": "g"}}, ToolChoice("pinned", "g")),
        ({"type": "function", "function": {"name": " g "}}, ToolChoice("pinned", "g")),
        ({"type": "function", "name": "g"}, ToolChoice("pinned", "g")),
    ],
)
def test_a_tool_choice_is_decoded(raw, choice):
    assert read_choice(raw, TOOLS) == choice


@pytest.mark.parametrize("raw", ["auto", "none"])
def test_auto_and_none_need_no_tools(raw):
    assert read_choice(raw, ()).mode == raw


@pytest.mark.parametrize(
    ("raw", "why", "param"),
    [
        (7, "tool_choice must be a string or object", "tool_choice"),
        (["auto"], "tool_choice must be a string or object", "tool_choice"),
        (True, "tool_choice must be a string or object", "tool_choice"),
        ("any", "tool_choice must be auto, none, required or a function", "tool_choice"),
        ("", "tool_choice must be auto, none, required or a function", "tool_choice"),
        ("Auto", "tool_choice must be auto, none, required or a function", "tool_choice"),
        ({}, "unsupported tool_choice type", "tool_choice.type"),
        ({"type": "auto"}, "unsupported tool_choice type", "tool_choice.type"),
        ({"type": ["function"]}, "unsupported tool_choice type", "tool_choice.type"),
        ({"type": "custom"}, "tool_choice.custom.name is required", "tool_choice.custom.name"),
        (
            {"type": "custom", "custom": {"name": "f"}},
            "tool_choice requested unknown tool: f",
            "tool_choice.custom.name",
        ),
        ({"type": "function"}, "tool_choice.function.name is required", "tool_choice.function.name"),
        ({"type": "function", "function": {}}, "tool_choice.function.name is required", "tool_choice.function.name"),
        (
            {"type": "function", "function": {"name": " "}},
            "tool_choice.function.name is required",
            "tool_choice.function.name",
        ),
        ({"type": "function", "name": ""}, "tool_choice.name is required", "tool_choice.name"),
        (
            {"type": "function", "function": {"name": "h"}},
            "tool_choice requested unknown tool: h",
            "tool_choice.function.name",
        ),
        ({"type": "function", "name": "h"}, "tool_choice requested unknown tool: h", "tool_choice.name"),
    ],
)
def test_an_impossible_choice_is_refused(raw, why, param):
    with pytest.raises(BadRequest) as caught:
        read_choice(raw, TOOLS)
    assert caught.value.message == f"Invalid tools/tool_choice: {why}"
    assert caught.value.param == param


def allowed(mode="auto", *names):
    entries = [{"type": "function", "function": {"name": name}} for name in names]
    return {"type": "allowed_tools", "allowed_tools": {"mode": mode, "tools": entries}}


def test_allowed_tools_leave_those_on_offer():
    first, *_ = TOOLS
    for raw in (
        allowed("required", first.name),
        {"type": "allowed_tools", **allowed("required", first.name)["allowed_tools"]},
    ):
        assert read_allowed(raw, TOOLS) == (ToolChoice("required"), (first,))
    assert read_allowed(allowed("auto", *(tool.name for tool in TOOLS)), TOOLS) == (AUTO, TOOLS)


@pytest.mark.parametrize(
    ("raw", "param"),
    [
        ({"type": "allowed_tools", "allowed_tools": 7}, "tool_choice.allowed_tools.mode"),
        (allowed("none", "f"), "tool_choice.allowed_tools.mode"),
        (allowed("auto"), "tool_choice.allowed_tools.tools"),
        (allowed("auto", "unknown"), "tool_choice.allowed_tools.tools[0].function.name"),
        (
            {"type": "allowed_tools", "allowed_tools": {"tools": [7]}},
            "tool_choice.allowed_tools.tools[0]",
        ),
    ],
)
def test_allowed_tools_that_are_none_are_refused_by_their_path(raw, param):
    with pytest.raises(BadRequest) as refused:
        read_allowed(raw, TOOLS)
    assert refused.value.param == param


def test_required_without_tools_is_refused():
    with pytest.raises(BadRequest, match="tool_choice=required but no tools were provided"):
        read_choice("required", ())
    with pytest.raises(BadRequest, match="tool_choice requested unknown tool: f"):
        read_choice({"type": "function", "function": {"name": "f"}}, ())
