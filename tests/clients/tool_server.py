"""A tool server of the client's own: one tool, over standard input and output."""

from mcp.server.mcpserver import MCPServer

server = MCPServer("clock")


@server.tool(structured_output=False)
def time_of(place: str) -> str:
    """The time at a place."""
    return f"noon in {place}"


server.run()
