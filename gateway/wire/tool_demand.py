"""A demanded tool call in words, for models that can't be forced to call: `gateway.runs` checks that the call comes."""

from gateway.core.turn import ToolChoice


def demand_of(choice: ToolChoice | None) -> str | None:
    """The instruction that stands in for this `tool_choice`; None if it demands no call."""
    if choice is None or choice.mode not in ("required", "pinned"):
        return None
    tool = f"the tool `{choice.name}`" if choice.mode == "pinned" else "one of the tools"
    return f"You must answer this message by calling {tool}. Do not answer with text."
