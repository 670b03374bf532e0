"""`agent_message` items, what one agent of Codex says to another. Few services know them: models get a user's message.

Codex puts the text into `encrypted_content` whether or not OpenAI has encrypted it.
"""

from collections.abc import Mapping
from typing import Any

from gateway.core.message import Foreign, Message, Part, Text
from gateway.wire.openai_responses import ITEM, WIRE
from gateway.wire.openai_responses.parts import read_content

_CIPHERTEXT = "gAAAA"  # how tokens of Fernet begin
_UNREADABLE = "[A part is left out: only the provider that encrypted it can read it]"


def agent_message(item: Mapping[str, Any], path: str) -> Message:
    """The item as a message of the user. Raises BadRequest for content that can't be read.

    An encrypted one goes to providers of the format as it is, and to others without what nobody else can read.
    """
    content = item.get("content")
    parts: list[Any] = content if isinstance(content, list) else [{"type": "input_text", "text": content}]
    readable = read_content([_readable(part) for part in parts], f"{path}.content")
    message: tuple[Part, ...] = (*_heading(item), *readable)
    if not any(_is_encrypted(part) for part in parts):
        return Message("user", message)
    own = {name: value for name, value in item.items() if name != "id"}
    text = "\n\n".join(part.text for part in message if isinstance(part, Text))
    return Message("user", (Foreign(WIRE, {ITEM: own}, text),))


def _heading(item: Mapping[str, Any]) -> tuple[Text, ...]:
    author, recipient = item.get("author"), item.get("recipient")
    if not (isinstance(author, str) and author):
        return ()
    to = f" to {recipient}" if isinstance(recipient, str) and recipient else ""
    return (Text(f"Message from the agent {author}{to}:"),)


def _readable(part: Any) -> Any:
    if _is_encrypted(part):
        return {"type": "input_text", "text": _UNREADABLE}
    if isinstance(part, dict) and part.get("type") == "encrypted_content":
        return {"type": "input_text", "text": part.get("encrypted_content")}
    return part


def _is_encrypted(part: Any) -> bool:
    if not isinstance(part, dict) or part.get("type") != "encrypted_content":
        return False
    text = part.get("encrypted_content")
    return isinstance(text, str) and text.startswith(_CIPHERTEXT)
