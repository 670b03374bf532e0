"""A tool server of the client's own: one tool, over standard input and output."""

from mcp.server.fastmcp import FastMCP

server = FastMCP("clock")


@server.tool()
def time_of(place: str) -> str:
    """The time at a place."""
    return f"noon in {place}"


server.run()
