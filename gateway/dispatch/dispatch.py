"""The steps from a client's request to the stream of its answer, in the order in which they run.

Every front end (HTTP endpoints, the command line) calls `dispatch`. It reads the request and renders the answer itself.
"""

from collections.abc import Awaitable, Callable
from typing import Self

from msgspec import Struct

from gateway.agents.agent import Agent
from gateway.conversations.context_window import window_of
from gateway.conversations.conversation import Conversation
from gateway.conversations.recorder import SessionRecorder
from gateway.conversations.summary import Admit, ask_agent
from gateway.core.identity import Principal
from gateway.core.session_key import Endpoint, SessionKey, session_key
from gateway.core.trace_context import TraceContext
from gateway.core.turn import Turn
from gateway.dispatch.snapshot import Services, Snapshot
from gateway.runs.answer_stream import AnswerStream
from gateway.runs.run import Run, RunOptions, prepare
from gateway.runs.trace import Origin

ReadTurn = Callable[[Agent], Awaitable[Turn]]
"""Reads the client's turn for this agent, including its images and documents. Raises GatewayError."""


class Call(Struct, frozen=True):
    """The context of one request: its caller, its options, and the services and the snapshot that it uses.

    `id` is the id of the request and `path` its path; `client` identifies the client for limits and cooldowns.
    `session` is the header `x-openclaw-session-key`; without it, `endpoint` separates the conversations of the APIs.
    `admit` applies the client's limits to the run, `admit_side` to a run that the gateway makes for it, such as a
    summary; both are None without limits. `context` is the span of the request, None without tracing.
    """

    services: Services
    snapshot: Snapshot
    id: str
    principal: Principal
    client: str
    options: RunOptions
    endpoint: Endpoint
    session: str | None = None
    path: str = ""
    admit: Admit | None = None
    admit_side: Admit | None = None
    context: TraceContext | None = None

    def origin(self, endpoint: str, session: SessionKey | None = None) -> Origin:
        """The origin of a run for this request."""
        context = None if self.context is None else self.context.child()
        return Origin(self.id, endpoint, session, self.principal.name, context)


class Dispatched(Struct):
    """A run that has not begun. `turn` is the client's turn; `stream` is the run inside its wrappers.

    As a context manager it leaves the conversation if nobody has read the stream. Call `hand_over` if the stream is
    read after the context.
    """

    turn: Turn
    run: Run
    stream: AnswerStream
    conversation: Conversation | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if self.conversation is not None:
            await self.conversation.leave(error)

    def hand_over(self) -> AnswerStream:
        """The stream for a reader that outlives this context."""
        self.conversation = None
        return self.stream


async def dispatch(call: Call, model: str, user: str | None, read_turn: ReadTurn) -> Dispatched:
    """The run of a request. `model` and `user` are its fields; `read_turn` reads the rest. Raises GatewayError."""
    snapshot = call.snapshot
    agent = snapshot.directory.resolve(model, call.options.agent, call.principal)
    if not snapshot.session_from_user:
        user = None
    key = session_key(call.session, user, endpoint=call.endpoint, agent=agent.id, principal=call.principal)
    turn = await read_turn(agent)
    if (reasoning := snapshot.runs.reasoning) is not None and turn.has_tool_results():
        turn = await reasoning.restored(call.client, turn)
    conversation = None if key is None else await _join(call, key, agent, turn)
    try:
        shown = turn if conversation is None else conversation.turn
        origin = call.origin(call.path, key)
        run = await prepare(agent, shown, call.options, snapshot.runs, client=call.client, origin=origin)
        if conversation is not None:
            run = conversation.fitted(run)
        stream: AnswerStream = run if call.admit is None else await call.admit(run)
        call.services.recent.put(run.trace)
        if conversation is not None:
            stream = SessionRecorder(stream, conversation)
    except BaseException as error:
        if conversation is not None:
            await conversation.leave(error)
        raise
    return Dispatched(turn, run, stream, conversation)


async def _join(call: Call, key: SessionKey, agent: Agent, turn: Turn) -> Conversation:
    """Join the conversation that the turn continues, after earlier requests. Raises SessionBusy or Unavailable."""
    origin = call.origin("summary", key)
    ask = ask_agent(agent, call.snapshot.runs, call.admit_side, client=call.client, origin=origin)
    window = window_of(agent.candidates[0], call.snapshot.runs)
    conversation = call.snapshot.conversations.of_turn(key, turn, call.id, ask, window=window)
    await conversation.join()
    return conversation
