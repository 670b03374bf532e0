"""Tools that an agent runs itself. The agent's loop over them is in `gateway.runs.tool_rounds`."""
