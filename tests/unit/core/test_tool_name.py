import re

import pytest

from gateway.core.tool_name import tool_name, tool_prefix


@pytest.mark.parametrize(
    ("server", "tool", "name"),
    [
        ("files", "read", "files__read"),
        ("my files!", "read/all", "my-files-__read-all"),
        ("a__b", "c", "a_b__c"),
        ("a_", "b", "a__b"),
        ("a", "_b", "a___b"),
        ("x" * 40, "t", "x" * 30 + "__t"),
    ],
)
def test_a_tool_name_is_server_and_tool(server, tool, name):
    assert tool_name(server, tool) == name


def test_tools_of_two_servers_never_have_the_same_name():
    servers, tools = ("a", "a_b", "a-b", "ab"), ("b__c", "c", "_c", "b_c", "__c")
    assert len({tool_prefix(server) for server in servers}) == len(servers)
    assert len({tool_name(server, tool) for server in servers for tool in tools}) == len(servers) * len(tools)


def test_long_names_fit_and_stay_apart():
    names = {tool_name("server", "t" * 80 + ending) for ending in "abc"}
    assert len(names) == 3
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{64}", name) for name in names)
