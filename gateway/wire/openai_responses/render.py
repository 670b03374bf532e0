"""A whole answer → one `response` object."""

from typing import Any

from gateway.core.reply import Reply
from gateway.wire.openai_responses.item_id import output_id
from gateway.wire.openai_responses.response_object import (
    Head,
    Phase,
    call_item,
    message_item,
    refusal_part,
    response_object,
    status_of,
    text_part,
)


def reply_object(reply: Reply, head: Head, *, completed: int) -> dict[str, Any]:
    """The response; `completed` in Unix seconds. What the model said beside its calls is a message before them."""
    status = status_of(reply.finish)
    output: list[dict[str, Any]] = []
    if reply.text or reply.refusal or not reply.tool_calls:
        logprobs = (reply.logprobs or {}).get("content") or ()
        content = [text_part(reply.text or "", logprobs)] if reply.text or not reply.refusal else []
        if reply.refusal:
            content.append(refusal_part(reply.refusal))
        phase: Phase = "commentary" if reply.tool_calls else "final_answer"
        output.append(message_item(output_id("msg", head.id, 0), "completed", content, phase))
    for index, call in enumerate(reply.tool_calls, len(output)):
        item = output_id("fc", head.id, index)
        output.append(call_item(item, "completed", call))
    output[-1]["status"] = status  # what was cut short is the end
    return response_object(
        head,
        status,
        output,
        finish=reply.finish,
        usage=reply.usage,
        completed=completed if status == "completed" else None,
    )
