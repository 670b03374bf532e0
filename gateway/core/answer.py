"""One complete answer of a model."""

from typing import Any

from msgspec import Struct

from gateway.core.event import FinishReason
from gateway.core.message import Citation, Message, Part, Refusal, Text, Thinking, ToolCall
from gateway.core.raw_text import RawText, text_of
from gateway.core.usage import NO_USAGE, Usage


class Answer(Struct, frozen=True, eq=False):
    """One complete answer; `raw` is its text as it arrived, None if the model sent no text.

    `logprobs` are joined in OpenAI's form. `tool_work` are the hidden messages of the agent's own tool calls.
    `interleaved` is its content in order where that differs from reasoning, text, refusal, calls; empty otherwise.
    """

    raw: RawText | None
    finish: FinishReason
    usage: Usage = NO_USAGE
    tool_calls: tuple[ToolCall, ...] = ()
    thinking: tuple[Thinking, ...] = ()
    refusal: str | None = None
    logprobs: dict[str, Any] | None = None
    tool_work: tuple[Message, ...] = ()
    citations: tuple[Citation, ...] = ()
    raw_finish: str | None = None
    stop_sequence: str | None = None
    interleaved: tuple[Part, ...] = ()

    @property
    def parts(self) -> tuple[Part, ...]:
        """The content in the model's order; citations come last. An empty text is no content."""
        return (self.interleaved or self._usual_order()) + self.citations

    def _usual_order(self) -> tuple[Part, ...]:
        text = (Text(self.raw),) if self.raw is not None and self.text else ()
        refusal = (Refusal(self.refusal),) if self.refusal else ()
        return *self.thinking, *text, *refusal, *self.tool_calls

    @property
    def text(self) -> str | None:
        """The decoded text."""
        return None if self.raw is None else text_of(self.raw)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Answer) and self._meaning() == other._meaning()

    def __hash__(self) -> int:
        return hash((self.text, self.finish))

    def _meaning(self) -> tuple[object, ...]:
        whole = (self.text, self.finish, self.usage, self.tool_calls, self.thinking, self.refusal, self.logprobs)
        return *whole, self.citations, self.raw_finish, self.stop_sequence, self.interleaved

    def messages(self) -> tuple[Message, ...]:
        """The answer as the next message of its conversation, after `tool_work`; none if the model only thought."""
        # What the model thought before it called the agent's tools is beside those calls.
        done = sum(type(part) is Thinking for message in self.tool_work for part in message.parts)
        beside_work = self.thinking[:done]
        parts = tuple(part for part in self.parts if not any(part is block for block in beside_work))
        if all(type(part) in (Thinking, Citation) for part in parts):
            return ()
        return (Message("assistant", parts),)
