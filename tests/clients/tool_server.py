"""A tool server of the client's own: one tool, over standard input and output."""

from mcp.server.mcpserver import MCPServer

server = MCPServer("clock")


@server.tool(structured_output=False)
def time_of(city: str) -> str:
    """The time at a city."""
    return f"noon in {city}"


server.run()
