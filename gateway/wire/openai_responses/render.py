"""A whole answer → one `response` body."""

from typing import Any

from gateway.core.ids import new_id
from gateway.core.jsonio import dumps
from gateway.core.reply import Reply
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


def render_reply(reply: Reply, head: Head, *, completed: int) -> bytes:
    """The body; `completed` in Unix seconds. What the model said beside its calls is a message before them."""
    status = status_of(reply.finish)
    output: list[dict[str, Any]] = []
    if reply.text or reply.refusal or not reply.tool_calls:
        logprobs = (reply.logprobs or {}).get("content") or ()
        content = [text_part(reply.text or "", logprobs)] if reply.text or not reply.refusal else []
        if reply.refusal:
            content.append(refusal_part(reply.refusal))
        phase: Phase = "commentary" if reply.tool_calls else "final_answer"
        output.append(message_item(new_id("msg_"), "completed", content, phase))
    output += (call_item(new_id("fc_"), "completed", call.id, call.name, call.arguments) for call in reply.tool_calls)
    output[-1]["status"] = status  # what was cut short is the end
    return dumps(
        response_object(
            head,
            status,
            output,
            finish=reply.finish,
            usage=reply.usage,
            completed=completed if status == "completed" else None,
        )
    )
