"""Decodes `input` of a client's request, a flat list of items, into the messages of a conversation.

Reasoning and calls join the assistant's message that they belong to. Files and audio in a tool's output follow as a
user message after all outputs of that round.
"""

from collections.abc import Callable, Mapping
from typing import Any, cast

from gateway.core.errors import BadRequest
from gateway.core.ids import new_id
from gateway.core.message import (
    FROM_TOOLS,
    NO_EXTRAS,
    Audio,
    Extras,
    File,
    Foreign,
    Image,
    Message,
    Part,
    Refusal,
    Role,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)
from gateway.core.message_json import read_extras
from gateway.core.seal import Seal
from gateway.wire.openai_responses import ITEM, WIRE
from gateway.wire.openai_responses.agent_message import agent_message
from gateway.wire.openai_responses.client_tools import (
    CALL_TYPES,
    KINDS,
    OUTPUT_TYPES,
    arguments_of,
    is_clients,
    name_of,
)
from gateway.wire.openai_responses.compaction import summary_message
from gateway.wire.openai_responses.hosted import HOSTED, call_id_of, call_of, result_of
from gateway.wire.openai_responses.parts import ContentPart, read_content
from gateway.wire.openai_responses.reasoning import read_reasoning

_ROLES = ("user", "assistant", "system", "developer")
_NO_MESSAGE = "Missing user message in `input`."


def read_input(raw: Any, seal: Seal | None = None) -> tuple[Message, ...]:
    """The conversation. Raises BadRequest. Every `item_reference` must have been replaced by its item.

    Reasoning of this gateway counts only if `seal` made it.
    """
    if isinstance(raw, str):
        messages: tuple[Message, ...] = (Message("user", (Text(raw),)),)
    elif isinstance(raw, list):
        messages = read_items(raw, "input", seal)
    else:
        raise BadRequest("`input`: must be a string or an array of items.", param="input")
    if not any(message.role not in ("system", "developer") and not message.blank for message in messages):
        raise BadRequest(_NO_MESSAGE, param="input")
    return messages


def read_items(raw: list[Any], path: str, seal: Seal | None = None) -> tuple[Message, ...]:
    """Items of a request, or of a response's output; `path` names them in refusals. Raises BadRequest."""
    conversation = _Conversation(seal)
    for index, item in enumerate(raw):
        conversation.read(item, f"{path}[{index}]")
    return conversation.messages()


def referred(item: Any) -> str | None:
    """The id that an `item_reference` names, with or without its type; None for any other item."""
    if not isinstance(item, dict) or not isinstance(item.get("id"), str):
        return None
    is_reference = item.get("type") == "item_reference" or (item.get("type") is None and set(item) <= {"id", "type"})
    return item["id"] if is_reference else None


