"""Offers all tools as functions to a model whose endpoint knows nothing else, and turns its calls back.

A custom tool becomes a function with one string `input`, a tool of a namespace a function with a longer name. Tools
that the maker of a format runs (`hosted`) are left out, and texts stand for parts that only another format understands.
With `labelled`, the model knows the hosted tools of its own format.
"""

import hashlib
import re
from collections.abc import Container, Iterator

from msgspec.structs import replace

from gateway.core.errors import BadRequest
from gateway.core.event import Batch, Event, Finish, ToolCallBegin, ToolCallDelta
from gateway.core.jsonio import InvalidJSON, dumps, loads
from gateway.core.message import NO_EXTRAS, Content, Foreign, Message, Part, Text, ToolCall, ToolResult
from gateway.core.turn import ToolChoice, ToolSpec, Turn
from gateway.wire.foreign import stand_in

_MAX_NAME_CHARS = 64
_FOREIGN_CHARS = re.compile(r"[^A-Za-z0-9_-]")
_INPUT = re.compile(r'\s*\{\s*"input"\s*:\s*"')
_OPEN_ESCAPE = re.compile(r"\\(?:u[0-9a-fA-F]{0,3})?\Z")


def needs_functions(turn: Turn, wire: str, *, labelled: bool = False) -> bool:
    """Whether the turn has anything but functions, or parts that the format `wire` does not understand."""
    for tool in turn.tools:
        if (tool.kind != "function" or tool.namespace is not None) and not (labelled and _is_own(tool, wire)):
            return True
    for message in turn.messages:
        for part in message.parts:
            if type(part) is Text:  # nearly all are
                continue
            if type(part) is ToolCall and (part.kind != "function" or part.namespace is not None):
                return True
            if type(part) is Foreign and part.wire != wire:
                return True
            if type(part) is ToolResult and any(_is_foreign(item, wire) for item in part.content):
                return True
    return False


def _is_foreign(item: Content, wire: str) -> bool:
    return type(item) is Foreign and item.wire != wire


def knows_hosted(turn: Turn, wires: Container[str]) -> bool:
    """Whether all hosted tools of the turn are of one of these formats."""
    return all(tool.kind != "hosted" or tool.extras.wire in wires for tool in turn.tools)


def _is_own(tool: ToolSpec, wire: str) -> bool:
    """Whether the tool is a hosted one, offered in the format `wire`."""
    return tool.kind == "hosted" and tool.extras.wire == wire


def as_functions(turn: Turn, wire: str, *, labelled: bool = False) -> tuple[Turn, "CallRestorer"]:
    """The turn for such an endpoint of the format `wire`, and the filter for its answer.

    Raises BadRequest if the turn demands a hosted tool, or holds a conversation that only its provider can read, and
    UpstreamError for a part of another format that nothing stands for.
    """
    known = [tool for tool in turn.tools if tool.kind != "hosted" or (labelled and _is_own(tool, wire))]
    tools = tuple(tool if tool.kind == "hosted" else _function(tool) for tool in known)
    choice = turn.tool_choice
    if choice is not None and choice.mode != "none":
        choice = _choice(choice, turn, tools)
    asked = replace(
        turn,
        messages=tuple(_messages(turn.messages, wire)),
        tools=tools,
        tool_choice=choice if tools else None,
    )
    return asked, CallRestorer(turn.tools)


def _function(tool: ToolSpec) -> ToolSpec:
    if tool.kind == "function" and tool.namespace is None:
        return tool if not tool.in_input else replace(tool, in_input=False)
    extras = tool.extras if tool.kind == "function" else NO_EXTRAS
    name = function_name(tool.name, tool.namespace)
    return ToolSpec(name, tool.description, tool.parameters, tool.strict, extras)


