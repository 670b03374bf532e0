"""What is kept of a response, and the seam behind which it is kept.

A store never gives a response to another caller than the one it belongs to: the subject is a part of the question. What
else must match (agent, explicit session) and what the objects mean is the business of the handlers.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from gateway.core.jsonio import dumps, loads
from gateway.core.message import Message
from gateway.core.message_json import read_messages, write_messages


@dataclass(frozen=True, slots=True)
class StoredResponse:
    """One response. `subject` is the verified identity of its caller, None for the owner (`Principal.name`).

    `session` is the explicit session key it was made in, None without; `previous` the id of the response it continues;
    `created` a Unix time in seconds. `body` is the response object and `input` the array of input items, both as JSON;
    `messages` are what this turn added to the conversation: the new input without instructions, and the answer; `size`
    are their bytes where they were kept.
    """

    id: str
    subject: str | None
    agent: str
    created: float
    body: bytes
    input: bytes
    messages: tuple[Message, ...] = ()
    session: str | None = None
    previous: str | None = None
    size: int = field(default=0, compare=False)


class ResponseStore(Protocol):
    """Raises Unavailable (503) from every method when what it keeps can't be reached."""

    async def put(self, response: StoredResponse, *, new: bool = True) -> bool:
        """Keep it, in place of an earlier state of it; its time begins anew. False when it is too large to be kept.

        Without `new` it is kept only if there is an earlier state: what was deleted meanwhile stays deleted.
        """
        ...

    async def get(self, subject: str | None, response_id: str) -> StoredResponse | None:
        """The response, if there is one that belongs to `subject`."""
        ...

    async def delete(self, subject: str | None, response_id: str) -> bool:
        """Forget it; whether there was one that belonged to `subject`."""
        ...


@dataclass(frozen=True, slots=True)
class ResponsePolicy:
    """How long a response is kept (`ttl` seconds), how large one may be, and how much all of them (bytes).

    `most_bytes` holds where the store is ours alone; a shared Redis has its own `maxmemory`.
    """

    ttl: float = 30 * 86_400.0
    max_bytes: int = 16 * 2**20
    most_bytes: int = 2**30


def written(response: StoredResponse) -> dict[str, bytes]:
    """The fields that stores keep, each as JSON; `read` puts them together again."""
    facts = {
        "agent": response.agent,
        "created": response.created,
        "session": response.session,
        "previous": response.previous,
    }
    return {
        "facts": dumps(facts),
        "body": response.body,
        "input": response.input,
        "messages": dumps(write_messages(response.messages)),
    }


def read(response_id: str, subject: str | None, fields: Mapping[str, bytes]) -> StoredResponse:
    """The response of which `written` made these fields. Raises UnknownVersion."""
    facts = loads(fields["facts"])
    return StoredResponse(
        response_id,
        subject,
        facts["agent"],
        facts["created"],
        fields["body"],
        fields["input"],
        read_messages(loads(fields["messages"])),
        facts["session"],
        facts["previous"],
        len(fields["messages"]),
    )
