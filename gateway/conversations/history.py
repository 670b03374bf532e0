"""Stored history and a client's messages → what the model is shown, and what of it is new.

Clients differ: some send only what is new, some all that they remember, some the last few messages. What a client sends
again is recognised by its content, never counted twice, and nothing that is new is taken for old: a message that was
sent again can only stand at the beginning, an answer must be among such messages (a client can't know one by chance),
and the last message is always new. Nothing here does I/O.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from gateway.core.message import Citation, Image, Message, Part, Refusal, Text, Thinking, ToolCall, ToolResult

_UNANSWERED = "No result was given."


@dataclass(frozen=True, slots=True)
class MergedHistory:
    """What the model is shown, in this order: the request's `instructions`, the `summary` of what came before the
    `history`, the history, and what is `new`, which is for the transcript.
    """

    instructions: tuple[Message, ...]
    summary: tuple[Message, ...]
    history: tuple[Message, ...]
    new: tuple[Message, ...]

    def shown(self, start: int = 0) -> tuple[Message, ...]:
        """All of it, with the history from its message `start` on."""
        past = _mended(self.history[start:], self.new) if self.history else ()
        return (*self.instructions, *self.summary, *past, *self.new)


def join(history: Sequence[Message], sent: Sequence[Message], summary: Sequence[Message] = ()) -> MergedHistory:
    """Put the two together, with the summary of what came before the history, if any.

    `sent` begins with the request's instructions, if any: they hold for this turn only.

    Instructions are the system and developer messages before the first other one; those further on are conversation.
    """
    start = 0
    while start < len(sent) and sent[start].role in ("system", "developer"):
        start += 1
    instructions, conversation = tuple(sent[:start]), tuple(sent[start:])
    known, everything = _overlap(_told(history), _told(conversation))
    known = _place(conversation, known)
    new = conversation[known:]
    if everything:
        return MergedHistory((*instructions, *conversation[:known]), (), (), new)
    return MergedHistory(instructions, tuple(summary), tuple(history), new)


def _told(messages: Sequence[Message]) -> list[Message]:
    """What callers know of."""
    return [message for message in messages if not message.hidden]


def _place(messages: Sequence[Message], told: int) -> int:
    """Where so many that callers know of end."""
    ends = [place + 1 for place, message in enumerate(messages) if not message.hidden]
    return ends[told - 1] if told else 0


def _overlap(history: Sequence[Message], sent: Sequence[Message]) -> tuple[int, bool]:
    """How many messages of `sent` are in the history, and whether all of the history is in `sent`."""
    if len(sent) < 2 or not history or not any(message.role == "assistant" for message in sent[:-1]):
        return 0, False
    old, asked = [_content(message) for message in history], [_content(message) for message in sent]
    said = asked[:-1]
    best = 0
    for length in _prefixes(said, old):
        if length > best and any(message.role == "assistant" for message in sent[:length]):
            best = length
    # Of a history that lost its oldest turns, a client may remember more than we do.
    if any(message.role == "assistant" for message in history):
        for begin, length in enumerate(_prefixes(old, said)):
            if begin and length == len(old) and begin + length > best:
                return begin + length, True
    return best, False


def _prefixes(pattern: list[Hashable], text: list[Hashable]) -> list[int]:
    """For each place in `text`, how much of the beginning of `pattern` stands there: the Z function, linear in time."""
    joined: list[Hashable] = [*pattern, object(), *text]
    lengths = [0] * len(joined)
    left = right = 0
    for place in range(1, len(joined)):
        length = min(right - place, lengths[place - left]) if place < right else 0
        while place + length < len(joined) and joined[length] == joined[place + length]:
            length += 1
        lengths[place] = length
        if place + length > right:
            left, right = place, place + length
    return lengths[len(pattern) + 1 :]


def _content(message: Message) -> Hashable:
    """What two messages have in common that are the same to a reader: clients re-shape what they send again.

    Few clients return reasoning or sources.
    """
    texts = [part.text for part in message.parts if isinstance(part, Text | Refusal)]
    others = tuple(_other(part) for part in message.parts if not isinstance(part, _NOT_COMPARED))
    return message.role, "".join(texts).strip(), others


_NOT_COMPARED = Text | Refusal | Thinking | Citation


def _other(part: Part) -> Hashable:
    match part:
        case ToolCall():
            return "call", part.id, part.name, part.arguments if not part.id else ""
        case ToolResult():
            return "result", part.call_id, "".join(one.text for one in part.content if type(one) is Text).strip()
        case Image():
            return "image"  # perhaps by URL when it was sent, and by its data since
        case _:
            return type(part).__name__


def _mended(history: Sequence[Message], new: Sequence[Message]) -> list[Message]:
    """A history that providers accept: no result whose call was dropped, no call whose result never came."""
    mended: list[Message] = []
    open_calls: dict[str, None] = {}  # in their order
    for message in history:
        if message.role == "tool":
            if not mended:
                continue
            _close(open_calls, message)
        else:
            mended += _made_up(open_calls)
            open_calls = dict.fromkeys(part.id for part in message.parts if type(part) is ToolCall and part.id)
        mended.append(message)
    for message in new:
        if message.role != "tool":
            break
        _close(open_calls, message)
    return [*mended, *_made_up(open_calls)]


def _close(open_calls: dict[str, None], answer: Message) -> None:
    for part in answer.parts:
        if type(part) is ToolResult:
            open_calls.pop(part.call_id, None)


def _made_up(open_calls: dict[str, None]) -> list[Message]:
    return [Message("tool", (ToolResult(call_id, (Text(_UNANSWERED),)),)) for call_id in open_calls]
