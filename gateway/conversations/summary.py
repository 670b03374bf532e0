"""A summary by the agent's own model in place of the oldest turns, before a conversation grows too large to be kept.

It is asked for while the next turn waits, so it happens rarely: when three quarters of the room are used, and for all
but the last quarter. If it can't be had, the oldest turns are dropped in time as if it had not been asked for.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import structlog

from gateway.agents.agent import Agent
from gateway.conversations.history import join
from gateway.conversations.transcript import view
from gateway.core.errors import GatewayError
from gateway.core.message import Message, Text
from gateway.core.turn import Sampling, Turn
from gateway.runs.answer_stream import AnswerStream, whole_answer
from gateway.runs.context import RunContext
from gateway.runs.run import Run, RunOptions, prepare

log = structlog.get_logger(__name__)

Ask = Callable[[tuple[Message, ...]], Awaitable[str]]
"""Asks a model: the messages of a conversation and a request at its end → the answer. Raises GatewayError."""

Admit = Callable[[Run], Awaitable[AnswerStream]]
"""Puts a run under the limits of its client. Raises GatewayError."""

_REQUEST = (
    "Summarise this conversation for yourself, so that you can go on with it when you no longer see it: what was "
    "asked, decided and found out, names, numbers and what is still open. Write the summary only."
)
_MOST_TOKENS = 1024


@dataclass(frozen=True, slots=True)
class Summary:
    """`text` stands for all turns but the last `kept` entries of the transcript."""

    text: str
    kept: int


def ask_agent(agent: Agent, context: RunContext, admit: Admit | None = None, *, client: str = "") -> Ask:
    """The agent's own model, with the agent's prompt and fallbacks. `admit` is None where there are no limits."""

    async def ask(messages: tuple[Message, ...]) -> str:
        turn = Turn("openclaw", messages, sampling=Sampling(max_tokens=_MOST_TOKENS))
        run = await prepare(agent, turn, RunOptions(tools=False), context, client=client)
        return (await whole_answer(run if admit is None else await admit(run))).text or ""

    return ask


async def summarised(transcript: Sequence[bytes], most: int, ask: Ask) -> Summary | None:
    """A summary of what is too much of this transcript; None as long as it is less than three quarters of `most` bytes.

    None too when the model does not say anything.
    """
    enough = most * 3 // 4
    if sum(map(len, transcript)) < enough or view(transcript).size < enough:
        return None
    kept, room = 0, most // 4
    while kept < len(transcript) - 1 and (room := room - len(transcript[-1 - kept])) >= 0:
        kept += 1
    end = begin = len(transcript) - kept
    room = enough
    while begin > 0 and (room := room - len(transcript[begin - 1])) >= 0:
        begin -= 1  # no more than the model can read; what is older was more than there should have been
    old = view(transcript[begin:end]).messages
    if not old:
        return None
    joined = join(old, [Message("user", (Text(_REQUEST),))], view(transcript[:end]).summary)
    try:
        text = (await ask(joined.shown())).strip()
    except GatewayError as error:
        log.warning("a conversation could not be summarised", reason=error.message)
        return None
    return Summary(text, kept) if text else None
