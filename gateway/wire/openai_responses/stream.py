"""Renders events of a run as the SSE events of a streamed response, numbered without a gap.

Order as in OpenClaw: created, in_progress, then the items one after the other, then exactly one of completed,
incomplete and failed, and `[DONE]`. `event:` repeats `type`.
"""

from collections.abc import Callable, Iterable
from typing import Any, assert_never

from gateway.core.errors import GatewayError
from gateway.core.event import (
    Batch,
    CitationFound,
    Event,
    Finish,
    FinishReason,
    ForeignFound,
    RefusalDelta,
    TextDelta,
    ThinkingDelta,
    ThinkingEnd,
    ToolCallBegin,
    ToolCallDelta,
    ToolWork,
    UsageReport,
)
from gateway.core.jsonio import dumps
from gateway.core.message import Foreign, Message, Thinking
from gateway.core.usage import NO_USAGE, Usage
from gateway.wire.framing.sse import DONE
from gateway.wire.openai_responses.response_object import (
    Head,
    Phase,
    Status,
    foreign_item,
    response_object,
    status_of,
)
from gateway.wire.openai_responses.stream_items import (
    TEXT_DELTA,
    Announcement,
    OpenCall,
    OpenMessage,
    OpenReasoning,
    PartKind,
)


class Renderer:
    """One streamed response: `feed` batches, then `close`, or `fail`; `now` returns Unix seconds.

    The response object is available before the final frames: `outcome` after the last batch, `failure` for a failure.
    `final` is the response that the final frames reported, None before them. `tool_work` holds the messages of tool
    rounds, which the response does not show.
    """

    __slots__ = (
        "_calls",
        "_finish",
        "_head",
        "_message",
        "_now",
        "_output",
        "_reasoning",
        "_response",
        "_sequence",
        "_started",
        "_usage",
        "final",
        "tool_work",
    )

    def __init__(self, head: Head, *, now: Callable[[], float]) -> None:
        self._head = head
        self._now = now
        self._sequence = 0
        self._started = False
        self._output: list[dict[str, Any]] = []  # by output index; {} for an item that is still open
        self._message: OpenMessage | None = None
        self._reasoning: OpenReasoning | None = None
        self._calls: dict[int, OpenCall] = {}
        self._finish: FinishReason = "stop"
        self._usage: Usage | None = None
        self._response: dict[str, Any] | None = None
        self.final: dict[str, Any] | None = None
        self.tool_work: tuple[Message, ...] = ()

    def open(self) -> list[bytes]:
        """The frames of a queued response; `in_progress` follows with the first batch."""
        response = response_object(self._head, "queued", ())
        return self._frames((kind, {"response": response}) for kind in ("response.created", "response.queued"))

    def feed(self, batch: Batch) -> bytes:
        """The frames of one batch, for one write. Raises UpstreamError for calls that can't be shown in order."""
        return b"".join(self.frames(batch))

    def frames(self, batch: Batch) -> list[bytes]:
        """The frames of one batch, one by one, numbered without a gap. Raises as `feed`."""
        first_sequence, started = self._sequence, self._started
        frames = self._start()
        try:
            for event in batch:
                message = self._message
                if (
                    event.__class__ is TextDelta
                    and event.logprobs is None
                    and message is not None
                    and message.text_head
                ):
                    message.add(event)
                    frames.append(
                        b'%b%b,"sequence_number":%d}\n\n' % (message.text_head, dumps(event.text), self._sequence)
                    )
                    self._sequence += 1
                else:
                    frames += self._frames(self._announced(event))
        except GatewayError:
            # The frames of this batch are never sent.
            self._sequence, self._started = first_sequence, started
            raise
        return frames

    def outcome(self) -> dict[str, Any]:
        """The response object after the last batch."""
        if self._response is None:
            status = status_of(self._finish)
            self._response = response_object(
                self._head,
                status,
                self._output,
                finish=self._finish,
                usage=self._usage or NO_USAGE,
                completed=int(self._now()) if status == "completed" else None,
            )
        return self._response

    def failure(self, error: GatewayError) -> dict[str, Any]:
        """The failed response, with the complete items."""
        if self._response is None:
            done = [item for item in self._output if item]
            self._response = response_object(self._head, "failed", done, usage=self._usage, error=error)
        return self._response

    def cancellation(self) -> dict[str, Any]:
        """The response that the caller cancelled, with the complete items."""
        done = [item for item in self._output if item]
        self._response = response_object(self._head, "cancelled", done, usage=self._usage)
        return self._response

    def close(self) -> bytes:
        """The frames that end a complete answer."""
        return b"".join(self.end(self.outcome())) + DONE

    def fail(self, error: GatewayError) -> bytes:
        """The frames that end a failed answer."""
        return b"".join(self.end(self.failure(error))) + DONE

    def end(self, response: dict[str, Any]) -> list[bytes]:
        """The final frames; a cancelled response ends with `response.failed`, as OpenAI has no event for it."""
        self.final = response
        status = response["status"]
        kind = f"response.{status if status in ('completed', 'incomplete') else 'failed'}"
        return [*self._start(), *self._frames([(kind, {"response": response})])]

    def _start(self) -> list[bytes]:
        if self._started:
            return []
        self._started = True
        response = response_object(self._head, "in_progress", ())
        kinds = ("response.in_progress",) if self._sequence else ("response.created", "response.in_progress")
        return self._frames((kind, {"response": response}) for kind in kinds)

    def _frames(self, announcements: Iterable[Announcement]) -> list[bytes]:
        frames = []
        for kind, fields in announcements:
            payload = {"type": kind, **fields, "sequence_number": self._sequence}
            self._sequence += 1
            frames.append(_frame(kind, payload))
        return frames

    def _announced(self, event: Event) -> list[Announcement]:
        match event:
            case TextDelta(logprobs=logprobs):
                tokens = (logprobs.get("content") or ()) if isinstance(logprobs, dict) else ()
                message, events = self._open_part("output_text")
                message.add(event)
                return [*events, (TEXT_DELTA, {**message.part, "delta": event.text, "logprobs": tokens})]
            case RefusalDelta(text):
                message, events = self._open_part("refusal")
                message.add(event)
                return [*events, ("response.refusal.delta", {**message.part, "delta": text})]
            case CitationFound():
                message, events = self._open_part("output_text")
                return [*events, message.cite(event)]
            case ForeignFound(part):
                return self._foreign(part)
            case ThinkingDelta():
                return self._think(event)
            case ThinkingEnd(block):
                return self._end_reasoning(block, "completed")
            case ToolCallBegin():
                return self._begin_call(event)
            case ToolCallDelta(index):
                return self._calls[index].add(event)
            case Finish(reason):
                self._finish = reason
                return self._end_items()
            case UsageReport(usage):
                self._usage = usage
                return []
            case ToolWork(messages):
                self.tool_work = messages
                return []
            case _:
                assert_never(event)

    def _think(self, delta: ThinkingDelta) -> list[Announcement]:
        if self._reasoning is not None:
            return [self._reasoning.add(delta)]
        events = self._end_message("completed", "commentary")
        reasoning = self._reasoning = OpenReasoning(self._head, self._next_index(), delta.kind)
        return [*events, *reasoning.open_events(), reasoning.add(delta)]

    def _end_reasoning(self, block: Thinking | None, status: Status) -> list[Announcement]:
        reasoning, self._reasoning = self._reasoning, None
        events: list[Announcement] = []
        if reasoning is None:
            if block is None:
                return []
            events = self._end_message("completed", "commentary")  # a block without text, for example encrypted
            reasoning = OpenReasoning(self._head, self._next_index(), block.kind)
            events += reasoning.open_events()
        self._output[reasoning.index], ended = reasoning.close(block, status)
        return events + ended

    def _open_part(self, kind: PartKind) -> tuple[OpenMessage, list[Announcement]]:
        events = self._end_reasoning(None, "completed")
        if self._message is None:
            self._message = OpenMessage(self._head.id, self._next_index())
            events.append(self._message.open_event())
        return self._message, [*events, *self._message.begin(kind)]

    def _foreign(self, part: Foreign) -> list[Announcement]:
        item = foreign_item(part, self._head.id, len(self._output))
        if item is None:
            return self._announced(TextDelta(part.text)) if part.text else []
        events = self._end_reasoning(None, "completed") + self._end_message("completed", "commentary")
        index = self._next_index()
        self._output[index] = item
        where = {"output_index": index, "item": item}
        return [*events, ("response.output_item.added", where), ("response.output_item.done", where)]

    def _begin_call(self, begin: ToolCallBegin) -> list[Announcement]:
        events = self._end_reasoning(None, "completed") + self._end_message("completed", "commentary")
        for call in self._calls.values():
            # Most providers send calls one after the other. If a provider interleaves them, close only complete ones.
            if not call.closed and call.whole:
                events += self._end_call(call, "completed")
        call = self._calls[begin.index] = OpenCall(self._head.id, self._next_index(), begin)
        return [*events, call.open_event()]

    def _end_items(self) -> list[Announcement]:
        """Close all open items; an incomplete answer ends within its last item."""
        events = self._end_reasoning(None, "completed")
        if (
            self._message is None
            and not any(item.get("type") == "message" for item in self._output)
            and not self._calls
        ):
            events += self._open_part("output_text")[1]
        last, status = len(self._output) - 1, status_of(self._finish)
        for call in self._calls.values():
            if not call.closed:
                events += self._end_call(call, status if call.index == last else "completed")
        return events + self._end_message(status, "commentary" if self._calls else "final_answer")

    def _end_message(self, status: Status, phase: Phase) -> list[Announcement]:
        message, self._message = self._message, None
        if message is None:
            return []
        self._output[message.index], events = message.close(status, phase)
        return events

    def _end_call(self, call: OpenCall, status: Status) -> list[Announcement]:
        self._output[call.index], events = call.close(status)
        return events

    def _next_index(self) -> int:
        self._output.append({})
        return len(self._output) - 1


def _frame(kind: str, payload: dict[str, Any]) -> bytes:
    return b"event: " + kind.encode() + b"\ndata: " + dumps(payload) + b"\n\n"
