"""Puts system messages where every chat template reads them: one, at the beginning.

The templates of many open models refuse a second system message, or one at another index; servers that render them are
asked this way. The agent's prompt, the
client's system messages and what the gateway adds are therefore joined. Later ones, such as Claude Code and Codex send,
become text of the user at the same index: what precedes them stays the same for a prompt cache.
"""

from collections.abc import Sequence
from itertools import groupby

from gateway.core.message import NO_EXTRAS, Extras, Message, Role, Text

_SYSTEM = ("system", "developer")
_SEPARATOR = "\n\n"


def with_system_first(messages: Sequence[Message]) -> Sequence[Message]:
    """The messages, unchanged unless several of them or a later one are system messages.

    A later one and the user messages next to it become one message: some templates demand that user and assistant
    alternate.
    """
    for message in messages[1:]:
        if message.role in _SYSTEM:
            break
    else:
        return messages
    first = next((index for index, message in enumerate(messages) if message.role not in _SYSTEM), len(messages))
    result = [_joined(messages[0].role, messages[:first])] if first else []
    for is_input, group in groupby(messages[first:], _is_input):
        neighbours = list(group)
        if is_input and any(message.role in _SYSTEM for message in neighbours):
            result.append(_joined("user", neighbours))
        else:
            result += neighbours
    return result


def _is_input(message: Message) -> bool:
    return message.role == "user" or message.role in _SYSTEM


def _joined(role: Role, messages: Sequence[Message]) -> Message:
    """One message with the content and the fields of all: a text, if they have no other content."""
    if len(messages) == 1 and messages[0].role == role:
        return messages[0]
    name = next((message.name for message in messages if message.name and message.role == role), None)
    extras = NO_EXTRAS
    for message in messages:
        if message.extras.fields:
            extras = Extras(message.extras.wire, {**extras.of(message.extras.wire), **message.extras.fields})
    parts = tuple(part for message in messages for part in message.parts)
    texts = [part.text for part in parts if type(part) is Text and part.extras is NO_EXTRAS]
    if len(texts) == len(parts):
        return Message(role, (Text(_SEPARATOR.join(texts)),), name, extras)
    return Message(role, parts, name, extras, content_is_array=True)
