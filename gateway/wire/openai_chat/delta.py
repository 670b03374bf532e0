"""A `delta` of a stream, or the `message` of a whole answer, → events.

An emoji cut in two by JSON escapes is put together, and calls are told apart however a server numbers them. What can't
be trusted is MALFORMED, never a guess.
"""

from typing import Any

from msgspec import Raw

from gateway.core.event import Batch, RefusalDelta, TextDelta, ThinkingDelta, ToolCallBegin, ToolCallDelta
from gateway.core.jsonio import InvalidJSON, loads
from gateway.core.message import NO_EXTRAS, Extras
from gateway.core.upstream_error import UpstreamError, UpstreamKind
from gateway.core.written import RawText, is_empty, is_string
from gateway.wire.openai_chat import WIRE
from gateway.wire.openai_chat.shapes import CALL_FIELDS, Call, Delta


def malformed(what: str) -> UpstreamError:
    """An answer that can't be read."""
    return UpstreamError(UpstreamKind.MALFORMED, f"The provider's answer could not be read: {what}.")


class ChunkReader:
    """Reads the deltas of one answer; remembers which calls have begun and half of a cut surrogate pair."""

    __slots__ = ("_begun", "calls", "pending_half")

    def __init__(self) -> None:
        self._begun: dict[int, tuple[int, str]] = {}
        self.pending_half = ""
        self.calls = 0

    def read(self, delta: Delta, logprobs: Any, batch: Batch) -> None:
        """Add the events of one `delta`, or of a whole `message`, to `batch`."""
        if thinking := delta.reasoning_content or delta.reasoning:
            batch.append(ThinkingDelta(thinking))
        if (text := self._text(delta.content)) is not None:
            batch.append(TextDelta(text, logprobs))
        if delta.refusal:
            batch.append(RefusalDelta(delta.refusal))
        if delta.tool_calls:
            self._tool_calls(delta.tool_calls, batch)

    def _text(self, content: str | list[Any] | Raw | None) -> RawText | None:
        """What there is to say, if anything; what is no plain text yet is made one."""
        if isinstance(content, Raw):
            if is_string(content):
                return None if is_empty(content) else content  # exact, so it holds no half of a pair
            try:
                content = loads(content)
            except InvalidJSON as error:
                raise malformed(str(error)) from None
        if isinstance(content, list):
            text = "".join(str(part.get("text", "")) for part in content if isinstance(part, dict))
        elif content is None or isinstance(content, str):
            text = content or ""
        else:
            raise malformed("its content is no text")
        if self.pending_half or not text.isascii():
            text = self._rejoin(text)
        return text or None

    def _rejoin(self, text: str) -> str:
        text, self.pending_half = self.pending_half + text, ""
        if "\ud800" <= text[-1:] <= "\udbff":
            text, self.pending_half = text[:-1], text[-1]
        try:
            text.encode()
        except UnicodeEncodeError:
            return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        return text

    def _tool_calls(self, calls: list[Call], batch: Batch) -> None:
        for position, call in enumerate(calls):
            function = call.function
            if function is None:
                raise malformed("a tool call has no function")
            key = position if call.index is None else call.index
            index, call_id = self._begun.get(key, (-1, ""))
            # Gemini and others number all calls 0 and tell them apart by id alone.
            if index < 0 or (call.id and function.name and call.id != call_id):
                if not function.name or function.name.isspace():
                    raise malformed("a tool call has no name")
                # Ids pair calls with results in the next turn, so a server that gives none gets one made for it.
                index, call_id = self.calls, call.id if call.id and call.id.strip() else f"call_{self.calls}"
                self._begun[key] = index, call_id
                self.calls += 1
                batch.append(ToolCallBegin(index, call_id, function.name, _attached(call)))
            if function.arguments:
                batch.append(ToolCallDelta(index, function.arguments))


def _attached(call: Call) -> Extras:
    """What the provider wants back with this call."""
    if call.extra_content is None and call.provider_specific_fields is None:
        return NO_EXTRAS
    fields = {name: value for name in CALL_FIELDS if isinstance(value := getattr(call, name), dict)}
    return Extras(WIRE, fields) if fields else NO_EXTRAS
