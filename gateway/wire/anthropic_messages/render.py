"""Renders a whole answer as one message (https://platform.claude.com/docs/en/api/messages)."""

from collections.abc import Iterator, Sequence
from itertools import groupby, pairwise
from typing import Any

from gateway.core.answer import Answer
from gateway.core.ids import new_id
from gateway.core.jsonio import dumps
from gateway.core.message import Citation, Foreign, Part, Refusal, Text, Thinking, ToolCall
from gateway.core.seal import Seal
from gateway.wire.anthropic_messages import WIRE
from gateway.wire.anthropic_messages.citations import citation_object
from gateway.wire.anthropic_messages.signature import redacted_data, signature_of
from gateway.wire.anthropic_messages.stop_reason import end_fields
from gateway.wire.anthropic_messages.stream import Renderer
from gateway.wire.anthropic_messages.usage import whole_usage
from gateway.wire.arguments import arguments_object

Block = dict[str, Any]


class MessageRenderer:
    """Renders the answer to one request. `seal` is that of the caller, `request_id` is in errors, and `prompt_tokens`
    estimates the prompt for the beginning of a stream. See `gateway.wire.contract.AnswerRenderer`.
    """

    __slots__ = ("_prompt_tokens", "_request_id", "_seal")

    def __init__(self, *, seal: Seal | None, request_id: str, prompt_tokens: int = 0) -> None:
        self._seal = seal
        self._request_id = request_id
        self._prompt_tokens = prompt_tokens

    def stream(self, model: str) -> Renderer:
        """See AnswerRenderer."""
        return Renderer(
            new_id("msg_"), model, seal=self._seal, request_id=self._request_id, prompt_tokens=self._prompt_tokens
        )

    def body(self, answer: Answer, model: str) -> bytes:
        """See AnswerRenderer."""
        return dumps(
            {
                "id": new_id("msg_"),
                "type": "message",
                "role": "assistant",
                "model": model,
                "content": list(_content(answer, self._seal)),
                **end_fields(answer.finish, answer.raw_finish, answer.stop_sequence, answer.refusal),
                "usage": whole_usage(answer.usage),
            }
        )


def _content(answer: Answer, seal: Seal | None) -> Iterator[Block]:
    start = 0  # in the text of the whole answer, which the citations refer to
    for part in answer.parts:
        if isinstance(part, Text):
            yield from _text_blocks(part, start, answer.citations)
            start += len(part.text) if answer.citations else 0
        elif (block := _block(part, seal)) is not None:
            yield block


def _block(part: Part, seal: Seal | None) -> Block | None:
    match part:
        case Refusal(text):
            return {"type": "text", "text": text, "citations": None}
        case Thinking():
            if (data := redacted_data(part, seal)) is not None:
                return {"type": "redacted_thinking", "data": data}
            signature = signature_of(part, seal)
            return (
                {"type": "thinking", "thinking": part.text, "signature": signature} if part.text or signature else None
            )
        case ToolCall(call_id, name):
            return {"type": "tool_use", "id": call_id, "name": name, "input": arguments_object(part)}
        case Foreign(wire, payload) if wire == WIRE:
            return dict(payload)
        case Foreign(text=str() as text) if text:
            return {"type": "text", "text": text, "citations": None}
        case _:
            return None  # citations are at their text


def _text_blocks(part: Text, start: int, citations: Sequence[Citation]) -> Iterator[Block]:
    """The text, cut where a citation begins or ends: a citation applies to a whole block."""
    if not citations:
        yield {"type": "text", "text": part.raw, "citations": None}
        return
    text = part.text
    end = start + len(text)
    known = [
        (begin, stop, one)
        for one in citations
        if (begin := max(one.start or 0, start)) < (stop := min(end if one.end is None else one.end, end))
    ]
    edges = sorted({start, end, *(edge for begin, stop, _ in known for edge in (begin, stop))})
    cited = [
        ([one for begin, stop, one in known if begin <= left and right <= stop], text[left - start : right - start])
        for left, right in pairwise(edges)
    ]
    for _, group in groupby(cited, key=lambda piece: [id(one) for one in piece[0]]):
        pieces = list(group)
        sources = [citation_object(one) for one in pieces[0][0]]
        yield {"type": "text", "text": "".join(piece for _, piece in pieces), "citations": sources or None}
