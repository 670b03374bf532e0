"""Renders a whole answer as one `response` object."""

from collections.abc import Sequence
from typing import Any

from gateway.core.answer import Answer
from gateway.core.message import Foreign, Part, Refusal, Text, Thinking, ToolCall
from gateway.wire.openai_responses import WIRE
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
    items = _Items(answer, head)
    for part in answer.parts:
        items.add(part)
    return items.end(has_calls=bool(answer.tool_calls))


class _Items:
    """Collects the output items; a message is complete when another item follows."""

    def __init__(self, answer: Answer, head: Head) -> None:
        self._head = head
        self._output: list[dict[str, Any]] = []
        self._content: list[dict[str, Any]] = []  # of the message that is not complete yet
        # They are of the whole text, so the first text has them.
        self._logprobs: Sequence[Any] = (answer.logprobs or {}).get("content") or ()
        self._sources = [annotation(citation) for citation in answer.citations]

    def add(self, part: Part) -> None:
        """Add a part of the answer. Citations are at their text already; an answer has no further parts."""
        match part:
            case Text():
                self._content.append(self._text(part.text))
            case Refusal(text):
                self._content.append(refusal_part(text))
            case Thinking():
                self._end_message("commentary")
                self._output.append(reasoning_item(self._next_id("rs"), "completed", part, seal=self._head.seal))
            case ToolCall():
                self._end_message("commentary")
                self._output.append(call_item(self._next_id(ID_PREFIXES[part.kind]), "completed", part))
            case Foreign(wire) if wire == WIRE:
                self._end_message("commentary")
                if (own := foreign_item(part, self._head.id, len(self._output))) is not None:
                    self._output.append(own)
            case Foreign(text=str() as text) if text:
                self._append(text)
            case _:
                pass

    def end(self, *, has_calls: bool) -> list[dict[str, Any]]:
        """The items of the whole answer; without any, there is an empty message."""
        if not (self._content or has_calls or any(item["type"] == "message" for item in self._output)):
            self._content.append(self._text(""))
        self._end_message("commentary" if has_calls else "final_answer")
        return self._output

    def _append(self, text: str) -> None:
        """Add the text that stands for a part of another format, to the text before it."""
        last = self._content[-1] if self._content else None
        if last is not None and last["type"] == "output_text":
            last["text"] += text
        else:
            self._content.append(self._text(text))

    def _text(self, text: str) -> dict[str, Any]:
        part = text_part(text, self._logprobs, self._sources)
        self._logprobs, self._sources = (), []
        return part

    def _end_message(self, phase: Phase) -> None:
        if self._content:
            self._output.append(message_item(self._next_id("msg"), "completed", self._content, phase))
            self._content = []

    def _next_id(self, prefix: str) -> str:
        return output_id(prefix, self._head.id, len(self._output))
