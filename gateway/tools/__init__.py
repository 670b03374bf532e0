"""Tools that the gateway runs for an agent. `gateway.runs.tool_rounds` has the loop that calls them."""
