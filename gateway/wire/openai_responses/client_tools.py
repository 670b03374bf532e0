"""Calls of tools that the client runs: each kind has its own item type, with its own fields.

A neutral call has the arguments of a function of the same purpose, so that models of other formats can make it.
"""

from collections.abc import Callable, Mapping
from typing import Any

from gateway.core.jsonio import InvalidJSON, dumps, loads
from gateway.core.message import ToolCall, ToolKind

Fields = Mapping[str, Any]

CALL_TYPES: Mapping[ToolKind, str] = {
    "function": "function_call",
    "custom": "custom_tool_call",
    "local_shell": "local_shell_call",
    "shell": "shell_call",
    "apply_patch": "apply_patch_call",
    "tool_search": "tool_search_call",
}
"""The item type of a call of each kind."""

OUTPUT_TYPES: Mapping[ToolKind, str] = {
    **{kind: f"{name}_output" for kind, name in CALL_TYPES.items()},
    "tool_search": "tool_search_output",
}
"""The item type of its result."""

KINDS: Mapping[str, ToolKind] = {name: kind for kind, name in CALL_TYPES.items()}
"""The kind of each item type."""

ID_PREFIXES: Mapping[ToolKind, str] = {
    "function": "fc",
    "custom": "ctc",
    "local_shell": "lsh",
    "shell": "sh",
    "apply_patch": "apc",
    "tool_search": "tsc",
}
"""What the ids of these items begin with."""

DECLARED: Mapping[str, tuple[str, dict[str, Any]]] = {
    "local_shell": (
        "Runs a command on the user's machine and returns its output.",
        {
            "type": "object",
            "properties": {
                "command": {
                    "type": "array",
                    "items": {"type": "string"},
                    "description": 'The command and its arguments, such as ["bash", "-lc", "ls"].',
                },
                "working_directory": {"type": "string", "description": "The directory to run it in."},
                "timeout_ms": {"type": "integer", "description": "The time limit in milliseconds."},
            },
            "required": ["command"],
        },
    ),
    "shell": (
        "Runs shell commands on the user's machine and returns their output.",
        {
            "type": "object",
            "properties": {
                "commands": {"type": "array", "items": {"type": "string"}, "description": "The commands, in order."},
                "timeout_ms": {"type": "integer", "description": "The time limit in milliseconds."},
                "max_output_length": {"type": "integer", "description": "The limit of the output in characters."},
            },
            "required": ["commands"],
        },
    ),
    "apply_patch": (
        "Creates, changes or deletes one file on the user's machine.",
        {
            "type": "object",
            "properties": {
                "type": {"type": "string", "enum": ["create_file", "update_file", "delete_file"]},
                "path": {"type": "string", "description": "The path of the file."},
                "diff": {
                    "type": "string",
                    "description": "The change as a V4A diff: lines with a leading space, + or -, in hunks after @@.",
                },
            },
            "required": ["type", "path"],
        },
    ),
    "tool_search": (
        "Searches for further tools and makes those that it finds available.",
        {
            "type": "object",
            "properties": {"query": {"type": "string", "description": "What the tools should do."}},
            "required": ["query"],
        },
    ),
}
"""What models of other formats get to know of OpenAI's built-in tools that the client runs: description and schema."""


def is_clients(item: Fields) -> bool:
    """Whether an item calls a tool that the client runs. OpenAI can run some of the built-in tools itself."""
    kind = item.get("type")
    environment = item.get("environment")
    if kind == "shell_call" and isinstance(environment, dict):
        return environment.get("type") == "local"
    return kind in KINDS and not (kind == "tool_search_call" and item.get("execution") == "server")


