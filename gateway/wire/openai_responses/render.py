"""Renders a whole answer as one `response` object."""

from typing import Any

from gateway.core.accumulator import Answer
from gateway.wire.openai_responses.item_id import output_id
from gateway.wire.openai_responses.reasoning import reasoning_item
from gateway.wire.openai_responses.response_object import (
    Head,
    Phase,
    annotation,
    call_item,
    message_item,
    refusal_part,
    response_object,
    status_of,
    text_part,
)


def answer_object(answer: Answer, head: Head, *, completed: int) -> dict[str, Any]:
    """The response; `completed` in Unix seconds. Reasoning comes first, then text, then calls."""
    status = status_of(answer.finish)
    output: list[dict[str, Any]] = []
    for block in answer.thinking:
        item = output_id("rs", head.id, len(output))
        output.append(reasoning_item(item, "completed", block, seal=head.seal))
    if answer.text or answer.refusal or not answer.tool_calls:
        logprobs = (answer.logprobs or {}).get("content") or ()
        sources = [annotation(citation) for citation in answer.citations]
        content = [text_part(answer.text or "", logprobs, sources)] if answer.text or not answer.refusal else []
        if answer.refusal:
            content.append(refusal_part(answer.refusal))
        phase: Phase = "commentary" if answer.tool_calls else "final_answer"
        output.append(message_item(output_id("msg", head.id, len(output)), "completed", content, phase))
    for index, call in enumerate(answer.tool_calls, len(output)):
        item = output_id("fc", head.id, index)
        output.append(call_item(item, "completed", call))
    output[-1]["status"] = status  # an incomplete answer ends within its last item
    return response_object(
        head,
        status,
        output,
        finish=answer.finish,
        usage=answer.usage,
        completed=completed if status == "completed" else None,
    )
