"""A tool server of a client or of the gateway: one tool, over standard input and output.

It makes the files that its arguments name when it has started.
"""

import sys
from pathlib import Path

from mcp.server.mcpserver import MCPServer

server = MCPServer("clock")


@server.tool(structured_output=False)
def time_of(city: str) -> str:
    """The time at a city."""
    return f"noon in {city}"


for file in sys.argv[1:]:
    Path(file).touch()
server.run()
