"""A stored response and the interface of its stores.

A store returns a response only to its owner: every query contains the subject. The handlers check the rest (agent,
explicit session) and interpret the objects.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import msgspec

from gateway.core.errors import Unavailable
from gateway.core.jsonio import StructDecoder, dumps, loads, only_objects_of
from gateway.core.message import Message
from gateway.core.message_json import are_many, read_messages, write_messages

LARGE = 2**18
"""Bytes above which a response is large: decoding it may take milliseconds."""

Hold = Callable[[int], None]
"""Reserves memory for so many bytes. What it raises refuses them."""


class _Body(msgspec.Struct):
    """What the handlers read in a response object without looking: all of them must be there."""

    status: str
    background: bool
    output: list[dict[str, object]]


_BODY = StructDecoder(_Body)


@dataclass(frozen=True, slots=True)
class StoredResponse:
    """One response. `subject` is the verified identity of its caller, None for the owner (`Principal.name`).

    `session` is the explicit session key of the request, None without one. `previous` is the id of the response that
    this one continues. `created` is a Unix time in seconds. `body` is the response object and `input` the array of
    input items, both as JSON. `messages` are the messages that this turn added to the conversation: the new input
    without instructions, and the answer. `size` is their stored size in bytes.
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


class Damaged(Unavailable):
    """The stored response can't be read. It can be deleted."""


class ResponseStore(Protocol):
    """Every method raises Unavailable (503) when the storage is not reachable."""

    async def put(self, response: StoredResponse, *, new: bool = True) -> bool:
        """Store the response, replace an earlier version and restart its retention. Returns False if it is too large.

        Without `new`, store it only if an earlier version exists: a deleted response stays deleted.
        """
        ...

    async def get(self, subject: str | None, response_id: str, hold: Hold | None = None) -> StoredResponse | None:
        """The response, if it exists and belongs to `subject`.

        Before reading a large one it calls `hold` with its bytes; what that raises ends the call. Raises Damaged.
        """
        ...

    async def delete(self, subject: str | None, response_id: str) -> bool:
        """Delete the response. Returns whether it existed and belonged to `subject`."""
        ...


@dataclass(frozen=True, slots=True)
class ResponsePolicy:
    """`ttl` is the retention in seconds, `max_bytes` the limit of one response, `max_total_bytes` the limit of all.

    `max_total_bytes` applies to SQLite only: a shared Redis has its own `maxmemory`.
    """

    ttl: float = 30 * 86_400.0
    max_bytes: int = 16 * 2**20
    max_total_bytes: int = 2**30


async def encoded(response: StoredResponse) -> dict[str, bytes]:
    """The fields that a store writes, each as JSON. `decoded` reads them."""
    if are_many(response.messages):
        return await asyncio.to_thread(_encoded, response)
    return _encoded(response)


async def decoded(response_id: str, subject: str | None, fields: Mapping[str, bytes]) -> StoredResponse:
    """The response that `encoded` encoded. Raises Damaged."""
    try:
        if sum(map(len, fields.values())) > LARGE:
            return await asyncio.to_thread(_decoded, response_id, subject, fields)
        return _decoded(response_id, subject, fields)
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise Damaged(
            "The stored response can't be read: a newer version of the gateway wrote it, or it is damaged."
        ) from error


def _encoded(response: StoredResponse) -> dict[str, bytes]:
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


def _decoded(response_id: str, subject: str | None, fields: Mapping[str, bytes]) -> StoredResponse:
    facts = loads(fields["facts"])
    _BODY.read(fields["body"])
    only_objects_of(msgspec.Raw(fields["input"]))
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
