"""What the models of request bodies can't express: the OpenAPI document's schemas of their fields.

They describe what the gateway checks. A field that it passes on or ignores has no schema here. Tools with the same
name, and a `tool_choice` that names no tool, are refused too, which no schema can say.
"""

from collections.abc import Mapping
from typing import Any

from gateway.core.identity import ALL_SCOPES

Schema = Mapping[str, Any]

_NULL: Schema = {"type": "null"}
_TEXT: Schema = {"type": "string", "pattern": r"[^\s\x1c-\x1f\x85]"}  # those separators are blank, too
_AMOUNT: Schema = {"type": "integer", "minimum": 1, "maximum": 2**53}
_CAP: Schema = {"type": "integer", "minimum": 1, "maximum": 2**53 - 1}


def refined(schemas: Mapping[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """The generated schemas of models with these fields, and the further schemas to which the fields refer."""
    models = dict(schemas)
    for name, fields in _FIELDS.items():
        if name in models:
            models[name] = {**models[name], "properties": {**models[name]["properties"], **fields}}
    for model, further in _FURTHER.items():
        if model in models:
            models |= further
    return models


def _or_null(*schemas: Schema) -> Schema:
    return {"anyOf": [*schemas, _NULL]}


def _number(low: float, high: float) -> Schema:
    return _or_null({"type": "number", "minimum": low, "maximum": high})


def _object(*required: str, **properties: Schema) -> Schema:
    return {"type": "object", "required": list(required), "properties": properties}


def _kind(*names: str) -> Schema:
    return {"type": "string", "enum": list(names)}


def _ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


_SAMPLING: Schema = {
    "temperature": _number(0, 2),
    "top_p": _number(0, 1),
    "frequency_penalty": _number(-2, 2),
    "presence_penalty": _number(-2, 2),
}
_FUNCTION: Schema = _object("name", name=_TEXT)
_CHOICES: tuple[Schema, ...] = (
    _kind("auto", "none", "required"),
    _object("type", "function", type=_kind("function"), function=_FUNCTION),
    _object("type", "custom", type=_kind("custom"), custom=_FUNCTION),
)
_CHAT: Schema = {
    **_SAMPLING,
    "messages": {
        "type": "array",
        "items": _ref("AnyChatMessage"),
        "contains": _ref("ChatMessage"),
        "description": "Messages as in OpenAI's API; at least one of them needs an answer.",
    },
    "max_tokens": _or_null(_CAP),
    "max_completion_tokens": _or_null(_CAP),
    "seed": _or_null({"type": "integer"}),
    "n": _or_null({"type": "integer", "maximum": 1}),
    "stop": _or_null(
        {"type": "string", "minLength": 1},
        {"type": "array", "maxItems": 4, "items": {"type": "string", "minLength": 1}},
    ),
    "response_format": _or_null(
        _object("type", type=_kind("text", "json_object")),
        _object("type", "json_schema", type=_kind("json_schema"), json_schema={"type": "object"}),
    ),
    "tools": _or_null({"type": "array", "items": _ref("ChatTool")}),
    "tool_choice": _or_null(*_CHOICES),
    "functions": _or_null({"type": "array", "items": _FUNCTION}),
    "function_call": _or_null(_kind("auto", "none"), _FUNCTION),
}
_TEXT_PART: Schema = _object("type", "text", type=_kind("text"), text={"type": "string"})
_CHAT_FURTHER: dict[str, dict[str, Any]] = {
    "ChatMessage": {
        **_object("role", "content", role=_kind("user", "assistant"), content=_TEXT),
        "description": "`content` may also be an array of parts: text, images, audio, files.",
    },
    "AnyChatMessage": {
        **_object(
            "role",
            role=_kind("user", "assistant", "system", "developer"),
            content=_or_null({"type": "string"}, {"type": "array", "items": _TEXT_PART}),
            name=_or_null({"type": "string"}),
        ),
        "description": "Also the results of tools (`role: tool`), and parts with images, audio and files.",
    },
    "ChatTool": {
        "anyOf": [
            _object("function", type=_or_null(_kind("function")), function=_FUNCTION),
            _object("type", "custom", type=_kind("custom"), custom=_FUNCTION),
        ]
    },
}
_ITEM_CALL = {"call_id": _TEXT, "name": _TEXT}
_RESPONSES: Schema = {
    **_SAMPLING,
    "model": {"type": "string"},
    "input": {
        "anyOf": [_TEXT, {"type": "array", "items": _ref("InputItem"), "contains": _ref("InputMessage")}],
        "description": "Text or items as in OpenAI's API; at least one of them needs an answer.",
    },
    "max_output_tokens": _or_null(_CAP),
    "max_tool_calls": _or_null(_CAP),
    "top_logprobs": _or_null({"type": "integer", "minimum": 0, "maximum": 20}),
    "metadata": _or_null({"type": "object", "additionalProperties": {"type": "string"}}),
    "conversation": {**_NULL, "description": "Not supported: use `previous_response_id`."},
    "prompt": {**_NULL, "description": "Not supported: use `instructions`."},
    "tools": _or_null({"type": "array", "items": _ref("ResponseTool")}),
    "tool_choice": _or_null(
        _kind("auto", "none", "required"),
        _object("type", "name", type=_kind("function", "custom"), name=_TEXT),
    ),
}
_RESPONSES_FURTHER: dict[str, dict[str, Any]] = {
    "InputMessage": {
        **_object("role", "content", type=_or_null(_kind("message")), role=_kind("user", "assistant"), content=_TEXT),
        "description": "`content` may also be an array of parts: text, images, audio, files.",
    },
    "InputItem": {
        "anyOf": [
            _object(
                "role",
                "content",
                type=_or_null(_kind("message")),
                role=_kind("user", "assistant", "system", "developer"),
                content={"anyOf": [{"type": "string"}, {"type": "array", "items": _ref("InputText")}]},
            ),
            _object("type", "call_id", "name", type=_kind("function_call"), **_ITEM_CALL),
            _object(
                "type",
                "call_id",
                "output",
                type=_kind("function_call_output"),
                call_id=_TEXT,
                output={"anyOf": [{"type": "string"}, {"type": "array", "items": _ref("InputText")}]},
            ),
        ],
        "description": "Further types: reasoning, calls of all tools of OpenAI's API and their results, compaction.",
    },
    "InputText": {**_object("type", "text", type=_kind("input_text", "output_text", "text"), text={"type": "string"})},
    "ResponseTool": {
        "anyOf": [
            _object("name", type=_or_null(_kind("function")), name=_TEXT),
            _object("type", "name", type=_kind("custom"), name=_TEXT),
            _object("type", type=_kind("local_shell", "web_search", "file_search", "code_interpreter", "mcp")),
        ]
    },
}
_EMBEDDINGS: Schema = {
    "model": _TEXT,
    "input": {
        "anyOf": [
            {"type": "string", "minLength": 1},
            {"type": "array", "items": {"type": "string"}, "contains": {"type": "string", "minLength": 1}},
        ],
        "description": "Texts, up to limits of the configuration; for some providers also token ids.",
    },
    "dimensions": _or_null({"type": "integer", "minimum": 1}),
    "encoding_format": _or_null(_kind("float", "base64")),
}
_MESSAGES: Schema = {
    "model": {"type": "string"},
    "messages": {
        "type": "array",
        "minItems": 1,
        "items": _ref("Message"),
        "contains": {"type": "object", "properties": {"role": _kind("user", "system")}},
    },
    "max_tokens": _CAP,
    "system": _or_null({"type": "string"}, {"type": "array", "items": _ref("TextBlock")}),
    "temperature": _number(0, 1),
    "top_p": _number(0, 1),
    "top_k": _or_null({"type": "integer", "minimum": 0, "maximum": 2**31}),
    "stop_sequences": _or_null({"type": "array", "items": {"type": "string", "minLength": 1}}),
    "tools": _or_null({"type": "array", "items": _ref("MessageTool")}),
    "tool_choice": _or_null(
        _object("type", type=_kind("auto", "any", "none")), _object("type", "name", type=_kind("tool"), name=_TEXT)
    ),
    "output_config": _or_null(
        _object(format=_or_null(_object("type", "schema", type=_kind("json_schema"), schema={"type": "object"})))
    ),
}
_MESSAGES_FURTHER: dict[str, dict[str, Any]] = {
    "TextBlock": {**_object("type", "text", type=_kind("text"), text={"type": "string"})},
    "Message": {
        **_object(
            "role",
            "content",
            role=_kind("user", "assistant", "system"),
            content={"anyOf": [{"type": "string"}, {"type": "array", "items": _ref("TextBlock")}]},
        ),
        "anyOf": [
            {"properties": {"role": _kind("assistant")}},
            {"properties": {"content": {"anyOf": [{"type": "string"}, {"type": "array", "minItems": 1}]}}},
        ],
        "description": "`content` may have all blocks of Anthropic's API; only an assistant's may be empty.",
    },
    "MessageTool": {
        "anyOf": [
            _object(
                "name", "input_schema", type=_or_null(_kind("custom")), name=_TEXT, input_schema={"type": "object"}
            ),
            {
                **_object("type", type={**_TEXT, "not": {"const": "custom"}}),
                "description": "A tool that Anthropic defines.",
            },
        ]
    },
}
_FIELDS: Mapping[str, Schema] = {
    "ChatRequest": _CHAT,
    "MessagesRequest": _MESSAGES,
    "CountRequest": {**_MESSAGES, "max_tokens": _or_null(_CAP)},
    "ResponsesRequest": _RESPONSES,
    "TextOptions": {
        "format": _or_null(
            _object("type", type=_kind("text", "json_object")),
            _object(
                "type",
                "name",
                "schema",
                type=_kind("json_schema"),
                name={"type": "string", "minLength": 1},
                schema={"type": "object"},
            ),
        )
    },
    "EmbeddingsRequest": _EMBEDDINGS,
    "KeyRequest": {
        "name": {"type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9._@-]{0,63}$"},
        "scopes": _or_null({"type": "array", "items": _kind(*sorted(ALL_SCOPES))}),
    },
    "ClientLimits": dict.fromkeys(("requests_per_minute", "tokens_per_minute", "concurrent_runs"), _or_null(_AMOUNT)),
    "KeyBudget": {
        "tokens": _or_null(_AMOUNT),
        "usd": _or_null({"type": "number", "exclusiveMinimum": 0, "maximum": 1_000_000}),
    },
}
_FURTHER = {
    "ChatRequest": _CHAT_FURTHER,
    "ResponsesRequest": _RESPONSES_FURTHER,
    "MessagesRequest": _MESSAGES_FURTHER,
    "CountRequest": _MESSAGES_FURTHER,
}
