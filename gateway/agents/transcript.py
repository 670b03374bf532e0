"""One entry of a stored conversation: a turn that was answered, or the note that one was not.

`{"v": 1, "at": 1700000000.0, "request": "…", "outcome": "completed", "model": "provider/model", "messages": [...]}`;
messages are in the form of `gateway.core.message_json`. What a model is shown are the messages of completed turns.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from gateway.core.jsonio import dumps, loads
from gateway.core.message import Message
from gateway.core.message_json import read_messages, write_messages

Outcome = Literal["completed", "cancelled", "failed"]


@dataclass(frozen=True, slots=True)
class Entry:
    """`at` is Unix time in seconds, `request` the id of the request, `reason` why a turn failed; only completed turns
    have messages: what the caller added, and the answer.
    """

    at: float
    request: str
    outcome: Outcome
    messages: tuple[Message, ...] = ()
    model: str | None = None
    reason: str | None = None


def write_entry(entry: Entry) -> bytes:
    """As it is stored."""
    facts: dict[str, Any] = {"at": entry.at, "request": entry.request, "outcome": entry.outcome}
    if entry.model is not None:
        facts["model"] = entry.model
    if entry.reason is not None:
        facts["reason"] = entry.reason
    return dumps(write_messages(entry.messages) | facts)


def read_entry(written: bytes) -> Entry:
    """What `write_entry` wrote. Raises UnknownVersion."""
    fields = loads(written)
    messages = read_messages(fields)
    return Entry(
        fields["at"], fields["request"], fields["outcome"], messages, fields.get("model"), fields.get("reason")
    )


def messages_of(transcript: Iterable[bytes]) -> tuple[Message, ...]:
    """The conversation as a model is shown it, oldest message first. Raises UnknownVersion."""
    return tuple(message for written in transcript for message in read_messages(loads(written)))
