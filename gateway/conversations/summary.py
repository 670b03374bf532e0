"""Replaces the oldest turns of a large conversation by a summary that the agent's own model writes.

The next turn waits for the summary, so it is rare: it is made when three quarters of the size limit are used, and it
covers all but the last quarter. If the model can't write one, the store drops the oldest turns at the limit.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import structlog

from gateway.agents.agent import Agent
from gateway.conversations.history import join
from gateway.conversations.transcript import view
from gateway.core.errors import GatewayError
from gateway.core.message import Message, Text
from gateway.core.tracebacks import drop_tracebacks
from gateway.core.turn import Sampling, Turn
from gateway.runs.answer_stream import AnswerStream, whole_answer
from gateway.runs.context import RunContext
from gateway.runs.run import Run, RunOptions, prepare
from gateway.runs.trace import NO_ORIGIN, Origin

log = structlog.get_logger(__name__)

Ask = Callable[[tuple[Message, ...]], Awaitable[str]]
"""Sends the messages of a conversation to a model and returns the text of the answer. Raises GatewayError."""

Admit = Callable[[Run], Awaitable[AnswerStream]]
"""Applies the client's limits to a run. Raises GatewayError."""

SUMMARY_REQUEST = (
    "Summarise this conversation for yourself, so that you can go on with it when you no longer see it: what was "
    "asked, decided and found out, names, numbers and what is still open. Write the summary only."
)
_MAX_TOKENS = 1024


@dataclass(frozen=True, slots=True)
class Summary:
    """`text` replaces all turns but the last `entries_shown` entries of the transcript."""

    text: str
    entries_shown: int


def ask_agent(
    agent: Agent,
    context: RunContext,
    admit: Admit | None = None,
    *,
    client: str = "",
    origin: Origin = NO_ORIGIN,
) -> Ask:
    """An Ask that uses the agent's model, prompt and fallbacks. `admit` is None without limits."""

    async def ask(messages: tuple[Message, ...]) -> str:
        turn = Turn("openclaw", messages, sampling=Sampling(max_tokens=_MAX_TOKENS))
        run = await prepare(agent, turn, RunOptions(tools=False), context, client=client, origin=origin)
        return (await whole_answer(run if admit is None else await admit(run))).text or ""

    return ask


async def summarised(transcript: Sequence[bytes], max_bytes: int, ask: Ask) -> Summary | None:
    """A summary of the oldest turns of this transcript.

    Returns None while the transcript is smaller than three quarters of `max_bytes`, and if the model fails or returns
    no text.
    """
    threshold = max_bytes * 3 // 4
    if sum(map(len, transcript)) < threshold or view(transcript).size < threshold:
        return None
    entries_shown, room = 0, max_bytes // 4
    while entries_shown < len(transcript) - 1 and (room := room - len(transcript[-1 - entries_shown])) >= 0:
        entries_shown += 1
    end = begin = len(transcript) - entries_shown
    room = threshold
    while begin > 0 and (room := room - len(transcript[begin - 1])) >= 0:
        begin -= 1  # at most what the model can read; a transcript that exceeded its limit loses what is older
    old = view(transcript[begin:end]).messages
    if not old:
        return None
    joined = join(old, [Message("user", (Text(SUMMARY_REQUEST),))], view(transcript[:end]).summary)
    try:
        text = (await ask(joined.shown())).strip()
    except GatewayError as error:
        drop_tracebacks(error)
        log.warning("A conversation could not be summarised", reason=error.log_message)
        return None
    return Summary(text, entries_shown) if text else None
