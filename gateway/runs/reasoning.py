"""Stores the reasoning and extras of tool calls for clients that drop them.

Models that reason before they call tools refuse the next request if it lacks their reasoning or the signature of a
call. Most clients return only the call. So the gateway stores both by the id of the call and adds them to a message
that lacks them. They are only added for the client of the original run.
"""

import json
import operator
from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256
from itertools import groupby, takewhile

import structlog
from msgspec import Struct
from msgspec.structs import replace

from gateway.core.errors import Unavailable
from gateway.core.jsonio import dumps, loads
from gateway.core.message import NO_EXTRAS, Extras, Message, Owner, Part, Text, Thinking, ToolCall
from gateway.core.message_json import read_extras, read_part, write_extras, write_part
from gateway.core.turn import Turn
from gateway.state.reasoning.store import ReasoningStore

log = structlog.get_logger(__name__)

_MAX_CALLS = 512  # per request, the latest ones; older calls stay unchanged


class CallReasoning:
    """The reasoning of tool calls in one store."""

    def __init__(self, store: ReasoningStore) -> None:
        self._store = store

    async def remember(self, client: str, parts: Sequence[Part]) -> None:
        """Store the reasoning before each call of an answer, with its position, and the extras of the call.

        An unavailable store loses them.
        """
        entries = {
            _key(client, call): dumps(
                {
                    "thinking": [write_part(one.block) for one in before],
                    "at": [[one.characters, one.calls] for one in before],
                    "text": text_length,
                    "extras": write_extras(call.extras),
                }
            )
            for call, before, text_length in _calls_of(parts)
            if before or call.extras.fields
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
        messages: list[Message] = []
        for is_assistant, group in groupby(turn.messages, lambda message: message.role == "assistant"):
            answer = list(group)
            messages += _restored(answer, client, stored) if is_assistant else answer
        return replace(turn, messages=tuple(messages))


class _Placed(Struct, frozen=True):
    """A block of reasoning and the content of its answer before it: characters of text and the number of calls."""

    block: Thinking
    characters: int = 0
    calls: int = 0


class _Entry(Struct, frozen=True):
    """What is stored for a call. `text_length` is that of the text of its answer before it, as `_length` counts."""

    placed: list[_Placed] = []
    extras: Extras = NO_EXTRAS
    text_length: int = 0


_NO_ENTRY = _Entry()


def _calls_of(parts: Sequence[Part]) -> Iterator[tuple[ToolCall, list[_Placed], int]]:
    """Every call of an answer with all reasoning before it, and the length of the text before it."""
    before: list[_Placed] = []
    characters = calls = length = 0
    for part in parts:
        if type(part) is Thinking and part.owner is not None:
            before.append(_Placed(part, characters, calls))
        elif type(part) is Text:
            characters += len(part.text)
            length += _length(part)
        elif type(part) is ToolCall:
            yield part, list(before), length
            calls += 1


def _length(text: Text) -> int:
    """The number of characters without whitespace, which clients trim."""
    return len("".join(text.text.split()))


def _restored(messages: list[Message], client: str, stored: Mapping[str, bytes]) -> list[Message]:
    """The assistant's messages in a row, with the reasoning of the answer that called tools: the last one.

    The last of its calls knows most of it. A client may have sent the answer in several messages, and others before it.
    """
    entries = {
        id(part): _read(entry)
        for message in messages
        for part in message.parts
        if type(part) is ToolCall and (entry := stored.get(_key(client, part))) is not None
    }
    if not entries:
        return messages
    call, known = max(entries.items(), key=lambda item: len(item[1].placed))
    owners = {None, *(one.block.owner for one in known.placed)}
    queue = _Queue(known.placed)
    start = _start_of_answer(messages, call, known.text_length)
    answer = (replace(message, parts=tuple(_parts(message, entries, owners, queue))) for message in messages[start:])
    return [*messages[:start], *answer]


def _start_of_answer(messages: list[Message], call: int, text_length: int) -> int:
    """The index of the first message of the answer with this call: messages before it hold more text than it had."""
    start, length = len(messages), 0
    for index in reversed(range(len(messages))):
        parts = messages[index].parts
        if start == len(messages):
            parts = tuple(takewhile(lambda part: id(part) != call, parts))
            if len(parts) == len(messages[index].parts):
                continue  # the call is in an earlier message
            start = index
        length += sum(_length(part) for part in parts if type(part) is Text)
        if length > text_length:
            break
        start = index
    return start


def _parts(
    message: Message, entries: Mapping[int, _Entry], owners: set[Owner | None], queue: "_Queue"
) -> Iterator[Part]:
    for part in message.parts:
        if type(part) is Thinking and queue.any and part.owner in owners:
            continue  # the stored block replaces it: that one is complete, and has an owner
        if type(part) is Text:
            yield from queue.around(part)
            continue
        if type(part) is not ToolCall:
            yield part
            continue
        entry = entries.get(id(part), _NO_ENTRY)
        yield from queue.before_call(len(entry.placed))
        # A client of another format may add fields of its own, such as a breakpoint of a cache.
        restores = entry.extras.fields and part.extras.wire != entry.extras.wire
        yield replace(part, extras=entry.extras) if restores else part


class _Queue:
    """The blocks to put back into one answer, in order. `any` is False for an answer without."""

    def __init__(self, placed: list[_Placed]) -> None:
        self.any = bool(placed)
        self._placed = placed
        self._next = 0
        self._characters = 0
        self._calls = 0

    def around(self, text: Text) -> Iterator[Part]:
        """This text, with the blocks before it and within it."""
        whole = text.text
        start = 0
        for one in self._placed[self._next :]:
            offset = one.characters - self._characters
            if one.calls > self._calls or offset >= len(whole):
                break
            if offset > start:
                yield replace(text, raw=whole[start:offset])
                start = offset
            yield one.block
            self._next += 1
        self._characters += len(whole)
        yield replace(text, raw=whole[start:]) if start else text

    def before_call(self, known: int) -> Iterator[Thinking]:
        """The rest of the first `known` blocks, which came before this call."""
        while self._next < known:
            yield self._placed[self._next].block
            self._next += 1
        self._calls += 1


def _read(entry: bytes) -> _Entry:
    try:
        fields = loads(entry)
        blocks = [read_part(block) for block in fields["thinking"]]
        positions = fields.get("at") or [[0, 0]] * len(blocks)
        placed = [
            _Placed(block, *map(operator.index, position))
            for block, position in zip(blocks, positions, strict=True)
            if isinstance(block, Thinking)
        ]
        return _Entry(placed, read_extras(fields), operator.index(fields.get("text", 0)))
    except (ValueError, KeyError, TypeError, AttributeError):
        return _NO_ENTRY  # another version wrote this, or it is damaged


def _key(client: str, call: ToolCall) -> str:
    """Clients may write the arguments anew, but as the same JSON."""
    try:
        arguments = json.dumps(json.loads(call.arguments), sort_keys=True)
    except (ValueError, RecursionError):
        arguments = call.arguments
    named = json.dumps([client, call.id, call.name, arguments])
    return sha256(named.encode()).hexdigest()
