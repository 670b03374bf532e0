"""Encodes the messages of a turn: the system prompt, and turns of user and assistant that alternate.

What is not the assistant's becomes one user turn, results of tools first. System messages after the first turn are text
of the user: models refuse them there.
"""

from collections.abc import Iterable
from typing import Any

from gateway.core.message import Message, Owner, Part, ToolCall, ToolResult
from gateway.wire.bedrock_converse.content import Block, assistant_block, user_block
from gateway.wire.call_ids import NO_RESULT, CallIds

_START = "(The conversation begins with your message.)"
_CONTINUE = "Continue."
_ATTACHED = "(See the attached file.)"
_NO_OUTPUT = "(no output)"


class Conversation:
    """The messages of one request. `owner` is the model that they are for.

    `tools` are the names of the tools that the history calls.
    """

    def __init__(self, owner: Owner) -> None:
        self.system: list[Block] = []
        self.messages: list[dict[str, Any]] = []
        self.tools: set[str] = set()
        self._owner = owner
        self._ids = CallIds()
        self._files = 0
        self._results: list[Block] = []
        self._content: list[Block] = []

    def add(self, messages: Iterable[Message]) -> None:
        """Add the messages of the turn. Raises UpstreamError for content that the format can't carry."""
        leading = True
        for message in messages:
            if leading and message.role in ("system", "developer"):
                self.system += self._blocks(message.parts)
                continue
            leading = False
            if message.role == "assistant":
                self._assistant(message.parts)
            else:
                self._user(message.parts)
        self._end_user_turn(self._ids.waiting(), last=True)

    def end_with_user(self, text: str | None) -> None:
        """Add a text to the last user's turn, or a turn where the model would have to continue its own."""
        last = self.messages[-1] if self.messages else None
        if last is not None and last["role"] == "user":
            last["content"] += [{"text": text}] if text else []
        elif last is None or text or last["role"] == "assistant":
            self.messages.append({"role": "user", "content": [{"text": text or _CONTINUE}]})

    @property
    def in_tool_loop_without_reasoning(self) -> bool:
        """Whether the model gets results of calls that it is not known to have reasoned about."""
        if len(self.messages) < 2 or self.messages[-1]["role"] != "user":
            return False
        last, asked = self.messages[-1]["content"], self.messages[-2]["content"]
        return any("toolResult" in block for block in last) and "reasoningContent" not in asked[0]

    def _blocks(self, parts: Iterable[Part]) -> list[Block]:
        blocks = []
        for part in parts:
            block = user_block(part, self._files + 1)
            if block is not None:
                self._files += "document" in block
                blocks.append(block)
        return blocks

    def _assistant(self, parts: tuple[Part, ...]) -> None:
        waiting = self._ids.waiting()
        blocks: list[Block] = []
        for part in parts:
            call_id = ""
            if type(part) is ToolCall:
                self.tools.add(part.name)
                call_id = self._ids.call(part.id)
            if (block := assistant_block(part, self._owner, call_id)) is not None:
                blocks.append(block)
        if not blocks:
            return
        self._end_user_turn(waiting)
        if not self.messages:
            self.messages.append({"role": "user", "content": [{"text": _START}]})
        if self.messages[-1]["role"] == "assistant":
            self.messages[-1]["content"] += blocks
        else:
            self.messages.append({"role": "assistant", "content": blocks})

    def _user(self, parts: tuple[Part, ...]) -> None:
        others = []
        for part in parts:
            if type(part) is ToolResult:
                self._result(part)
            else:
                others.append(part)
        self._content += self._blocks(others)

    def _result(self, result: ToolResult) -> None:
        blocks = self._blocks(result.content)
        call_id = self._ids.answer(result.call_id)
        if call_id is None:  # its call is not part of the request any more
            self._content += blocks
            return
        status = {"status": "error"} if result.is_error else {}
        encoded = {"toolUseId": call_id, "content": blocks or [{"text": _NO_OUTPUT}], **status}
        self._results.append({"toolResult": encoded})

    def _end_user_turn(self, waiting: list[str], *, last: bool = False) -> None:
        """`waiting` are the calls before this turn that have no result in it."""
        if last or self._results or self._content:
            self._ids.give_up(waiting)
            self._results += [_no_result(call_id) for call_id in waiting]
        content = [*self._results, *self._content]
        self._results, self._content = [], []
        if not content:
            return
        if (
            self._files
            and any("document" in block for block in content)
            and not any("text" in block for block in content)
        ):
            content.append({"text": _ATTACHED})  # a file alone is refused
        self.messages.append({"role": "user", "content": content})


def _no_result(call_id: str) -> Block:
    return {"toolResult": {"toolUseId": call_id, "content": [{"text": NO_RESULT}], "status": "error"}}
