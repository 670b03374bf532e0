"""Renders a whole answer as one `response` object."""

from typing import Any

from gateway.core.answer import Answer
from gateway.core.message import Foreign, Refusal, Text, Thinking, ToolCall
from gateway.wire.openai_responses.client_tools import ID_PREFIXES
from gateway.wire.openai_responses.item_id import output_id
from gateway.wire.openai_responses.reasoning import reasoning_item
from gateway.wire.openai_responses.response_object import (
    Head,
    Phase,
    annotation,
    call_item,
    foreign_item,
    message_item,
    refusal_part,
    response_object,
    status_of,
    text_part,
)


def answer_object(answer: Answer, head: Head, *, completed: int) -> dict[str, Any]:
    """The response; `completed` in Unix seconds. The items are in the model's order, as in a stream."""
    status = status_of(answer.finish)
    output = _items(answer, head)
    output[-1]["status"] = status  # an incomplete answer ends within its last item
    return response_object(
        head,
        status,
        output,
        finish=answer.finish,
        usage=answer.usage,
        completed=completed if status == "completed" else None,
    )


def _items(answer: Answer, head: Head) -> list[dict[str, Any]]:
    logprobs = (answer.logprobs or {}).get("content") or ()
    sources = [annotation(citation) for citation in answer.citations]
    output: list[dict[str, Any]] = []
    content: list[dict[str, Any]] = []  # of the message that is not complete yet

    def end_message(phase: Phase) -> None:
        if content:
            output.append(message_item(output_id("msg", head.id, len(output)), "completed", content.copy(), phase))
            content.clear()

    for part in answer.parts:
        match part:
            case Text():
                content.append(text_part(part.text, logprobs, sources))
                logprobs, sources = (), []  # they are of the whole text
            case Refusal(text):
                content.append(refusal_part(text))
            case Thinking():
                end_message("commentary")
                item = output_id("rs", head.id, len(output))
                output.append(reasoning_item(item, "completed", part, seal=head.seal))
            case ToolCall():
                end_message("commentary")
                output.append(call_item(output_id(ID_PREFIXES[part.kind], head.id, len(output)), "completed", part))
            case Foreign():
                end_message("commentary")
                if (own := foreign_item(part, head.id, len(output))) is not None:
                    output.append(own)
            case _:
                pass  # citations are at their text; an answer has no other parts
    if not (content or answer.tool_calls or any(item["type"] == "message" for item in output)):
        content.append(text_part("", logprobs, sources))
    end_message("commentary" if answer.tool_calls else "final_answer")
    return output
