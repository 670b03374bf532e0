"""Decodes Google's answers, whole or as a stream of server-sent events, into events.

Each event of a stream is an object of the same form as a whole answer, with the parts that it adds. Calls come whole;
`STOP` is also the reason of an answer that calls tools. There is no last event: the stream ends after a finish reason.
"""

from typing import Any

from gateway.core.event import (
    Batch,
    CitationFound,
    Finish,
    FinishReason,
    TextDelta,
    ThinkingDelta,
    ThinkingEnd,
    ToolCallBegin,
    ToolCallDelta,
    UsageReport,
)
from gateway.core.ids import new_id
from gateway.core.jsonio import InvalidJSON
from gateway.core.message import Extras, Owner, Thinking
from gateway.wire.arguments import arguments_text
from gateway.wire.contract import End
from gateway.wire.event_parser import EventParser
from gateway.wire.failures import malformed, unreadable
from gateway.wire.framing.sse import SseDecoder
from gateway.wire.google_generative import WIRE
from gateway.wire.google_generative.citations import read_citations
from gateway.wire.google_generative.contents import signed
from gateway.wire.google_generative.errors import FILTERED, blocked, error_in, failed
from gateway.wire.google_generative.shapes import RESPONSE, RESPONSES, Candidate, FunctionCall, Part, Response
from gateway.wire.google_generative.usage import read_usage
from gateway.wire.model import ModelSpec
from gateway.wire.surrogates import SurrogateJoiner

_FINISH: dict[str, FinishReason] = {"STOP": "stop", "MAX_TOKENS": "length", "CONTINUATION": "length"}
_FILTERED_END: FinishReason = "content_filter"


def parse_answer(body: bytes, model: ModelSpec) -> Batch:
    """A whole answer, or a list of the events of a stream, as the events of a stream. Raises UpstreamError."""
    reader = _Reader(model)
    batch: Batch = []
    for response in _responses(body):
        reader.read(response, batch)
    reader.end(batch)
    return batch


def _responses(document: bytes) -> list[Response]:
    """The responses in a body or an event: one, or those of a list. Errors come in lists, too."""
    is_list = document.lstrip()[:1] == b"["
    try:
        return RESPONSES.read(document) if is_list else [RESPONSE.read(document)]
    except InvalidJSON as error:
        raise unreadable(error, document) from None


class StreamParser(EventParser):
    """Reads events until a finish reason and the end of the stream.

    The finish reason is held back until then: some versions of the API repeat it in every event.
    """

    thinking = False
    """See Parser: reasoning is shown, so there is no other sign of it."""

    __slots__ = ("_decoder", "_reader")

    def __init__(self, model: ModelSpec) -> None:
        super().__init__()
        self._decoder = SseDecoder()
        self._reader = _Reader(model)

    @property
    def end(self) -> End:
        """See Parser."""
        return self._reader.finish_is

    @property
    def complete(self) -> bool:
        """Whether a finish reason has come, and nothing after it."""
        return self._reader.finish is not None and not self._reader.finish_passed

    def _feed(self, data: bytes, batch: Batch) -> None:
        self._read(self._decoder.feed(data), batch)

    def _flush(self, batch: Batch) -> None:
        self._read(self._decoder.flush(), batch)

    def _end_answer(self, batch: Batch) -> None:
        self._reader.end(batch)
        self.done = True

    def _read(self, payloads: list[bytes], batch: Batch) -> None:
        for payload in payloads:
            if payload == b"[DONE]":  # of a proxy
                continue
            for response in _responses(payload):
                self._reader.read(response, batch)
            self._started = self._reader.started


def _own_name(name: str) -> str:
    """The name of a tool without the namespace that some models put before it, as in Google's own prompt."""
    for prefix in ("default_api.", "default_api:"):
        name = name.removeprefix(prefix) or name
    return name


