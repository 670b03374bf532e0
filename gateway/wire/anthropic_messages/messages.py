"""Encodes the messages of a turn: the system prompt, and turns of user and assistant that alternate.

What is not the assistant's becomes one user turn: results of tools first, as the provider requires, then everything
else in order. System messages before the first turn are the system prompt; later ones follow the user's turn where the
model accepts that, and are text of the user elsewhere.
"""

from collections.abc import Iterable
from typing import Any

from gateway.core.message import Extras, Message, Owner, Part, ToolCall, ToolResult
from gateway.core.raw_text import text_of
from gateway.wire.anthropic_messages.content import Block, assistant_block, marked, user_block
from gateway.wire.call_ids import NO_RESULT, CallIds

_START = "(The conversation begins with your message.)"
_CONTINUE = "Continue."


class Conversation:
    """The messages of one request. `owner` is the model that they are for.

    `tools` are the names of the tools that the history calls.
    """

    def __init__(self, owner: Owner, *, late_system: bool) -> None:
        self.system: list[Block] = []
        self.messages: list[dict[str, Any]] = []
        self.tools: set[str] = set()
        self._owner = owner
        self._late_system = late_system
        self._ids = CallIds()
        self._results: list[Block] = []
        self._content: list[Block] = []
        self._late: list[Block] = []

    def add(self, messages: Iterable[Message]) -> None:
        """Add the messages of the turn. Raises UpstreamError for content that the format can't carry."""
        leading = True
        for message in messages:
            if message.role in ("system", "developer"):
                blocks = [block for part in message.parts if (block := user_block(part)) is not None]
                (self.system if leading else self._late).extend(blocks)
                continue
            leading = False
            if message.role == "assistant":
                self._assistant(message.parts)
            else:
                self._user(message)
        self._end_user_turn(self._ids.waiting(), last=True)

    def end_with_user(self) -> None:
        """Add a user's turn where the model would have to continue its own: it accepts no prefill."""
        if self.messages and self.messages[-1]["role"] == "assistant":
            self.messages.append({"role": "user", "content": _CONTINUE})

    def end_prefill(self) -> None:
        """Remove white space from the end of a prefill, which the provider refuses there."""
        last = self.messages[-1] if self.messages else None
        if last is not None and last["role"] == "assistant" and last["content"][-1]["type"] == "text":
            block = last["content"][-1]
            last["content"][-1] = {**block, "text": text_of(block["text"]).rstrip()}

    @property
    def in_tool_loop_without_thinking(self) -> bool:
        """Whether the model gets results of calls that it is not known to have reasoned about."""
        if len(self.messages) < 2 or self.messages[-1]["role"] != "user":
            return False
        last, asked = self.messages[-1]["content"], self.messages[-2]["content"]
        has_results = isinstance(last, list) and any(block["type"] == "tool_result" for block in last)
        return has_results and asked[0]["type"] not in ("thinking", "redacted_thinking")

    def _assistant(self, parts: tuple[Part, ...]) -> None:
        waiting = self._ids.waiting()
        blocks: list[Block] = []
        for part in parts:
            if type(part) is ToolCall:
                self.tools.add(part.name)
                block = assistant_block(part, self._owner, self._ids.call(part.id))
            else:
                block = assistant_block(part, self._owner)
            if block is not None:
                blocks.append(block)
        if not blocks:
            return
        self._end_user_turn(waiting)
        if not self.messages:
            self.messages.append({"role": "user", "content": _START})
        if self.messages[-1]["role"] == "assistant":
            self.messages[-1]["content"] += blocks
        else:
            self.messages.append({"role": "assistant", "content": blocks})

    def _user(self, message: Message) -> None:
        for part in message.parts:
            if type(part) is ToolResult:
                self._result(part, message.extras)
            elif (block := user_block(part)) is not None:
                self._content.append(block)

    def _result(self, result: ToolResult, extras: Extras) -> None:
        blocks = [block for part in result.content if (block := user_block(part)) is not None]
        call_id = self._ids.answer(result.call_id)
        if call_id is None:  # its call is not part of the request any more
            self._content += blocks
            return
        encoded: Block = {"type": "tool_result", "tool_use_id": call_id}
        if len(blocks) == 1 and blocks[0].keys() == {"type", "text"}:
            encoded["content"] = blocks[0]["text"]
        elif blocks:
            encoded["content"] = blocks
        if result.is_error:
            encoded["is_error"] = True
        self._results.append(marked(encoded, extras))

    def _end_user_turn(self, waiting: list[str], *, last: bool = False) -> None:
        """`waiting` are the calls before this turn that have no result in it."""
        if last or self._results or self._content or self._late:
            self._ids.give_up(waiting)
            self._results += [_no_result(call_id) for call_id in waiting]
        content = [*self._results, *self._content]
        late = self._late
        self._results, self._content, self._late = [], [], []
        if late and not (self._late_system and content):
            content += late
            late = []
        if content:
            plain = len(content) == 1 and content[0].keys() == {"type", "text"}
            self.messages.append({"role": "user", "content": content[0]["text"] if plain else content})
        if late:
            self.messages.append({"role": "system", "content": late})


def _no_result(call_id: str) -> Block:
    return {"type": "tool_result", "tool_use_id": call_id, "content": NO_RESULT, "is_error": True}
