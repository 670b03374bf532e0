"""Tools that are no functions, calls of them, and the same calls as functions."""

import json

from gateway.core.message import ToolCall

OWN_TOOLS = [
    {"type": "custom", "name": "apply_patch", "description": "Edits."},
    {
        "type": "namespace",
        "name": "agents",
        "description": "Agents.",
        "tools": [{"type": "function", "name": "spawn", "parameters": {"type": "object"}}],
    },
    {"type": "local_shell"},
    {"type": "web_search"},
]
OWN_ITEMS = [
    {"type": "custom_tool_call", "call_id": "call_1", "name": "apply_patch", "input": '*** Begin\n"é"'},
    {"type": "function_call", "call_id": "call_2", "name": "spawn", "namespace": "agents", "arguments": "{}"},
    {"type": "local_shell_call", "call_id": "call_3", "action": {"type": "exec", "env": {}, "command": ["ls"]}},
]
AS_FUNCTIONS = (
    ToolCall("call_1", "apply_patch", json.dumps({"input": OWN_ITEMS[0]["input"]})),
    ToolCall("call_2", "agents__spawn", "{}"),
    ToolCall("call_3", "local_shell", '{"command":["ls"]}'),
)