class _Conversation:
    """The messages so far, and the attachments of tool outputs that still have to follow."""

    __slots__ = ("_attached", "_messages", "_seal")

    def __init__(self, seal: Seal | None) -> None:
        self._seal = seal
        self._messages: list[Message] = []
        self._attached: list[Part] = []

    def messages(self) -> tuple[Message, ...]:
        self._attach()
        return tuple(message for message in self._messages if any(type(part) is not Thinking for part in message.parts))

    def read(self, item: Any, path: str) -> None:
        kind = item.get("type") if isinstance(item, dict) else None
        if kind is None and isinstance(item, dict) and "role" in item:
            kind = "message"
        reader = _READERS.get(kind) if isinstance(kind, str) else None
        if reader is None:
            named = f" '{kind[:80]}'" if isinstance(kind, str) else ""
            raise BadRequest(f"`{path}`: items of type{named} are not supported here.", param=path)
        reader(self, item, path)

    def message(self, item: Mapping[str, Any], path: str) -> None:
        role = item.get("role")
        if role not in _ROLES:
            raise BadRequest(f"`{path}.role`: must be one of {', '.join(_ROLES)}.", param=f"{path}.role")
        if item.get("phase") is not None and role != "assistant":
            raise BadRequest(f"`{path}.phase`: is for messages of the assistant only.", param=f"{path}.phase")
        parts = read_content(item.get("content"), f"{path}.content")
        if isinstance(phase := item.get("phase"), str):
            parts = tuple(
                Text(part.raw, Extras(WIRE, {"phase": phase})) if isinstance(part, Text) else part for part in parts
            )
        if not all(isinstance(part, Text | Refusal) for part in parts) and role != "user":
            path += ".content"
            raise BadRequest(f"`{path}`: only user messages may hold images, files or audio.", param=path)
        self.say(cast(Role, role), parts)

    def agent_message(self, item: Mapping[str, Any], path: str) -> None:
        self.say("user", agent_message(item, path).parts)

    def say(self, role: Role, parts: tuple[Part, ...]) -> None:
        if not parts:
            return
        self._attach()
        last = self._messages[-1] if self._messages else None
        if role == "assistant" and last is not None and last.role == role and _continues(last):
            self._messages[-1] = Message(role, (*last.parts, *parts))
        else:
            self._messages.append(Message(role, parts))

    def reasoning(self, item: Mapping[str, Any], _path: str) -> None:
        """Add reasoning to the assistant's message that follows it."""
        block = read_reasoning(item, self._seal)
        if block is None:
            return
        self._attach()
        last = self._messages[-1] if self._messages else None
        if last is not None and last.role == "assistant" and _continues(last):
            self._messages[-1] = Message("assistant", (*last.parts, block))
        else:
            self._messages.append(Message("assistant", (block,)))

    def call(self, item: Mapping[str, Any], path: str) -> None:
        """Add a call of a tool that the client runs."""
        if not is_clients(item):
            self.hosted(item, path)
            return
        kind = KINDS[item["type"]]
        call_id = _required(item, "call_id", path) if kind in _NAMED else call_id_of(item)
        if not call_id:
            raise BadRequest(f"`{path}.call_id`: must be a non-empty string.", param=f"{path}.call_id")
        if kind in _NAMED:
            _required(item, "name", path)
        namespace = item.get("namespace")
        self._call(
            ToolCall(
                call_id,
                name_of(item),
                arguments_of(item),
                _extras(item),
                kind,
                namespace if isinstance(namespace, str) and namespace else None,
            )
        )

    def _call(self, call: ToolCall) -> None:
        self._attach()
        last = self._messages[-1] if self._messages else None
        if last is not None and last.role == "assistant":
            self._messages[-1] = Message("assistant", (*last.parts, call))
        else:
            self._messages.append(Message("assistant", (call,)))

    def output(self, item: Mapping[str, Any], path: str) -> None:
        """Add the result of such a call."""
        if item["type"] == "function_call_output":
            self._output(_required(item, "call_id", path), read_content(item.get("output"), f"{path}.output"))
            return
        call_id = call_id_of(item)
        if not call_id:
            raise BadRequest(f"`{path}.call_id`: must be a non-empty string.", param=f"{path}.call_id")
        content = read_content(result_of(item), f"{path}.output")
        self._output(call_id, content, is_error=item.get("status") == "failed")

    def hosted(self, item: Mapping[str, Any], path: str) -> None:
        """Add the call of a hosted tool, its result, or both. Clients that store nothing strip the ids."""
        call = call_of(item)
        call_id = call_id_of(item)
        if not call_id:
            if call is None:
                raise BadRequest(f"`{path}.call_id`: must be a non-empty string.", param=f"{path}.call_id")
            call_id = new_id("call_")
        own = {name: value for name, value in item.items() if name != "id" or item["type"] in _KEEP_IDS}
        if call is not None:
            self._call(ToolCall(call_id, *call, Extras(WIRE, {ITEM: own}), "hosted"))
        if (result := result_of(item)) is not None:
            self._output(call_id, read_content(result, f"{path}.output"))
            if call is None:  # an item of its own
                self._messages.append(Message("tool", (Foreign(WIRE, {ITEM: own}, ""),)))

    def _output(self, call_id: str, parts: tuple[ContentPart, ...], *, is_error: bool = False) -> None:
        content = tuple(part for part in parts if isinstance(part, Text | Image | Refusal))
        self._messages.append(Message("tool", (ToolResult(call_id, content, is_error=is_error),)))
        for part in parts:
            if isinstance(part, File | Audio):
                what = f"the file '{part.name or 'file'}'" if isinstance(part, File) else "this"
                self._attached += (Text(f"The tool call {call_id} returned {what}:"), part)

    def compaction(self, item: Mapping[str, Any], path: str) -> None:
        """Add the summary of a compacted conversation; only the provider that made another one can read it."""
        if not isinstance(item.get("encrypted_content"), str):
            raise BadRequest(f"`{path}.encrypted_content`: must be a string.", param=f"{path}.encrypted_content")
        self._attach()
        own = {name: value for name, value in item.items() if name != "id"}
        self._messages.append(summary_message(item) or Message("user", (Foreign(WIRE, {ITEM: own}, ""),)))

    def tools(self, item: Mapping[str, Any], path: str) -> None:
        """Keep the place of tools that the input offers; `ingress` reads them."""
        if not isinstance(item.get("tools"), list):
            raise BadRequest(f"`{path}.tools`: must be an array.", param=f"{path}.tools")
        self._attach()
        own = {name: value for name, value in item.items() if name != "id"}
        self._messages.append(Message("developer", (Foreign(WIRE, {ITEM: own}, ""),)))

    def skip(self, item: Mapping[str, Any], path: str) -> None:
        """Skip an item that only its own provider can read, or that is no part of the conversation."""

    def refuse(self, item: Mapping[str, Any], path: str) -> None:
        """Refuse an item whose content would be lost."""
        raise BadRequest(f"`{path}`: {_REFUSED[item['type']]}", param=path)

    def _attach(self) -> None:
        if self._attached:
            self._messages.append(Message("user", tuple(self._attached), extras=FROM_TOOLS))
            self._attached = []


