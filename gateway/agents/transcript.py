"""One entry of a stored conversation: a turn that was answered, or the note that one was not.

`{"v": 1, "at": 1700000000.0, "request": "…", "outcome": "completed", "model": "provider/model", "messages": [...]}`;
messages are in the form of `gateway.core.message_json`. What a model is shown are the messages of completed turns.
"""

from collections.abc import Iterable, Sequence
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
    last `kept`.
    """

    at: float
    request: str
    outcome: Outcome
    messages: tuple[Message, ...] = ()
    model: str | None = None
    reason: str | None = None
    summary: str | None = None
    kept: int = 0


def write_entry(entry: Entry) -> bytes:
    """As it is stored."""
    facts: dict[str, Any] = {"at": entry.at, "request": entry.request, "outcome": entry.outcome}
    if entry.model is not None:
        facts["model"] = entry.model
    if entry.reason is not None:
        facts["reason"] = entry.reason
    if entry.summary is not None:
        facts |= {"summary": entry.summary, "kept": entry.kept}
    return dumps(write_messages(entry.messages) | facts)


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
        fields.get("kept", 0),
    )


@dataclass(frozen=True, slots=True)
class View:
    """A conversation as a model is shown it: at most one message that stands for what came before, and the messages.

    `size` is the bytes of the entries that are shown themselves.
    """

    summary: tuple[Message, ...]
    messages: tuple[Message, ...]
    size: int


def view(transcript: Sequence[bytes]) -> View:
    """What is shown of this transcript, oldest message first. Raises UnknownVersion."""
    entries = [loads(written) for written in transcript]
    for place in range(len(entries) - 1, -1, -1):
        if (text := entries[place].get("summary")) is not None:
            start = max(0, place - entries[place]["kept"])
            stands_for = Message("system", (Text(f"{_SUMMARY}\n\n{text}"),))
            return View((stands_for,), _messages(entries[start:]), sum(map(len, transcript[start:])))
    return View((), _messages(entries), sum(map(len, transcript)))


def _messages(entries: Iterable[dict[str, Any]]) -> tuple[Message, ...]:
    return tuple(message for entry in entries for message in read_messages(entry))
