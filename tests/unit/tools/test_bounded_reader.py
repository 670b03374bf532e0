import pytest
from mcp.shared.message import SessionMessage
from mcp_types import jsonrpc_message_adapter
from structlog.testing import capture_logs

from gateway.tools.bounded_reader import BoundedReader

LOGGED = {"method": "notifications/message", "params": {"level": "info", "data": "x"}}


def message(**fields):
    return SessionMessage(jsonrpc_message_adapter.validate_python({"jsonrpc": "2.0"} | fields))


class Said:
    def __init__(self, items):
        self._items = iter(items)

    def __aiter__(self):
        return self

    async def __anext__(self):
        try:
            return next(self._items)
        except StopIteration:
            raise StopAsyncIteration from None


@pytest.fixture
def read():
    """The remaining items, the number of calls of `ended`, and the pauses of the reader."""

    async def build(items):
        ends, pauses = [], []

        async def sleep(seconds):
            pauses.append(seconds)

        incoming = BoundedReader("s", Said(items), lambda: ends.append(1), sleep=sleep)
        return [item async for item in incoming], len(ends), pauses

    return build


async def test_notifications_are_dropped_and_the_rest_is_passed_on(read):
    request, response, noise = message(id=1, method="ping"), message(id=2, result={}), ValueError("no message")
    passed, ends, pauses = await read([message(**LOGGED), request, message(**LOGGED), noise, response])
    assert passed == [request, noise, response]
    assert (ends, pauses) == (1, [])


async def test_a_flood_is_read_slowly(read):
    response = message(id=2, result={})
    passed, _, pauses = await read([*[message(**LOGGED)] * 1001, response])
    assert passed == [response]
    assert len(pauses) == 2
    assert 0 < pauses[0] <= 1


async def test_requests_of_a_server_count_for_more(read):
    _, _, pauses = await read([message(id=1, method="ping")] * 21)
    assert len(pauses) == 1


async def test_a_pause_is_over_with_its_second():
    now, asked = 10.0, []

    async def sleep(seconds):
        nonlocal now
        asked.append(seconds)
        now += seconds

    incoming = BoundedReader("s", Said([message(**LOGGED)] * 2100), lambda: None, sleep=sleep, clock=lambda: now)
    assert [item async for item in incoming] == []
    assert asked == [1.0, 1.0]


async def test_only_the_fields_for_models_remain_of_a_tool(read):
    schema = {"type": "object", "properties": {"a": {}}, "additionalProperties": False}
    offered = {"name": "a", "description": "A.", "inputSchema": schema}
    page = message(id=1, result={"tools": [offered | {"outputSchema": {}, "title": 5, "annotations": "x"}]})
    (passed,), _, _ = await read([page])
    assert passed.message.result == {"tools": [offered]}


async def test_a_tool_without_fields_gets_an_object_that_providers_take(read):
    (passed,), _, _ = await read([message(id=1, result={"tools": [{"name": "a", "inputSchema": {"type": "object"}}]})])
    assert passed.message.result["tools"] == [{"name": "a", "inputSchema": {"type": "object", "properties": {}}}]


@pytest.mark.parametrize(
    ("tool", "reason"),
    [
        ({"inputSchema": {}}, "no name"),
        ("a", "no name"),
        ({"name": "a"}, "not the schema of an object"),
        ({"name": "a", "inputSchema": {"type": "string"}}, "not the schema of an object"),
        ({"name": "a", "inputSchema": {}, "description": "x" * 70_000}, "more than 65536 bytes"),
    ],
)
async def test_a_tool_that_providers_would_refuse_is_not_offered_and_logged_once(read, tool, reason):
    with capture_logs() as logs:
        passed, _, _ = await read([message(id=1, result={"tools": [tool]}), message(id=2, result={"tools": [tool]})])
    assert [item.message.result["tools"] for item in passed] == [[], []]
    assert len(logs) == 1
    assert reason in logs[0]["reason"]
