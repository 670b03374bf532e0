import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.accumulator import accumulated
from gateway.core.errors import BadRequest
from gateway.core.event import Finish, TextDelta, ToolCallBegin, ToolCallDelta
from gateway.core.message import Extras, Foreign, Message, Text, ToolCall, ToolResult
from gateway.core.turn import ToolChoice, ToolSpec, Turn
from gateway.core.upstream_error import UpstreamError, UpstreamKind
from gateway.wire.function_tools import CallRestorer, as_functions, function_name, needs_functions

FUNCTION = ToolSpec("look", "d", {"type": "object"})
PATCH = ToolSpec("apply_patch", "Edits.", {"type": "object"}, extras=Extras("openai-responses", {}), kind="custom")
SPAWN = ToolSpec("spawn", "Spawns.", {"type": "object"}, namespace="agents", namespace_description="Agents.")
SHELL = ToolSpec("local_shell", "Runs.", {"type": "object"}, kind="local_shell")
SEARCH = ToolSpec("web_search", extras=Extras("openai-responses", {"type": "web_search"}), kind="hosted")
ASK = Message("user", (Text("hi"),))


def turn(*messages, tools=(), choice=None):
    return Turn("m", messages or (ASK,), tools=tools, tool_choice=choice)


def test_a_turn_of_functions_stays_as_it_is():
    foreign = Message("user", (Foreign("openai-completions", {"type": "file"}),))
    call = Message("assistant", (ToolCall("c", "look", "{}"),))
    assert not needs_functions(turn(foreign, call, tools=(FUNCTION,)), "openai-completions")


@pytest.mark.parametrize("tool", [PATCH, SPAWN, SHELL, SEARCH])
def test_another_tool_needs_functions(tool):
    assert needs_functions(turn(tools=(FUNCTION, tool)), "openai-completions")


def test_every_tool_that_the_client_runs_is_offered_as_a_function():
    asked, _ = as_functions(turn(tools=(FUNCTION, PATCH, SPAWN, SHELL, SEARCH)), "openai-completions")
    assert [(tool.name, tool.kind, tool.namespace) for tool in asked.tools] == [
        ("look", "function", None),
        ("apply_patch", "function", None),
        ("agents__spawn", "function", None),
        ("local_shell", "function", None),
    ]
    assert asked.tools[0] is FUNCTION


def test_a_long_or_strange_name_in_a_namespace_stays_distinct():
    names = {function_name("x" * 70, "n"), function_name("x" * 71, "n"), function_name("x y", "n"), "n__x_y"}
    assert len(names) == 4
    assert all(len(name) <= 64 for name in names)
    assert all(name.replace("_", "").replace("-", "").isalnum() for name in names)


def test_two_tools_whose_namespaces_and_names_read_alike_have_names_of_their_own():
    assert function_name("c", "a__b") == "a__b__c"
    names = {function_name(name, space) for name, space in [("c", "a__b"), ("b__c", "a"), ("_c", "a"), ("c", "a_")]}
    assert len(names) == 4


def test_calls_in_the_history_have_the_names_and_the_form_of_functions():
    calls = (
        ToolCall("c1", "apply_patch", "*** Begin", kind="custom"),
        ToolCall("c2", "spawn", "{}", namespace="agents"),
        ToolCall("c3", "local_shell", '{"command":["ls"]}', kind="local_shell"),
        ToolCall("c4", "look", "{}"),
    )
    result = Message("tool", (ToolResult("c1", (Text("ok"),)),))
    asked, _ = as_functions(turn(ASK, Message("assistant", calls), result), "openai-completions")
    assert asked.messages[1].parts == (
        ToolCall("c1", "apply_patch", '{"input":"*** Begin"}'),
        ToolCall("c2", "agents__spawn", "{}"),
        ToolCall("c3", "local_shell", '{"command":["ls"]}'),
        ToolCall("c4", "look", "{}"),
    )
    assert asked.messages[2] is result


def test_parts_of_another_format_are_left_out_and_a_message_of_nothing_else_too():
    offer = Message("developer", (Foreign("openai-responses", {"item": {"type": "additional_tools"}}, ""),))
    own = Foreign("openai-completions", {"type": "file"})
    mixed = Message("user", (Text("hi"), own, offer.parts[0]))
    asked, _ = as_functions(turn(offer, mixed), "openai-completions")
    assert asked.messages == (Message("user", (Text("hi"), own)),)


