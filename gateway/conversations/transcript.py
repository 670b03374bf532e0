"""One entry of a stored conversation: a turn that was answered, or the note that one was not.

`{"v": 1, "at": 1700000000.0, "request": "…", "outcome": "completed", "model": "provider/model", "messages": [...]}`;
messages are in the form of `gateway.core.message_json`. What a model is shown are the messages of completed turns.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from gateway.core.jsonio import dumps, loads
from gateway.core.message import Message, Text
from gateway.core.message_json import read_messages, write_messages

_SUMMARY = "Summary of the earlier conversation, of which only the end follows:"

Outcome = Literal["completed", "cancelled", "failed"]


@dataclass(frozen=True, slots=True)
class Entry:
    """`at` is Unix time in seconds, `request` the id of the request, `reason` why a turn failed; only completed turns
    have messages: what the caller added, and the answer. A `summary` stands for all entries before this one but the
    last `kept`. Without a summary, those were all that `model` was shown, because more was too much for it.
    """

    at: float
    request: str
    outcome: Outcome
    messages: tuple[Message, ...] = ()
    model: str | None = None
    reason: str | None = None
    summary: str | None = None
    kept: int | None = None


def write_entry(entry: Entry) -> bytes:
    """As it is stored."""
    fields: dict[str, Any] = {"at": entry.at, "request": entry.request, "outcome": entry.outcome}
    if entry.model is not None:
        fields["model"] = entry.model
    if entry.reason is not None:
        fields["reason"] = entry.reason
    if entry.summary is not None:
        fields["summary"] = entry.summary
    if entry.kept is not None:
        fields["kept"] = entry.kept
    return dumps(write_messages(entry.messages) | fields)


def read_entry(written: bytes) -> Entry:
    """What `write_entry` wrote. Raises UnknownVersion."""
    fields = loads(written)
    return Entry(
        fields["at"],
        fields["request"],
        fields["outcome"],
        read_messages(fields),
        fields.get("model"),
        fields.get("reason"),
        fields.get("summary"),
        fields.get("kept"),
    )


@dataclass(frozen=True, slots=True)
class View:
    """A conversation as a model is shown it: at most one message that stands for what came before, and the messages.

    `starts` says for each entry that is shown where its messages begin, `marks` for models for which it was too much
    once from which message on it was not. `notes` counts the turns without an answer since the last one with one, and
    `size` the bytes of the entries that are shown themselves.
    """

    summary: tuple[Message, ...]
    messages: tuple[Message, ...]
    starts: tuple[int, ...]
    marks: Mapping[str, int]
    notes: int
    size: int


def view(transcript: Sequence[bytes]) -> View:
    """What is shown of this transcript, oldest message first. Raises UnknownVersion."""
    entries = [loads(written) for written in transcript]
    first = 0
    summary: tuple[Message, ...] = ()
    for place in range(len(entries) - 1, -1, -1):
        if (text := entries[place].get("summary")) is not None:
            first = max(0, place - entries[place]["kept"])
            summary = (Message("system", (Text(f"{_SUMMARY}\n\n{text}"),)),)
            break
    messages: list[Message] = []
    starts: list[int] = []
    marks: dict[str, int] = {}
    notes = 0
    for place, entry in enumerate(entries[first:], first):
        starts.append(len(messages))
        added = read_messages(entry)
        messages += added
        notes = 0 if added else notes + 1
        if entry.get("kept") is not None and entry.get("summary") is None:
            marks[entry.get("model", "")] = starts[max(0, place - entry["kept"] - first)]
    return View(
        summary, tuple(messages), tuple(starts), marks, notes, sum(len(written) for written in transcript[first:])
    )
