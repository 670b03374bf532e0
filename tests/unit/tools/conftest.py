"""A scripted tool server."""

import pytest

from gateway.core.message import Text
from gateway.tools.contract import Tool, ToolOutput


class Scripted:
    def __init__(self, name, *tools):
        self.name = name
        self.available = True
        self.tools = tuple(Tool(tool, None, {"type": "object"}) for tool in tools)
        self.called = []

    async def call(self, tool, arguments, limit):
        self.called.append((tool, arguments, limit))
        return ToolOutput((Text("done"),))


@pytest.fixture
def scripted():
    return Scripted