class _Reader:
    """Reads the parts of one answer, from all its events."""

    def __init__(self, model: ModelSpec) -> None:
        self._owner = Owner(WIRE, model.provider, model.id)
        self._half = SurrogateJoiner()
        self._thought: list[str] = []
        self._texts: list[str] = []
        self._ids: set[str] = set()
        self._calls = 0
        self._usage: dict[str, Any] | None = None
        self._citations: Any = None
        self._grounding: Any = None
        self.started = False
        self.finish: str | None = None
        self.finish_is: End = "sure"
        self.finish_passed = False
        self._explanation: str | None = None

    def read(self, response: Response, batch: Batch) -> None:
        """Add the events of one response. Raises UpstreamError for an error in it, or a prompt that was blocked."""
        if response.error:
            raise error_in(response.error)
        feedback = response.prompt_feedback
        if feedback is not None and feedback.block_reason and not response.candidates:
            raise blocked(feedback.block_reason, feedback.block_reason_message)
        if response.usage_metadata:
            self._usage = response.usage_metadata
        candidate = next((one for one in response.candidates or () if not one.index), None)
        if candidate is not None:
            self.started = True
            self._candidate(candidate, batch)

    def end(self, batch: Batch) -> None:
        """The end of the answer: its sources, its finish and its usage. Raises UpstreamError if it is a failure."""
        reason = self.finish
        if reason is None:
            raise malformed("it has no finish reason")
        neutral = self._neutral(reason)
        self._end_thinking(batch)
        if self._citations is not None or self._grounding is not None:
            sources = read_citations(self._citations, self._grounding, "".join(self._texts))
            batch += [CitationFound(source) for source in sources]
        batch.append(Finish(neutral, reason))
        if self._usage is not None:
            batch.append(UsageReport(read_usage(self._usage)))

    def _neutral(self, reason: str) -> FinishReason:
        if reason in FILTERED:
            return _FILTERED_END
        neutral = _FINISH.get(reason)
        if neutral is None:
            raise failed(reason, self._explanation)
        if neutral == "stop" and not (self._texts or self._calls):
            raise failed(reason, "it holds no text and no call.")
        return "tool_calls" if neutral == "stop" and self._calls else neutral

    def _candidate(self, candidate: Candidate, batch: Batch) -> None:
        parts = candidate.content.parts if candidate.content is not None else None
        events_before = len(batch)
        logprobs = _logprobs(candidate.logprobs_result) if candidate.logprobs_result is not None else None
        for part in parts or ():
            self._part(part, logprobs, batch)
        with_content = len(batch) > events_before
        if with_content:
            self.finish_passed = True
        self._citations = candidate.citation_metadata or self._citations
        self._grounding = candidate.grounding_metadata or self._grounding
        reason = candidate.finish_reason
        if reason and reason != "FINISH_REASON_UNSPECIFIED":
            if self.finish is not None and self.finish_passed:
                self.finish_is = "doubtful"
            elif with_content:
                self.finish_is = "likely"
            self.finish, self.finish_passed = reason, False
            self._explanation = candidate.finish_message
            if reason not in _FINISH and reason not in FILTERED:
                raise failed(reason, candidate.finish_message)

    def _part(self, part: Part, logprobs: Any, batch: Batch) -> None:
        signature = part.thought_signature
        if part.thought:
            self._think(part.text or "", signature, batch)
            return
        if part.function_call is not None:
            self._call(part.function_call, signature, batch)
            return
        text = _shown(part)
        if not text.isascii() or self._half.pending:
            text = self._half.feed(text)
        if text:
            self._end_thinking(batch)
            self._texts.append(text)
            batch.append(TextDelta(text, logprobs))
        if signature:
            self._end_thinking(batch)
            self._end_signed(signature, signed("text"), batch)

    def _think(self, text: str, signature: str | None, batch: Batch) -> None:
        if text:
            self._thought.append(text)
            batch.append(ThinkingDelta(text, "summary"))
        if signature:
            self._end_signed(signature, signed("thought"), batch)

    def _call(self, call: FunctionCall, signature: str | None, batch: Batch) -> None:
        if not call.name or call.name.isspace():
            raise malformed("a function call has no name")
        call_id = call.id
        if not call_id or call_id in self._ids:
            call_id = new_id("call_")
        self._ids.add(call_id)
        if signature:
            self._end_signed(signature, signed("call", call_id), batch)
        else:
            self._end_thinking(batch)
        batch.append(ToolCallBegin(self._calls, call_id, _own_name(call.name)))
        batch.append(ToolCallDelta(self._calls, arguments_text(call.args)))
        self._calls += 1

    def _end_signed(self, signature: str, extras: Extras, batch: Batch) -> None:
        """End the block of reasoning that is open, if any, with the signature of the part that `extras` name."""
        text = "".join(self._thought)
        self._thought.clear()
        batch.append(ThinkingEnd(Thinking(text, signature, kind="summary", owner=self._owner, extras=extras)))

    def _end_thinking(self, batch: Batch) -> None:
        if self._thought:
            text = "".join(self._thought)
            self._thought.clear()
            batch.append(ThinkingEnd(Thinking(text, kind="summary", owner=self._owner)))


def _shown(part: Part) -> str:
    """The text of a part; media and the work of Google's own tools become Markdown."""
    if part.inline_data is not None and part.inline_data.data:
        return f"![](data:{part.inline_data.mime_type};base64,{part.inline_data.data})"
    if isinstance(part.executable_code, dict) and isinstance(code := part.executable_code.get("code"), str):
        return f"\n```{str(part.executable_code.get('language', '')).lower()}\n{code}\n```\n"
    result = part.code_execution_result
    if isinstance(result, dict) and isinstance(output := result.get("output"), str):
        return f"\n```\n{output}\n```\n"
    return part.text or ""


def _logprobs(result: Any) -> dict[str, Any] | None:
    """Google's `logprobsResult` in OpenAI's form."""
    if not isinstance(result, dict):
        return None
    chosen, top = result.get("chosenCandidates"), result.get("topCandidates")
    tokens = [_token(one) for one in chosen if isinstance(one, dict)] if isinstance(chosen, list) else []
    for token, others in zip(tokens, top if isinstance(top, list) else (), strict=False):
        candidates = others.get("candidates") if isinstance(others, dict) else None
        if isinstance(candidates, list):
            token["top_logprobs"] = [_token(one) for one in candidates if isinstance(one, dict)]
    return {"content": tokens} if tokens else None


def _token(one: dict[str, Any]) -> dict[str, Any]:
    token = one.get("token")
    text = token if isinstance(token, str) else ""
    return {
        "token": text,
        "logprob": one.get("logProbability", 0.0),
        "bytes": list(text.encode("utf-8", "replace")),
        "top_logprobs": [],
    }
