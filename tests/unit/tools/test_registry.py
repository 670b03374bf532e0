import pytest

from gateway.tools.contract import Tool
from gateway.tools.filter import ToolFilter
from gateway.tools.registry import Registry, Toolset


def test_a_toolset_offers_what_every_filter_lets_pass(scripted):
    servers = [scripted("a", "read", "write"), scripted("b", "read")]
    offer = Toolset(Registry(servers), [ToolFilter(allow=("*__read",)), ToolFilter(deny=("b__*",))]).offer()
    assert [spec.name for spec in offer.specs] == ["a__read"]


def test_an_offer_is_computed_when_a_servers_tools_change_and_only_then(scripted):
    server = scripted("a", "read")
    toolset = Toolset(Registry([server]), [])
    offer = toolset.offer()
    assert toolset.offer() is offer
    server.tools = (*server.tools, Tool("write", None, {}))
    assert [spec.name for spec in toolset.offer().specs] == ["a__read", "a__write"]


def test_of_two_tools_that_look_the_same_one_is_offered(scripted):
    offer = Toolset(Registry([scripted("a", "read/all", "read all")]), []).offer()
    assert [(spec.name, offer.targets[spec.name][1]) for spec in offer.specs] == [("a__read-all", "read/all")]


def test_no_more_tools_are_offered_than_a_provider_takes(scripted):
    servers = [scripted("a", *map(str, range(5))), scripted("b", "last")]
    offer = Toolset(Registry(servers), [], max_tools=4).offer()
    assert [spec.name for spec in offer.specs] == list(offer.targets) == ["a__0", "a__1", "a__2", "a__3"]


@pytest.mark.parametrize("arguments", ['{"a":1}', ' {"a": 1} '])
async def test_a_call_reaches_the_tool_under_its_servers_own_name(scripted, arguments):
    server = scripted("a", "read/all")
    await Toolset(Registry([server]), []).offer().call("a__read-all", arguments, 3.0)
    assert server.called == [("read/all", {"a": 1}, 3.0)]


async def test_no_arguments_at_all_are_an_empty_object(scripted):
    server = scripted("a", "read")
    await Toolset(Registry([server]), []).offer().call("a__read", "", 3.0)
    assert server.called[0][1] == {}


@pytest.mark.parametrize(
    ("name", "arguments"), [("a__read", "[]"), ("a__read", "{"), ("a__read", '"x"'), ("b__read", "{}")]
)
async def test_an_invalid_call_is_an_error_for_the_model(scripted, name, arguments):
    server = scripted("a", "read")
    output = await Toolset(Registry([server]), []).offer().call(name, arguments, 3.0)
    assert output.failure == "error"
    assert output.content[0].text.startswith("Tool error: ")
    assert server.called == []


def test_a_failing_server_makes_the_registry_degraded(scripted):
    servers = [scripted("a"), scripted("b")]
    assert not Registry(servers).degraded
    servers[1].available = False
    assert Registry(servers).degraded
