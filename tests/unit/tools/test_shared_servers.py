"""Configurations that have a tool server unchanged share it; it closes with the last of them."""

from gateway.config.root import Config
from gateway.tools.configured import ToolServers, registry_from
from tests.unit.tools.test_configured import SERVER


def config(**servers):
    return Config.model_validate({"mcp": {"servers": servers}})


async def test_an_unchanged_server_goes_on_and_a_changed_one_is_started_beside_it():
    started = ToolServers()
    first = registry_from(config(same=SERVER, changed=SERVER), started)
    second = registry_from(config(same=SERVER, changed=SERVER | {"requestTimeoutMs": 1}), started)
    old = await first.__aenter__()
    new = await second.__aenter__()
    assert old is not None
    assert new is not None
    assert [server is other for server, other in zip(old.servers, new.servers, strict=True)] == [True, False]
    await first.__aexit__(None, None, None)
    same, changed = new.servers
    assert [one.server for one in started._started] == [same, changed]
    assert old.servers[1]._connection._task.done()  # type: ignore[attr-defined]
    assert not same._connection._task.done()  # type: ignore[attr-defined]
    await second.__aexit__(None, None, None)
    assert started._started == []
    assert same._connection._task.done()  # type: ignore[attr-defined]
