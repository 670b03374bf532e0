"""A tool server of the client's own: one tool, over standard input and output. It makes a file when it has started."""

import sys
from pathlib import Path

from mcp.server.mcpserver import MCPServer

server = MCPServer("clock")


@server.tool(structured_output=False)
def time_of(city: str) -> str:
    """The time at a city."""
    return f"noon in {city}"


Path(sys.argv[1]).touch()
server.run()
