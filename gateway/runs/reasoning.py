"""Stores the reasoning and extras of tool calls for clients that drop them.

Models that reason before they call tools refuse the next request if it lacks their reasoning or the signature of a
call. Most clients return only the call. So the gateway stores both by the id of the call and adds them to a message
that lacks them. They are only added for the client of the original run.
"""

import json
from collections.abc import Mapping, Sequence
from hashlib import sha256

import structlog
from msgspec.structs import replace

from gateway.core.errors import Unavailable
from gateway.core.jsonio import dumps, loads
from gateway.core.message import NO_EXTRAS, Extras, Message, Part, Thinking, ToolCall
from gateway.core.message_json import UnknownVersion, read_extras, read_part, write_extras, write_part
from gateway.core.turn import Turn
from gateway.state.reasoning.store import ReasoningStore

log = structlog.get_logger(__name__)

_MAX_CALLS = 512  # per request, the latest ones; older calls stay unchanged


class CallReasoning:
    """The reasoning of tool calls in one store."""

    def __init__(self, store: ReasoningStore) -> None:
        self._store = store

    async def remember(self, client: str, thinking: Sequence[Thinking], calls: Sequence[ToolCall]) -> None:
        """Store the reasoning before these calls, and their extras. An unavailable store loses them."""
        blocks = [write_part(block) for block in thinking]
        entries = {
            _key(client, call): dumps({"thinking": blocks, "extras": write_extras(call.extras)})
            for call in calls
            if blocks or call.extras.fields
        }
        if not entries:
            return
        try:
            await self._store.put(client, entries)
        except Unavailable as error:
            log.warning("Reasoning could not be stored", reason=error.message)

    async def restored(self, client: str, turn: Turn) -> Turn:
        """The turn with the reasoning and the extras that the client dropped."""
        calls = [
            part
            for message in turn.messages
            if message.role == "assistant" and message.calls_tools
            for part in message.parts
            if type(part) is ToolCall and part.id
        ]
        try:
            stored = await self._store.get([_key(client, call) for call in calls[-_MAX_CALLS:]])
        except Unavailable as error:
            log.warning("Stored reasoning could not be read", reason=error.message)
            return turn
        if not stored:
            return turn
        return replace(turn, messages=tuple(_restored(message, client, stored) for message in turn.messages))


def _restored(message: Message, client: str, stored: Mapping[str, bytes]) -> Message:
    if message.role != "assistant" or not message.calls_tools:
        return message
    thinking: list[Thinking] = []
    parts: list[Part] = []
    for part in message.parts:
        entry = stored.get(_key(client, part)) if type(part) is ToolCall else None
        if type(part) is not ToolCall or entry is None:
            parts.append(part)
            continue
        blocks, extras = _read(entry)
        thinking = thinking or blocks
        parts.append(replace(part, extras=extras) if part.extras is NO_EXTRAS and extras.fields else part)
    if thinking:  # complete, and with an owner: it replaces what the client or the conversation has of the same
        owners = {None, *(block.owner for block in thinking)}
        parts = [*thinking, *(part for part in parts if type(part) is not Thinking or part.owner not in owners)]
    return replace(message, parts=tuple(parts))


def _read(entry: bytes) -> tuple[list[Thinking], Extras]:
    try:
        fields = loads(entry)
        blocks = [read_part(block) for block in fields["thinking"]]
        return [block for block in blocks if isinstance(block, Thinking)], read_extras(fields)
    except (UnknownVersion, KeyError):
        return [], NO_EXTRAS  # another version wrote this


def _key(client: str, call: ToolCall) -> str:
    """Clients may write the arguments anew, but as the same JSON."""
    try:
        arguments = json.dumps(json.loads(call.arguments), sort_keys=True)
    except (ValueError, RecursionError):
        arguments = call.arguments
    named = json.dumps([client, call.id, call.name, arguments])
    return sha256(named.encode()).hexdigest()
