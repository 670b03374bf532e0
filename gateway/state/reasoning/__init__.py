"""The reasoning and extras of tool calls, which models need back, by the id of the call."""
