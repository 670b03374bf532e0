"""A run inside a stored conversation: its history in front, its turn in the transcript before the caller hears the end.

A run that fails or is cancelled leaves the conversation as it was; a note in the transcript says so, which no model is
shown. Who may use which conversation is the business of `gateway.core.session_key`.
"""

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack, aclosing
from dataclasses import replace
from typing import Any, Self

import structlog
from msgspec import structs

from gateway.agents.history import Joined, join
from gateway.agents.running import Running
from gateway.agents.summary import Ask, Summary, summarised
from gateway.agents.trail import Trail
from gateway.agents.transcript import Entry, Outcome, view, write_entry
from gateway.core.errors import GatewayError, Unavailable
from gateway.core.event import Batch, Finish, Stream
from gateway.core.message import Message, Part, Text
from gateway.core.message_json import UnknownVersion
from gateway.core.reply import Reply, fold
from gateway.core.session_key import SessionKey
from gateway.core.turn import Turn
from gateway.state.sessions.store import Lease, SessionStore

log = structlog.get_logger(__name__)


class Conversations:
    """Makes conversations over one store. `wait` is how long one waits for another request, `renew` how often a lease
    is renewed (seconds); `clock` gives Unix time. Conversations near `summarise_over` bytes are summarised.
    """

    def __init__(
        self,
        store: SessionStore,
        *,
        wait: float,
        renew: float,
        clock: Callable[[], float],
        summarise_over: int | None = None,
    ) -> None:
        self.store = store
        self.wait = wait
        self.renew = renew
        self.clock = clock
        self.summarise_over = summarise_over
        self._tasks: set[asyncio.Task[None]] = set()
        self._renewals: set[asyncio.Task[None]] = set()
        self._closed = False

    def opened(self, key: SessionKey, turn: Turn, request: str, ask: Ask) -> "Conversation":
        """A context: the conversation while this turn is answered. Entering it raises SessionBusy or Unavailable.

        `request` is the id of the request; `ask` is asked for a summary, if one is needed.
        """
        return Conversation(self, key, turn, request, ask)

    def start(self, work: Coroutine[Any, Any, None], name: str) -> "asyncio.Task[None]":
        """A task that `close` waits for."""
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def keep_renewing(self, work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        """A task that `close` ends."""
        task = self.start(work, "renew the lease of a conversation")
        self._renewals.add(task)
        task.add_done_callback(self._renewals.discard)
        if self._closed:
            task.cancel()
        return task

    def _ended(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.debug("a task of a conversation failed", task=task.get_name(), reason=str(error))

    async def close(self) -> None:
        """Wait until every conversation has been given back. One whose run was lost ends by itself."""
        self._closed = True
        for task in self._renewals:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


class Conversation:
    """One turn's. `turn` is the caller's with the history in front; `recorded` makes a run remember what it answers."""

    def __init__(self, all_of_them: Conversations, key: SessionKey, turn: Turn, request: str, ask: Ask) -> None:
        self.turn = turn
        self._all = all_of_them
        self._key = key
        self._request = request
        self._ask = ask
        self._summary: Summary | None = None
        self._new: tuple[Message, ...] = ()
        self._lease: Lease | None = None
        self._began = False
        self._timer: asyncio.TimerHandle | None = None
        self._renewing: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        if self._lease is not None:
            return self
        self._lease = await self._all.store.acquire(self._key, self._all.wait)
        self._timer = asyncio.get_running_loop().call_later(self._all.renew, self._start_renewing)
        try:
            joined = await self._joined(self._lease.entries)
        except BaseException as error:
            await self._leave(None)
            if isinstance(error, UnknownVersion):
                raise Unavailable("This conversation was continued by a newer version of the gateway.") from error
            raise
        self.turn, self._new = structs.replace(self.turn, messages=joined.shown), joined.new
        return self

    async def _joined(self, entries: tuple[bytes, ...]) -> Joined:
        if self._all.summarise_over is not None:
            self._summary = await summarised(entries, self._all.summarise_over, self._ask)
        if (summary := self._summary) is not None:
            note = Entry(0.0, "", "completed", summary=summary.text, kept=summary.kept)
            entries = (*entries, write_entry(note))
        shown = view(entries)
        return join(shown.messages, self.turn.messages, shown.summary)

    async def __aexit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if self._lease is not None:
            await self._leave(error)

    def recorded(self, run: Running, *, to_the_end: bool = False) -> "RecordedRun":
        """The run, which adds its turn to the transcript before it ends.

        `to_the_end` says that its stream outlives this context, and is to leave it in the context's place.
        """
        return RecordedRun(run, self, to_the_end=to_the_end)

    def begin(self) -> None:
        """The model is asked from here on, so from here on there is something to tell."""
        self._began = True

    async def finish(self, reply: Reply, model: str) -> None:
        """The answer is complete: it is part of the conversation when this returns. Raises SessionChanged, Unavailable.

        What a content filter has cut off is no answer to go on from.
        """
        if reply.finish == "content_filter":
            entry = self._note("failed", "content_filter")
        else:
            answer = _message(reply)
            said = (*self._new, *reply.tool_work, *((answer,) if answer.parts else ()))
            entry = Entry(self._all.clock(), self._request, "completed", said, model)
            if self._summary is not None:
                entry = replace(entry, summary=self._summary.text, kept=self._summary.kept)
        await self._surely(entry)

    async def _leave(self, error: BaseException | None) -> None:
        """The turn has ended without an answer."""
        entry: Entry | None = None
        if self._began and isinstance(error, GatewayError):
            entry = self._note("failed", error.code or error.type)
        elif self._began:
            entry = self._note("cancelled", None)
        try:
            await self._surely(entry)
        except GatewayError as failure:
            # Told already: something else, which ended the turn. The lease ends by itself.
            log.warning("a conversation could not be given back", session=str(self._key), reason=failure.message)

    def _note(self, outcome: Outcome, reason: str | None) -> Entry:
        return Entry(self._all.clock(), self._request, outcome, reason=reason)

    async def _surely(self, entry: Entry | None) -> None:
        """End it also when the caller is gone, and this task with it."""
        await asyncio.shield(self._all.start(self._end(entry), "give a conversation back"))

    async def _end(self, entry: Entry | None) -> None:
        lease, self._lease = self._lease, None
        if self._timer is not None:
            self._timer.cancel()
        if self._renewing is not None:
            self._renewing.cancel()
        if lease is None:
            return
        if entry is None:
            await self._all.store.release(lease)
        else:
            await self._all.store.append(lease, write_entry(entry))

    def _start_renewing(self) -> None:
        if self._lease is not None:
            self._renewing = self._all.keep_renewing(self._renew(self._lease))

    async def _renew(self, lease: Lease) -> None:
        while True:
            try:
                if not await self._all.store.renew(lease):
                    log.warning("the lease of a conversation was lost", session=str(self._key))
                    return
            except GatewayError as error:
                log.warning("the lease of a conversation could not be renewed", reason=error.message)
            await asyncio.sleep(self._all.renew)


class RecordedRun:
    """A run whose answer is added to its conversation before the caller is told the end of it."""

    def __init__(self, run: Running, conversation: Conversation, *, to_the_end: bool) -> None:
        self._run = run
        self._conversation = conversation
        self._to_the_end = to_the_end

    @property
    def trail(self) -> Trail:
        """See Running."""
        return self._run.trail

    async def events(self) -> Stream:
        """See Running. From the batch with the Finish on, everything waits until the turn is kept."""
        self._conversation.begin()
        seen: Batch = []
        held: Batch = []
        async with AsyncExitStack() as stack:
            if self._to_the_end:
                await stack.enter_async_context(self._conversation)
            batches = await stack.enter_async_context(aclosing(self._run.events()))
            async for batch in batches:
                seen += batch
                if held or any(type(event) is Finish for event in batch):
                    held += batch
                else:
                    yield batch
            await self._conversation.finish(fold(seen), str(self.trail.answered))
            if held:
                yield held

    async def reply(self) -> Reply:
        """See Running."""
        self._conversation.begin()
        reply = await self._run.reply()
        await self._conversation.finish(reply, str(self.trail.answered))
        return reply


def _message(reply: Reply) -> Message:
    parts: list[Part] = [Text(reply.written)] if reply.written is not None and reply.text else []
    if reply.refusal:  # to a model that reads the conversation, a refusal is simply what it said
        parts.append(Text(reply.refusal))
    return Message("assistant", (*parts, *reply.tool_calls))