def call_fields(call: ToolCall) -> dict[str, Any]:
    """The fields of a call's item that its kind has, with `type` and `call_id`.

    Arguments that are not an object, because they are incomplete or invalid, give an empty call: the client reports
    its problem to the model.
    """
    fields: dict[str, Any] = {"type": CALL_TYPES[call.kind], "call_id": call.id}
    match call.kind:
        case "custom":
            fields |= {"name": call.name, "input": call.arguments}
        case "local_shell":
            fields["action"] = _local_action(_object(call.arguments))
        case "shell":
            action = _object(call.arguments)
            fields["action"] = {**action, "commands": _texts(action.get("commands"))}
        case "apply_patch":
            operation = _object(call.arguments)
            fields["operation"] = {"type": "update_file", "path": "", **operation}
            if fields["operation"]["type"] != "delete_file":
                fields["operation"].setdefault("diff", "")
        case "tool_search":
            fields |= {"execution": "client", "arguments": _object(call.arguments)}
        case _:
            fields |= {"name": call.name, "arguments": call.arguments}
    if call.namespace is not None:
        fields["namespace"] = call.namespace
    return fields


def arguments_of(item: Fields) -> str:
    """The argument text of the call in an item of CALL_TYPES."""
    match item.get("type"):
        case "function_call":
            return as_json(item.get("arguments"))
        case "custom_tool_call":
            text = item.get("input")
            return text if isinstance(text, str) else "" if text is None else dumps(text).decode()
        case "local_shell_call":
            action = item.get("action")
            known = action if isinstance(action, dict) else {}
            return as_json({name: value for name, value in known.items() if name != "type" and value not in (None, {})})
        case kind:
            value = item.get(_ARGUMENTS[str(kind)])
            return as_json({k: v for k, v in value.items() if v is not None} if isinstance(value, dict) else value)


_ARGUMENTS = {"shell_call": "action", "apply_patch_call": "operation", "tool_search_call": "arguments"}


def as_json(value: Any) -> str:
    """Arguments as JSON text: text stays as it is, absent ones are `{}`."""
    if isinstance(value, str):
        return value or "{}"
    return "{}" if value is None else dumps(value).decode()


def name_of(item: Fields) -> str:
    """The name of the called tool in an item of CALL_TYPES; "" if it is missing."""
    kind = KINDS.get(str(item.get("type")))
    if kind not in ("function", "custom"):
        return kind or ""
    name = item.get("name")
    return name if isinstance(name, str) else ""


def output_value(kind: ToolKind, text: str, *, is_error: bool) -> dict[str, Any]:
    """The fields of a result's item that the kind has instead of free `output`; `text` is the neutral result."""
    return _OUTPUTS[kind](text, is_error)


def _shell_output(text: str, is_error: bool) -> dict[str, Any]:
    value = _decoded(text)
    if isinstance(value, list) and all(isinstance(one, dict) and "outcome" in one for one in value):
        return {"output": value}
    outcome = {"type": "exit", "exit_code": int(is_error)}
    return {"output": [{"stdout": text, "stderr": "", "outcome": outcome}]}


def _patch_output(text: str, is_error: bool) -> dict[str, Any]:
    return {"status": "failed" if is_error else "completed", "output": text}


def _search_output(text: str, _is_error: bool) -> dict[str, Any]:
    tools = _decoded(text)
    return {"execution": "client", "status": "completed", "tools": tools if isinstance(tools, list) else []}


_OUTPUTS: Mapping[ToolKind, Callable[[str, bool], dict[str, Any]]] = {
    "local_shell": lambda text, _: {"output": text},
    "shell": _shell_output,
    "apply_patch": _patch_output,
    "tool_search": _search_output,
}


def _local_action(arguments: dict[str, Any]) -> dict[str, Any]:
    command = arguments.get("command")
    if isinstance(command, str):  # models often write the command line instead of its words
        command = ["bash", "-lc", command]
    return {"type": "exec", "env": {}, **arguments, "command": _texts(command)}


def _texts(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    return [one if isinstance(one, str) else dumps(one).decode() for one in value] if isinstance(value, list) else []


def _object(text: str) -> dict[str, Any]:
    value = _decoded(text)
    return value if isinstance(value, dict) else {}


def _decoded(text: str) -> Any:
    try:
        return loads(text.encode("utf-8", "surrogatepass"))
    except InvalidJSON:
        return None
