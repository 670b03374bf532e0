"""Merges the stored history with the messages of a request, without I/O.

Clients differ: some send only the new messages, some the whole conversation, some the last few messages. Messages that
a client sends again are recognised by their content and are not stored twice. Three rules keep new messages from being
taken for repeated ones: repeated messages are at the beginning, they include an answer (a client can't know one by
chance), and the last message is always new.

A client that sends answers which are not the end of the stored history has a history of its own: it has edited a
message, or begun another chat under the same name. Then its history counts, from the point where both differ.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from gateway.core.message import Citation, Image, Message, Part, Refusal, Text, Thinking, ToolCall, ToolResult

_UNANSWERED = "No result was given."


@dataclass(frozen=True, slots=True)
class MergedHistory:
    """The messages for the model, in this order: the request's `instructions`, the `summary` of the turns before the
    `history`, the `history`, and the `new` messages, which the transcript gets.

    `differs`: the client has a history of its own, so `history` is only what both have in common, and the stored turns
    are not shown any more.
    """

    instructions: tuple[Message, ...]
    summary: tuple[Message, ...]
    history: tuple[Message, ...]
    new: tuple[Message, ...]
    differs: bool = False

    def shown(self, start: int = 0) -> tuple[Message, ...]:
        """All messages, with the history from its message `start` on."""
        history = _repaired(self.history[start:], self.new) if self.history else ()
        return (*self.instructions, *self.summary, *history, *self.new)


def join(history: Sequence[Message], sent: Sequence[Message], summary: Sequence[Message] = ()) -> MergedHistory:
    """Merge the history and the messages that the client `sent`; `summary` stands for the turns before the history.

    The system and developer messages at the beginning of `sent` are instructions for this turn only. Later ones are
    part of the conversation.
    """
    start = 0
    while start < len(sent) and sent[start].role in ("system", "developer"):
        start += 1
    instructions, conversation = tuple(sent[:start]), tuple(sent[start:])
    known, everything, common = _overlap(_visible(history), _visible(conversation))
    known = _index_after(conversation, known)
    new = conversation[known:]
    if common is not None:
        before = tuple(history[: _index_after(history, common)])
        return MergedHistory(instructions, tuple(summary) if before else (), before, new, differs=True)
    if everything:
        return MergedHistory((*instructions, *conversation[:known]), (), (), new)
    return MergedHistory(instructions, tuple(summary), tuple(history), new)


def _visible(messages: Sequence[Message]) -> list[Message]:
    """The messages that clients have seen."""
    return [message for message in messages if not message.hidden]


def _index_after(messages: Sequence[Message], visible: int) -> int:
    """The index after the first `visible` messages that are not hidden."""
    ends = [index + 1 for index, message in enumerate(messages) if not message.hidden]
    return ends[visible - 1] if visible else 0


def _overlap(history: Sequence[Message], sent: Sequence[Message]) -> tuple[int, bool, int | None]:
    """How many messages of `sent` repeat the history, whether `sent` contains all of the history, and how many messages
    of the history both have in common if they differ after them (None if they do not differ).
    """
    if len(sent) < 2 or not history or not any(message.role == "assistant" for message in sent[:-1]):
        return 0, False, None
    old, asked = [_content(message) for message in history], [_content(message) for message in sent]
    repeated = asked[:-1]
    best, common, reaches_end = 0, 0, False
    for begin, length in enumerate(_prefixes(repeated, old)):
        if not any(message.role == "assistant" for message in sent[:length]):
            continue
        reaches_end = reaches_end or begin + length == len(old)
        if length > best:
            best, common = length, begin + length
    # The transcript may have lost its oldest turns, which the client still has.
    if any(message.role == "assistant" for message in history):
        for begin, length in enumerate(_prefixes(old, repeated)):
            if begin and length == len(old) and begin + length > best:
                return begin + length, True, None
    return best, False, None if reaches_end else common


def _prefixes(pattern: list[Hashable], text: list[Hashable]) -> list[int]:
    """For each index of `text`, the length of the prefix of `pattern` there: the Z function, in linear time."""
    joined: list[Hashable] = [*pattern, object(), *text]
    lengths = [0] * len(joined)
    left = right = 0
    for index in range(1, len(joined)):
        length = min(right - index, lengths[index - left]) if index < right else 0
        while index + length < len(joined) and joined[length] == joined[index + length]:
            length += 1
        lengths[index] = length
        if index + length > right:
            left, right = index, index + length
    return lengths[len(pattern) + 1 :]


def _content(message: Message) -> Hashable:
    """A value that is equal for two messages with the same meaning: clients change the form of what they send again.

    Reasoning and citations don't count, because few clients return them.
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
            return "image"  # a client may send it by URL first and by its data later
        case _:
            return type(part).__name__


def _repaired(history: Sequence[Message], new: Sequence[Message]) -> list[Message]:
    """A history that providers accept: without results of omitted calls, and with a result for each call."""
    repaired: list[Message] = []
    open_calls: dict[str, None] = {}  # by id, in order
    for message in history:
        if message.role == "tool":
            if not repaired:
                continue
            _close(open_calls, message)
        else:
            repaired += _placeholder_results(open_calls)
            open_calls = dict.fromkeys(part.id for part in message.parts if type(part) is ToolCall and part.id)
        repaired.append(message)
    for message in new:
        if message.role != "tool":
            break
        _close(open_calls, message)
    return [*repaired, *_placeholder_results(open_calls)]


def _close(open_calls: dict[str, None], answer: Message) -> None:
    for part in answer.parts:
        if type(part) is ToolResult:
            open_calls.pop(part.call_id, None)


def _placeholder_results(open_calls: dict[str, None]) -> list[Message]:
    return [Message("tool", (ToolResult(call_id, (Text(_UNANSWERED),)),)) for call_id in open_calls]
