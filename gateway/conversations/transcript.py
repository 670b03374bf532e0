"""Entries of a stored conversation: a turn with its answer, or a note about a turn without one.

`{"v": 1, "at": 1700000000.0, "request": "…", "outcome": "completed", "model": "provider/model", "messages": [...]}`;
`gateway.core.message_json` defines the form of messages. Models get the messages of completed turns only.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from gateway.core.jsonio import dumps, loads
from gateway.core.message import Message, Text
from gateway.core.message_json import UnknownVersion, read_messages, write_messages

_SUMMARY = "Summary of the earlier conversation, of which only the end follows:"

_SHOWN = "kept"

Outcome = Literal["completed", "cancelled", "failed"]


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry. `at` is Unix time in seconds, `request` the id of the request, `reason` why a turn failed.

    Only completed turns have messages: the client's new ones and the answer. With a `summary`, `entries_shown` is the
    number of entries directly before this one that the summary does not replace. Without one, it is the number of
    entries that fitted into the context window of `model`; None means all. `restarts`: the messages are all that models
    get, because the client's own history has replaced the turns before.
    """

    at: float
    request: str
    outcome: Outcome
    messages: tuple[Message, ...] = ()
    model: str | None = None
    reason: str | None = None
    summary: str | None = None
    entries_shown: int | None = None
    restarts: bool = False


def write_entry(entry: Entry) -> bytes:
    """The entry as stored JSON. `entries_shown` is the field `kept`, its name in transcripts of every version."""
    fields: dict[str, Any] = {"at": entry.at, "request": entry.request, "outcome": entry.outcome}
    if entry.model is not None:
        fields["model"] = entry.model
    if entry.reason is not None:
        fields["reason"] = entry.reason
    if entry.summary is not None:
        fields["summary"] = entry.summary
    if entry.entries_shown is not None:
        fields[_SHOWN] = entry.entries_shown
    if entry.restarts:
        fields["restarts"] = True
    return dumps(write_messages(entry.messages) | fields)


def read_entry(stored: bytes) -> Entry:
    """The entry that `write_entry` wrote. Raises UnknownVersion."""
    fields = loads(stored)
    return Entry(
        fields["at"],
        fields["request"],
        fields["outcome"],
        read_messages(fields),
        fields.get("model"),
        fields.get("reason"),
        fields.get("summary"),
        fields.get(_SHOWN),
        fields.get("restarts", False),
    )


@dataclass(frozen=True, slots=True)
class View:
    """A conversation as models get it: a `summary` of at most one message, and the messages after it.

    `starts` has the index of the first message of each entry. `trim_points` has, by model, the index of the first
    message that fitted into the model's window after an overflow. `notes` counts the turns without an answer since the
    last answer; `size` is the bytes of the entries that the summary does not replace.
    """

    summary: tuple[Message, ...]
    messages: tuple[Message, ...]
    starts: tuple[int, ...]
    trim_points: Mapping[str, int]
    notes: int
    size: int


def view(transcript: Sequence[bytes]) -> View:
    """The view of a transcript, oldest message first. Raises UnknownVersion, also for what is no transcript."""
    try:
        return _view(transcript)
    except UnknownVersion:
        raise
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise UnknownVersion("an entry is damaged") from error


def _view(transcript: Sequence[bytes]) -> View:
    entries = [loads(stored) for stored in transcript]
    first = 0
    summary: tuple[Message, ...] = ()
    for index in range(len(entries) - 1, -1, -1):
        if (text := entries[index].get("summary")) is not None:
            first = max(0, index - entries[index][_SHOWN])
            summary = (Message("system", (Text(f"{_SUMMARY}\n\n{text}"),)),)
            break
        if entries[index].get("restarts"):
            first = index
            break
    messages: list[Message] = []
    starts: list[int] = []
    trim_points: dict[str, int] = {}
    notes = 0
    for index, entry in enumerate(entries[first:], first):
        starts.append(len(messages))
        added = read_messages(entry)
        messages += added
        notes = 0 if added else notes + 1
        if entry.get(_SHOWN) is not None and entry.get("summary") is None:
            trim_points[entry.get("model", "")] = starts[max(0, index - entry[_SHOWN] - first)]
    return View(
        summary, tuple(messages), tuple(starts), trim_points, notes, sum(len(stored) for stored in transcript[first:])
    )
