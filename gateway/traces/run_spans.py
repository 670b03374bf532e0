"""The spans of a run: the agent, each request to a provider, and each tool call of the agent.

Nothing in them comes from a prompt or an answer unless `gateway.traces.content` is enabled, and of a failure only its
kind: a provider's message may quote both.
"""

from collections.abc import Iterator, Mapping

from msgspec import Struct

from gateway.core.trace_context import TraceContext, new_span_id
from gateway.core.usage import Usage
from gateway.ledger.booking import digest
from gateway.runs.attempt import ANSWERED, CANCELLED, Attempt
from gateway.runs.run_record import LEFT_OUT, ToolUse
from gateway.runs.trace import RunFinished
from gateway.traces import names
from gateway.traces.content import CONTENT
from gateway.traces.span import NANOSECONDS, Attributes, Span, Value
from gateway.upstream.provider import Provider

_EMBEDDINGS = "/v1/embeddings"
_ENDINGS = (ANSWERED, CANCELLED, None)


class EndedRun(Struct, frozen=True, gc=False):
    """A run that has ended at `time` (Unix time in seconds). `providers` are those of its configuration;
    `names_session` adds the hash of its conversation's key. `responses` are further attributes of its attempts.
    """

    time: float
    finished: RunFinished
    context: TraceContext
    providers: Mapping[str, Provider]
    names_session: bool
    responses: tuple[Attributes, ...]

    @property
    def size(self) -> int:
        """See Record."""
        trace = self.finished.trace
        return 1 + len(trace.attempts) + len(trace.tools)

    @property
    def content_bytes(self) -> int:
        """See Record."""
        return sum(len(text) for one in self.responses for name in CONTENT if isinstance(text := one.get(name), str))

    def spans(self) -> Iterator[Span]:
        """See Record. A run that only embeds has no agent at work, so its attempts belong to the request."""
        trace = self.finished.trace
        offset = round(self.time * NANOSECONDS) - _ns(trace.ended)  # from clock time to Unix time
        context, embeds = self.context, trace.origin.endpoint == _EMBEDDINGS
        above = context.parent if embeds else context.span_id
        if not embeds:
            yield self._run(offset)
        for number, attempt in enumerate(trace.attempts, 1):
            made = context.numbered(number)
            placed = TraceContext(made.trace_id, made.span_id, made.sampled, above, made.state)
            yield self._attempt(number, attempt, placed, offset, embeds=embeds)
        for use in trace.tools:
            if use.outcome != LEFT_OUT:
                yield _tool(use, context, offset)

    def _run(self, offset: int) -> Span:
        finished = self.finished
        trace = finished.trace
        attributes: dict[str, Value] = {
            names.OPERATION: names.INVOKE_AGENT,
            names.AGENT: trace.agent,
            names.RUN_ENDPOINT: trace.origin.endpoint,
            names.RUN_OUTCOME: finished.outcome,
            names.RUN_ATTEMPTS: len(trace.attempts),
        }
        if trace.rescues:
            attributes[names.RUN_RESCUES] = trace.rescues
        if finished.usage is not None:
            attributes |= _tokens(finished.usage)
        if self.names_session and trace.origin.session is not None:
            attributes[names.CONVERSATION] = digest(trace.origin.session)
        if finished.failed:
            attributes[names.ERROR] = finished.outcome
        name = f"{names.INVOKE_AGENT} {trace.agent}"
        start, end = offset + _ns(trace.began), offset + _ns(trace.ended)
        return Span(name, "internal", self.context, start, end, attributes, finished.failed)

    def _attempt(self, number: int, attempt: Attempt, context: TraceContext, offset: int, *, embeds: bool) -> Span:
        ref = attempt.ref
        provider = self.providers.get(ref.provider)
        row = None if provider is None else provider.row_for(ref.model)
        wire = "" if row is None else row.wire
        operation = names.EMBEDDINGS if embeds else names.FORMAT_OPERATIONS.get(wire, names.CHAT)
        attributes: dict[str, Value] = {
            names.OPERATION: operation,
            names.PROVIDER: names.PROVIDERS.get(ref.provider) or names.FORMAT_PROVIDERS.get(wire, ref.provider),
            names.REQUEST_MODEL: ref.model,
            names.REQUEST_STREAM: attempt.streamed,
            names.ATTEMPT: number,
            names.ATTEMPT_OUTCOME: attempt.outcome or CANCELLED,
            names.ATTEMPT_KEY: attempt.key,
        }
        if row is not None and row.base_url:
            host, _, port = row.address.rpartition(":")
            attributes |= {names.SERVER_ADDRESS: host, names.SERVER_PORT: int(port)}
        if attempt.waited:
            attributes[names.ATTEMPT_PAUSE] = round(attempt.waited, 4)
        if attempt.status is not None:
            attributes[names.STATUS] = attempt.status
        if attempt.first_event is not None:
            attributes[names.FIRST_CHUNK] = round(attempt.first_event, 6)
        if attempt.usage is not None and not attempt.estimated:
            attributes |= _tokens(attempt.usage)
        attributes |= self.responses[number - 1]
        failed = attempt.outcome not in _ENDINGS
        if failed:
            attributes[names.ERROR] = str(attempt.outcome)
        start, end = attempt.began, attempt.began + (attempt.seconds or 0.0)
        name = f"{operation} {ref.model}"
        return Span(name, "client", context, offset + _ns(start), offset + _ns(end), attributes, failed)


def _tool(use: ToolUse, run: TraceContext, offset: int) -> Span:
    failed = use.outcome not in _ENDINGS
    attributes: dict[str, Value] = {
        names.OPERATION: names.EXECUTE_TOOL,
        names.TOOL: use.tool,
        names.TOOL_TYPE: "extension",
        names.TOOL_OUTCOME: use.outcome,
    }
    if failed:
        attributes[names.ERROR] = use.outcome
    context = TraceContext(run.trace_id, new_span_id(), run.sampled, run.span_id, run.state)
    start, end = offset + _ns(use.began), offset + _ns(use.began + use.seconds)
    return Span(f"{names.EXECUTE_TOOL} {use.tool}", "internal", context, start, end, attributes, failed)


def _ns(seconds: float) -> int:
    return round(seconds * NANOSECONDS)


def _tokens(usage: Usage) -> dict[str, Value]:
    attributes: dict[str, Value] = {names.INPUT_TOKENS: usage.prompt, names.OUTPUT_TOKENS: usage.completion}
    if usage.cached:
        attributes[names.CACHE_READ_TOKENS] = usage.cached
    if usage.cache_write:
        attributes[names.CACHE_WRITE_TOKENS] = usage.cache_write
    if usage.reasoning is not None:
        attributes[names.REASONING_TOKENS] = usage.reasoning
    return attributes