def _continues(message: Message) -> bool:
    """Whether the assistant's next item belongs to this message: it holds only reasoning so far, or tool calls."""
    return all(type(part) is Thinking for part in message.parts) or message.calls_tools


def _extras(item: Mapping[str, Any]) -> Extras:
    """The provider's own fields of a call, as `response_object.call_item` sent them to the client."""
    try:
        extras = read_extras(item)
    except (KeyError, TypeError):
        return NO_EXTRAS
    return extras if isinstance(extras.wire, str) and isinstance(extras.fields, dict) else NO_EXTRAS


def _required(item: Mapping[str, Any], field: str, path: str) -> str:
    value = item.get(field)
    if not isinstance(value, str) or not value.strip():
        raise BadRequest(f"`{path}.{field}`: must be a non-empty string.", param=f"{path}.{field}")
    return value


_NAMED = ("function", "custom")
_KEEP_IDS = ("mcp_call", "program", "computer_call")  # other items, or their results, refer to them
_REFUSED = {
    "item_reference": "needs the `id` of an item.",
}
_READERS: dict[str, Callable[[_Conversation, Mapping[str, Any], str], None]] = {
    "message": _Conversation.message,
    "agent_message": _Conversation.agent_message,
    "reasoning": _Conversation.reasoning,
    "compaction": _Conversation.compaction,
    "compaction_summary": _Conversation.compaction,
    "additional_tools": _Conversation.tools,
    **dict.fromkeys(HOSTED, _Conversation.hosted),
    **dict.fromkeys(CALL_TYPES.values(), _Conversation.call),
    **dict.fromkeys(OUTPUT_TYPES.values(), _Conversation.output),
    **dict.fromkeys(_REFUSED, _Conversation.refuse),
    **dict.fromkeys(
        (
            *("compaction_trigger", "configuration_update", "mcp_list_tools"),
            *("mcp_approval_request", "mcp_approval_response"),
        ),
        _Conversation.skip,
    ),
}
