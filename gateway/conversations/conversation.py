"""A run inside a stored conversation: the history precedes its turn, and its turn is stored before its stream ends.

A run that fails or is cancelled does not change the history; it adds a note to the transcript that no model gets.
`gateway.core.session_key` decides who may use which conversation.
"""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from copy import copy
from dataclasses import replace
from typing import Self

import structlog
from msgspec import structs

from gateway.conversations.context_window import HistoryWindow
from gateway.conversations.history import MergedHistory, join
from gateway.conversations.leases import HeldLease, Leases
from gateway.conversations.summary import Ask, Summary, summarised
from gateway.conversations.transcript import Entry, Outcome, View, view, write_entry
from gateway.core.answer import Answer
from gateway.core.errors import GatewayError, Unavailable
from gateway.core.message import Message
from gateway.core.message_json import UnknownVersion, are_many
from gateway.core.session_key import SessionKey
from gateway.core.token_estimate import bytes_of
from gateway.core.turn import Turn
from gateway.runs.run import Run
from gateway.runs.trace import RunTrace
from gateway.state.sessions.store import SessionStore

log = structlog.get_logger(__name__)

_LARGE = 2**18  # bytes; decoding a longer transcript takes milliseconds, so a thread does it
_UNREADABLE = (
    "This conversation can't be read: a newer version of the gateway wrote a part of it, or it is damaged. "
    "Delete it, or use another name."
)
_MAX_NOTES = 10  # in a row: without a limit, endless retries would displace the turns from the transcript


class Conversations:
    """The conversations of one store.

    `wait` (seconds) limits how long a turn waits for its lease, `renew` is that of `Leases`; `clock` gives Unix time in
    seconds. Transcripts that approach `summarise_over` bytes are summarised; None means never.
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
        self.leases = Leases(store, renew=renew)
        self.wait = wait
        self.clock = clock
        self.summarise_over = summarise_over

    def with_settings(self, *, wait: float, summarise_over: int | None) -> "Conversations":
        """The same conversations, with the same leases, under other settings."""
        changed = copy(self)
        changed.wait, changed.summarise_over = wait, summarise_over
        return changed

    def of_turn(
        self, key: SessionKey, turn: Turn, request: str, ask: Ask, *, window: int | None = None
    ) -> "Conversation":
        """The conversation of one turn; call `join` before use.

        `request` is the id of the request. `ask` writes a summary when the transcript approaches its limit, or a
        model's `window` in tokens.
        """
        max_bytes = self.summarise_over
        if max_bytes is not None and window is not None:
            max_bytes = min(max_bytes, bytes_of(window))
        return Conversation(self, key, turn, request, None if max_bytes is None else (max_bytes, ask))

    async def close(self) -> None:
        """Wait until every lease has been released."""
        await self.leases.close()


class Conversation:
    """A conversation during one turn, from `join` to `leave`. As a context manager it calls both.

    `turn` is the client's turn after the history. `fitted` shortens the history for the model of a run; `recorded`
    adds the answer of a run to the transcript.
    """

    def __init__(
        self, all_of_them: Conversations, key: SessionKey, turn: Turn, request: str, summarise: tuple[int, Ask] | None
    ) -> None:
        self.turn = turn
        self._all = all_of_them
        self._key = key
        self._request = request
        self._summarise = summarise
        self._summary: Summary | None = None
        self._window: HistoryWindow | None = None
        self._notes = 0
        self._new: tuple[Message, ...] = ()
        self._restarts = False
        self._lease: HeldLease | None = None
        self._began = False

    async def __aenter__(self) -> Self:
        if self._lease is None:
            await self.join()
        return self

    async def join(self) -> None:
        """Acquire the lease and read the history. Raises SessionBusy or Unavailable."""
        self._lease = await self._all.leases.acquire(self._key, self._all.wait)
        try:
            await self._read(self._lease.entries)
        except BaseException as error:
            await self.leave(None)
            if isinstance(error, UnknownVersion):
                raise Unavailable(_UNREADABLE) from error
            raise

    async def _read(self, entries: tuple[bytes, ...]) -> None:
        if self._summarise is not None:
            self._summary = await summarised(entries, *self._summarise)
        if (summary := self._summary) is not None:
            note = Entry(0.0, "", "completed", summary=summary.text, entries_shown=summary.entries_shown)
            entries = (*entries, write_entry(note))
        if sum(map(len, entries)) > _LARGE:
            shown, joined = await asyncio.to_thread(_joined, entries, self.turn)
        else:
            shown, joined = _joined(entries, self.turn)
        self.turn, self._new = structs.replace(self.turn, messages=joined.shown()), joined.new
        self._window, self._notes = HistoryWindow(joined, shown), shown.notes
        if joined.differs:
            self._restarts, self._new = True, (*joined.history, *joined.new)

    async def __aexit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        await self.leave(error)

    def fitted(self, run: Run) -> Run:
        """The run of `turn` with the history shortened to its model's window."""
        return run if self._window is None else self._window.fitted(run)

    def holding(self) -> AbstractAsyncContextManager[None]:
        """A context that cancels its body when the lease is lost and then raises SessionChanged."""
        return self._held().holding()

    def begin(self) -> None:
        """Call this before the first request to a provider. From then on a turn without an answer leaves a note."""
        self._began = True

    async def finish(self, answer: Answer, trace: RunTrace) -> None:
        """Store the complete answer and release the lease. Raises SessionChanged or Unavailable.

        An answer that a content filter cut off is not stored; a note replaces it.
        """
        if answer.finish == "content_filter":
            entry = self._note("failed", "content_filter")
        else:
            added = (*self._new, *answer.tool_work, *answer.messages())
            entry = Entry(self._all.clock(), self._request, "completed", added, str(trace.answered))
            if self._window is not None and self._window.trimmed:
                entry = replace(entry, entries_shown=self._window.entries_shown)
            if self._restarts:
                entry = replace(entry, restarts=True, entries_shown=None)
        entry = self._summarising(entry)
        many = are_many(entry.messages)
        await self._held().end(await asyncio.to_thread(write_entry, entry) if many else write_entry(entry))

    async def leave(self, error: BaseException | None) -> None:
        """End the turn without an answer, unless it has ended. `error` is the cause, None for a cancelled turn."""
        lease = self._held()
        if lease.ended:
            return
        entry: Entry | None = None
        if self._began and isinstance(error, GatewayError):
            entry = self._note("failed", error.code or error.type)
        elif self._began:
            entry = self._note("cancelled", None)
        if entry is not None and self._summary is None and self._notes >= _MAX_NOTES:
            entry = None
        try:
            await lease.end(None if entry is None else write_entry(self._summarising(entry)))
        except GatewayError as failure:
            # The client gets the error that ended the turn. The lease expires by itself.
            log.warning("A conversation's lease could not be released", session=str(self._key), reason=failure.message)

    def _held(self) -> HeldLease:
        if self._lease is None:
            raise AssertionError("a conversation must be joined before use")
        return self._lease

    def _note(self, outcome: Outcome, reason: str | None) -> Entry:
        return Entry(self._all.clock(), self._request, outcome, reason=reason)

    def _summarising(self, entry: Entry) -> Entry:
        """The entry with the summary that this turn paid for. It is stored however the turn ended."""
        summary = self._summary
        if entry.restarts:
            return entry  # a summary is of turns that are not shown any more
        return entry if summary is None else replace(entry, summary=summary.text, entries_shown=summary.entries_shown)


def _joined(entries: tuple[bytes, ...], turn: Turn) -> tuple[View, MergedHistory]:
    shown = view(entries)
    return shown, join(shown.messages, turn.messages, shown.summary)
