"""`tool_choice: required` or a pinned function, verified: everything is held back until the demanded call begins.

A caller that demanded a call never sees an answer without it: the stream fails with ToolChoiceUnmet instead.
"""

from gateway.core.errors import ToolChoiceUnmet
from gateway.core.event import Batch, Finish, Stream, ToolCallBegin
from gateway.core.turn import ToolChoice


def demands_call(choice: ToolChoice | None) -> bool:
    """Whether an answer without a call would break the caller's demand."""
    return choice is not None and choice.mode in ("required", "pinned")


async def verified(stream: Stream, choice: ToolChoice) -> Stream:
    """The stream, from the moment when the demanded call is certain. Raises ToolChoiceUnmet at its end otherwise."""
    held: Batch = []
    met = False
    try:
        async for batch in stream:
            if met:
                yield batch
                continue
            held += batch
            if any(isinstance(event, ToolCallBegin) and choice.name in (None, event.name) for event in batch):
                met = True
                yield held
                held = []
            elif any(isinstance(event, Finish) for event in batch):
                break
    finally:
        await stream.aclose()
    if not met:
        raise ToolChoiceUnmet(_sentence(choice), param="tool_choice")


def _sentence(choice: ToolChoice) -> str:
    if choice.mode == "pinned":
        return f"tool_choice required a {choice.name} tool call, but the agent did not produce one"
    return "tool_choice=required was not satisfied by the agent response"