def function_name(name: str, namespace: str | None) -> str:
    """The name of a tool as a function: letters, digits, `_` and `-`, at most 64. It must not depend on other tools:
    the model sees it in the history.
    """
    if namespace is None:
        return name
    whole = f"{namespace}__{name}"
    plain = _FOREIGN_CHARS.sub("_", whole)
    is_ambiguous = name.startswith("_") or "__" in name  # the tool `b__c` of `a` is not the tool `c` of `a__b`
    if plain == whole and len(plain) <= _MAX_NAME_CHARS and not is_ambiguous:
        return plain
    digest = hashlib.sha256(f"{namespace}\0{name}".encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{plain[: _MAX_NAME_CHARS - 9]}-{digest}"


def _choice(choice: ToolChoice, turn: Turn, tools: tuple[ToolSpec, ...]) -> ToolChoice:
    if choice.mode == "pinned":
        if choice.kind == "hosted":
            if any(tool.kind == "hosted" and tool.name == choice.name for tool in tools):
                return choice
            raise _not_here(f"tool_choice demands the tool '{choice.name}'")
        return ToolChoice("pinned", function_name(choice.name or "", choice.namespace))
    if choice.mode == "required" and not tools:
        names = ", ".join(tool.name for tool in turn.tools)
        raise _not_here(f"tool_choice=required demands one of the tools {names}")
    return choice


def _not_here(what: str) -> BadRequest:
    problem = "which the agent's provider does not run; offer a function, or use a provider that runs it"
    return BadRequest(f"Invalid tools/tool_choice: {what}, {problem}.", param="tool_choice", code="tools_unsupported")


def _messages(messages: tuple[Message, ...], wire: str) -> Iterator[Message]:
    for message in messages:
        parts = tuple(_parts(message.parts, wire))
        if parts or not message.parts:
            yield message if parts == message.parts else replace(message, parts=parts)


def _parts(parts: tuple[Part, ...], wire: str) -> Iterator[Part]:
    for part in parts:
        if isinstance(part, Foreign) and part.wire != wire:
            if (part.payload.get("item") or {}).get("type") in ("compaction", "compaction_summary"):
                raise BadRequest(
                    "`input`: only the provider that compacted a conversation can read it; send the original items.",
                    param="input",
                )
            if (text := stand_in(part, wire)) is not None:
                yield text
        elif isinstance(part, ToolCall):
            yield _call(part)
        elif isinstance(part, ToolResult) and any(_is_foreign(item, wire) for item in part.content):
            yield replace(part, content=tuple(_result_content(part.content, wire)))
        else:
            yield part


def _result_content(content: tuple[Content, ...], wire: str) -> Iterator[Content]:
    """The content of a result. A client sends it again in every request, so none fails for a part of it."""
    for item in content:
        if type(item) is not Foreign or item.wire == wire:
            yield item
        elif item.text is None:
            yield Text(
                f"[A part of the type {str(item.payload.get('type'))[:80]!r} is left out: the model can't read it]"
            )
        elif item.text:
            yield Text(item.text)


def _call(call: ToolCall) -> ToolCall:
    if call.kind == "function" and call.namespace is None:
        return call
    arguments = dumps({"input": call.arguments}).decode() if call.kind == "custom" else call.arguments
    return ToolCall(call.id, function_name(call.name, call.namespace), arguments, call.extras)


class CallRestorer:
    """A filter that turns calls of functions back into calls of the client's own tools.

    The input of a custom tool is JSON until it is complete, so it comes in one piece.
    """

    __slots__ = ("_inputs", "_tools")

    def __init__(self, tools: tuple[ToolSpec, ...]) -> None:
        self._tools = {
            function_name(tool.name, tool.namespace): tool
            for tool in tools
            if tool.kind != "hosted" and (tool.kind != "function" or tool.namespace is not None)
        }
        self._inputs: dict[int, list[str]] = {}  # of custom tools, by the index of the call

    def feed(self, batch: Batch) -> Batch:
        """The events for the client."""
        passed: Batch = []
        for event in batch:
            match event:
                case ToolCallBegin(index, _, name) if (tool := self._tools.get(name)) is not None:
                    if tool.kind == "custom":
                        self._inputs[index] = []
                    passed.append(replace(event, name=tool.name, kind=tool.kind, namespace=tool.namespace))
                case ToolCallDelta(index, arguments) if index in self._inputs:
                    passed += self._add(index, arguments)
                case Finish():
                    passed += self._end()
                    passed.append(event)
                case _:
                    passed.append(event)
        return passed

    def _add(self, index: int, arguments: str) -> list[Event]:
        pieces = self._inputs[index]
        pieces.append(arguments)
        if not arguments.rstrip().endswith("}"):
            return []
        whole = _input_of("".join(pieces))
        if whole is None:
            return []
        del self._inputs[index]
        return [ToolCallDelta(index, whole)] if whole else []

    def _end(self) -> list[Event]:
        """The inputs that are not JSON, or that were cut off."""
        inputs, self._inputs = self._inputs, {}
        cut = {index: _partial_input("".join(pieces)) for index, pieces in inputs.items()}
        return [ToolCallDelta(index, text) for index, text in cut.items() if text]


def _input_of(arguments: str) -> str | None:
    """The input in complete arguments; None if they are not an object with one text."""
    try:
        fields = loads(arguments.encode("utf-8", "surrogatepass"))
    except InvalidJSON:
        return None
    if not isinstance(fields, dict):
        return None
    if not fields:
        return ""
    texts = [fields["input"]] if "input" in fields else list(fields.values())
    return texts[0] if len(texts) == 1 and isinstance(texts[0], str) else None


def _partial_input(arguments: str) -> str:
    """What was received of an input; arguments that are not JSON are the input itself, as some models write it."""
    started = _INPUT.match(arguments)
    if started is None:
        return arguments
    text = _OPEN_ESCAPE.sub("", arguments[started.end() :].rstrip())
    for ending in ('"', ""):
        try:
            value = loads(f'"{text}{ending}'.encode("utf-8", "surrogatepass"))
        except InvalidJSON:
            continue
        return str(value)
    return arguments