def test_a_text_stands_for_a_part_of_another_format():
    picture = Foreign("another", {"type": "picture"}, "![](data:image/png;base64,AA==)")
    asked, _ = as_functions(turn(Message("assistant", (Text("See:"), picture)), ASK), "openai-completions")
    assert asked.messages[0] == Message("assistant", (Text("See:"), Text("![](data:image/png;base64,AA==)")))


def test_a_part_of_another_format_that_nothing_stands_for_is_refused_by_name():
    with pytest.raises(UpstreamError, match="parts of the type 'video_url'") as refused:
        as_functions(turn(Message("user", (Foreign("another", {"type": "video_url"}),))), "openai-completions")
    assert refused.value.kind is UpstreamKind.UNSUPPORTED


def test_a_conversation_that_only_its_provider_can_read_is_refused():
    compacted = Message("user", (Foreign("openai-responses", {"item": {"type": "compaction"}}),))
    with pytest.raises(BadRequest, match="only the provider that compacted"):
        as_functions(turn(compacted, ASK), "openai-completions")


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        (ToolChoice("pinned", "spawn", "function", "agents"), ToolChoice("pinned", "agents__spawn")),
        (ToolChoice("pinned", "apply_patch", "custom"), ToolChoice("pinned", "apply_patch")),
        (ToolChoice("required"), ToolChoice("required")),
        (ToolChoice("none"), ToolChoice("none")),
        (None, None),
    ],
)
def test_a_tool_choice_names_the_function(choice, expected):
    asked, _ = as_functions(turn(tools=(PATCH, SPAWN), choice=choice), "openai-completions")
    assert asked.tool_choice == expected


@pytest.mark.parametrize("choice", [ToolChoice("pinned", "web_search", "hosted"), ToolChoice("required")])
def test_a_demanded_tool_that_nobody_runs_is_refused_by_name(choice):
    with pytest.raises(BadRequest, match="web_search") as caught:
        as_functions(turn(tools=(SEARCH,), choice=choice), "openai-completions")
    assert caught.value.param == "tool_choice"


def test_hosted_tools_alone_leave_a_request_without_tools():
    asked, _ = as_functions(turn(tools=(SEARCH,), choice=ToolChoice("auto")), "openai-completions")
    assert (asked.tools, asked.tool_choice) == ((), None)


PATCH_TEXT = '*** Begin Patch\n+é "x" \\n 👋\n*** End Patch'


@given(st.data())
def test_the_input_of_a_custom_tool_comes_back_as_text_under_any_split(data):
    arguments = json.dumps({"input": PATCH_TEXT}, ensure_ascii=data.draw(st.booleans()))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(arguments)), max_size=6)))
    pieces = [arguments[start:end] for start, end in pairwise([0, *cuts, len(arguments)])]
    events = [
        [TextDelta("I edit it."), ToolCallBegin(0, "c1", "apply_patch"), ToolCallBegin(1, "c2", "look")],
        *([ToolCallDelta(0, piece)] for piece in pieces),
        [ToolCallDelta(1, "{}"), Finish("tool_calls")],
    ]
    restorer = CallRestorer((FUNCTION, PATCH))
    answer = accumulated([event for batch in events for event in restorer.feed(batch)])
    assert answer.tool_calls == (ToolCall("c1", "apply_patch", PATCH_TEXT, kind="custom"), ToolCall("c2", "look", "{}"))


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ('{"input": "a\\nb', "a\nb"),
        ('{"input": "a\\', "a"),
        ('{"input": "a\\u00', "a"),
        ('{"inp', '{"inp'),
        ("*** Begin Patch", "*** Begin Patch"),
        ('{"patch": "a"}', "a"),
        ('{"input": 5}', '{"input": 5}'),
        ('{"a": 1, "b": "x"}', '{"a": 1, "b": "x"}'),
        ("", ""),
    ],
)
def test_an_input_that_was_cut_or_is_no_json_is_passed_on_as_far_as_it_is_known(arguments, text):
    restorer = CallRestorer((PATCH,))
    batch = [ToolCallBegin(0, "c", "apply_patch"), ToolCallDelta(0, arguments), Finish("length")]
    assert accumulated(restorer.feed(batch)).tool_calls[0].arguments == text


def test_calls_come_back_under_the_clients_names():
    restorer = CallRestorer((FUNCTION, SPAWN, SHELL))
    names = ["agents__spawn", "local_shell", "look", "unknown"]
    started = restorer.feed([ToolCallBegin(index, "c", name) for index, name in enumerate(names)])
    assert [(event.name, event.kind, event.namespace) for event in started] == [
        ("spawn", "function", "agents"),
        ("local_shell", "local_shell", None),
        ("look", "function", None),
        ("unknown", "function", None),
    ]
