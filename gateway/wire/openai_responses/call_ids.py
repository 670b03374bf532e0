"""Checks that the results of tool calls in a continued conversation belong to its calls."""

from collections.abc import Iterable, Iterator

from gateway.core.errors import BadRequest
from gateway.core.message import Foreign, Message, ToolCall, ToolResult
from gateway.wire.openai_responses import ITEM


def check_results(earlier: Iterable[Message], new: Iterable[Message]) -> None:
    """Raise BadRequest if a result in the `new` messages belongs to no call before or among them, as in OpenAI's API.

    A provider would refuse it too, or its model would guess.
    """
    new = tuple(new)
    results = [part.call_id for message in new for part in message.parts if isinstance(part, ToolResult)]
    if not results:
        return
    calls = set(_call_ids(earlier)).union(_call_ids(new))
    for call_id in results:
        if call_id not in calls:
            raise BadRequest(
                f"No tool call found for function call output with call_id {call_id[:80]}.",
                param="input",
                code="tool_call_not_found",
            )


def _call_ids(messages: Iterable[Message]) -> Iterator[str]:
    for message in messages:
        for part in message.parts:
            if isinstance(part, ToolCall):
                yield part.id
            elif isinstance(part, Foreign) and isinstance(item := part.payload.get(ITEM), dict):
                yield str(item.get("call_id"))
