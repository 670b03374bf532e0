"""The rounds of a run whose agent runs tools itself: ask the model, run the tools that it calls, send the results.

The client gets one stream: the text of every round, the calls of its own tools, one Finish, and the usage of all
rounds. It does not get the agent's own calls and their results. Conversations store those, because without them the
model would repeat them in the next turn. A call of a client's tool ends the turn; calls of the agent's tools in the
same answer are omitted, because the client's next request can't contain their results.
"""

import asyncio
from collections.abc import Iterable, Mapping
from contextlib import aclosing

from msgspec.structs import replace

from gateway.agents.tool_limits import ToolLimits
from gateway.core.errors import BadRequest, GatewayError, ToolRoundsExhausted
from gateway.core.event import Stream, UsageReport
from gateway.core.message import Message, ToolCall
from gateway.core.names import ModelRef
from gateway.core.turn import Turn
from gateway.core.usage import NO_USAGE
from gateway.runs.attempt import ANSWERED, CANCELLED
from gateway.runs.observers import close_run
from gateway.runs.round import Round
from gateway.runs.round_answer import RoundAnswer
from gateway.runs.round_messages import Pictures, round_messages, stored_messages
from gateway.runs.run_record import LEFT_OUT, ToolUse
from gateway.tools.contract import ToolOutput, failed
from gateway.tools.registry import OfferedTools
from gateway.upstream.provider import Provider

_CONCURRENT_CALLS = 8  # per run
_MAX_CALLS = 128  # per answer; providers accept as many tools


def offered_tools(
    offer: OfferedTools, turn: Turn, model: ModelRef, providers: Mapping[str, Provider]
) -> OfferedTools | None:
    """The agent's tools for this turn: all of them, or None.

    None if the client's `tool_choice` forbids tools or pins one, or if the first model does not support tools. Raises
    BadRequest if a client's tool has the name of one of the agent's tools.
    """
    for index, tool in enumerate(turn.tools):
        if tool.name in offer.targets:
            problem = f"'{tool.name}' is a tool that the agent runs itself; give yours another name"
            raise BadRequest(f"Invalid tools/tool_choice: {problem}", param=f"tools[{index}]")
    choice = turn.tool_choice
    if not offer.specs or (choice is not None and choice.mode in ("none", "pinned")):
        return None
    provider = providers.get(model.provider)
    if provider is not None and not provider.model(model.model).tools:
        return None
    return offer


class ToolRounds:
    """One run. `first` is its first round, without tools."""

    def __init__(self, first: Round, offer: OfferedTools, limits: ToolLimits) -> None:
        self._first = first
        self._offer = offer
        self._limits = limits
        self._clock = first.context.policy.clock
        self._slots = asyncio.Semaphore(_CONCURRENT_CALLS)
        provider = first.context.providers.get(first.chain[0].provider)
        reads = provider is None or provider.model(first.chain[0].model).images is not False
        self._pictures = Pictures() if reads else None

    async def events(self) -> Stream:
        """The batches of the answer. Raises GatewayError."""
        first, began = self._first, self._clock()
        end = began + first.context.time(first.timeout)
        tools_end = min(began + self._limits.seconds, end)
        own = frozenset(tool.name for tool in first.turn.tools)
        messages = first.turn.messages
        usage, has_text, left = NO_USAGE, False, self._limits.rounds
        work: tuple[Message, ...] = ()
        try:
            while True:
                last = left == 0 or self._clock() >= tools_end
                turn = replace(first.turn, messages=messages)
                if not last:
                    turn = replace(turn, tools=(*turn.tools, *self._offer.specs))
                answer = RoundAnswer(own, usage, has_text=has_text, work=work)
                asked = replace(first, turn=turn, timeout=max(0.0, end - self._clock()), part=True)
                async with aclosing(asked.events()) as batches:
                    async for batch in batches:
                        if passed := answer.feed(batch):
                            if not isinstance(passed[0], UsageReport):  # only the gateway sees a round's own
                                first.trace.show()
                            yield passed
                first.trace.usage = answer.usage
                usage, has_text, left = answer.usage, answer.has_text, left - 1
                if answer.complete:
                    self._leave_out(answer.calls)
                    return
                if last:
                    raise ToolRoundsExhausted(
                        "The model went on calling tools instead of answering; see `tools.maxRounds` and "
                        "`tools.timeoutMs` in the gateway's configuration.",
                        code="tool_rounds_exhausted",
                    )
                outputs = await self._run(answer.calls, tools_end)
                messages = (*messages, *round_messages(answer, outputs, self._pictures))
                work = (*work, *stored_messages(answer, outputs))
        except GatewayError as error:
            if usage is not NO_USAGE:  # the rounds before the failed one were answered and cost tokens
                error.usage = usage if error.usage is None else usage + error.usage
            raise
        finally:
            close_run(first.trace)

    async def _run(self, calls: Iterable[ToolCall], end: float) -> list[ToolOutput]:
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(self._call(call, end if index < _MAX_CALLS else None), name=f"tool {call.name}")
                for index, call in enumerate(calls)
            ]
        return [task.result() for task in tasks]

    async def _call(self, call: ToolCall, end: float | None) -> ToolOutput:
        if end is None:
            self._leave_out((call,))
            return failed("error", f"more than {_MAX_CALLS} calls in one answer are not run.")
        async with self._slots:
            began = self._clock()
            outcome = CANCELLED
            try:
                output = await self._offer.call(call.name, call.arguments, max(0.0, end - began))
                outcome = output.failure or ANSWERED
            finally:
                self._first.trace.ran(ToolUse(call.name, self._clock() - began, outcome, began))
        return output

    def _leave_out(self, calls: Iterable[ToolCall]) -> None:
        for call in calls:
            self._first.trace.ran(ToolUse(call.name, 0.0, LEFT_OUT))
