"""The client's half: request body → Turn. Checks run in the recorded order, the first problem is the answer.

`read` checks shape and numbers; the caller then finds the agent; `turn` reads tools and messages. Messages stay
messages: roles, order, names, ids and unknown fields are kept. What OpenClaw skips silently (entries that are no
object, unknown roles) is skipped here too, because clients rely on the 200.
"""

from collections.abc import Callable, Mapping
from typing import Any, cast, get_args

from gateway.core.errors import BadRequest
from gateway.core.jsonio import dumps
from gateway.core.message import (
    NO_EXTRAS,
    Content,
    Extras,
    Foreign,
    Image,
    Message,
    Part,
    Role,
    Text,
    ToolCall,
    ToolResult,
)
from gateway.core.turn import Sampling, Turn
from gateway.wire.openai_completions import WIRE
from gateway.wire.openai_completions.schema import ChatRequest, parse_body
from gateway.wire.openai_completions.tools import read_choice, read_tools

_ROLES = frozenset(get_args(Role))
_MAX_SAFE = 2**53 - 1  # JavaScript's largest exact integer, the recorded upper bound of token caps
_RETIRED = frozenset({"functions", "function_call"})  # retired by `tools`; ignored, as recorded
_NO_MESSAGE = "Missing user message in `messages`."


class ChatIngress:
    """One chat request on its way to a Turn."""

    __slots__ = ("_request", "_sampling")

    def __init__(self, request: ChatRequest, sampling: Sampling) -> None:
        self._request = request
        self._sampling = sampling

    @classmethod
    def read(cls, body: bytes) -> "ChatIngress":
        """Check shape, caps, response format, stops and ranges. Raises BadRequest naming the field."""
        request = parse_body(ChatRequest, body)
        return cls(request, _sampling(request))

    @property
    def model(self) -> str:
        """The caller's `model`, verbatim; `openclaw` when missing (recorded)."""
        return self._request.model if self._request.model is not None else "openclaw"

    @property
    def user(self) -> str | None:
        """The caller's `user`, None when absent or blank."""
        user = self._request.user
        return user if user and user.strip() else None

    def turn(self) -> Turn:
        """The whole request as a value. Raises BadRequest for tools, tool choice, or if nothing asks for an answer."""
        request = self._request
        tools = read_tools(request.tools) if request.tools else ()
        choice = read_choice(request.tool_choice, tools) if request.tool_choice is not None else None
        messages = read_messages(request.messages or [])
        extra = request.model_extra
        extras = Extras(WIRE, {k: v for k, v in extra.items() if k not in _RETIRED}) if extra else NO_EXTRAS
        options = request.stream_options
        return Turn(
            model=self.model,
            messages=messages,
            tools=tools,
            tool_choice=choice,
            sampling=self._sampling,
            stream=bool(request.stream),
            include_usage=bool(options and options.include_usage),
            user=self.user,
            extras=extras,
        )


def _sampling(request: ChatRequest) -> Sampling:
    if request.n is not None and not (type(request.n) is int and request.n <= 1):
        raise BadRequest("`n`: only one answer per request is supported; send `n` requests instead.", param="n")
    capped = _token_cap("max_completion_tokens", request.max_completion_tokens)
    other_cap = _token_cap("max_tokens", request.max_tokens)
    _check_response_format(request.response_format)
    stop = _stops(request.stop)
    if request.model_fields_set.isdisjoint(_SAMPLED):
        return Sampling(max_tokens=capped or other_cap, stop=stop, response_format=request.response_format)
    return Sampling(
        temperature=_within("temperature", request.temperature, 0, 2, "0 and 2"),
        top_p=_within("top_p", request.top_p, 0, 1, "0 and 1"),
        frequency_penalty=_within("frequency_penalty", request.frequency_penalty, -2, 2, "-2.0 and 2.0"),
        presence_penalty=_within("presence_penalty", request.presence_penalty, -2, 2, "-2.0 and 2.0"),
        seed=_seed(request.seed),
        stop=stop,
        max_tokens=capped or other_cap,
        response_format=request.response_format,
    )


_SAMPLED = frozenset({"temperature", "top_p", "frequency_penalty", "presence_penalty", "seed"})


def _token_cap(field: str, value: float | None) -> int | None:
    if value is None:
        return None
    if value != int(value):
        raise BadRequest(f"`{field}`: must be a whole number.", param=field)
    if not 0 < value <= _MAX_SAFE:
        raise BadRequest(f"`{field}`: must be between 1 and {_MAX_SAFE}.", param=field)
    return int(value)


def _within(field: str, value: float | None, low: float, high: float, said: str) -> float | None:
    if value is not None and not low <= value <= high:
        raise BadRequest(f"`{field}` must be between {said}.", param=field)
    return value


def _seed(value: float | None) -> int | None:
    if value is not None and value != int(value):
        raise BadRequest("`seed` must be an integer.", param="seed")
    return None if value is None else int(value)


def _stops(stop: str | list[str] | None) -> tuple[str, ...]:
    if stop is None:
        return ()
    stops = (stop,) if isinstance(stop, str) else tuple(stop)
    if len(stops) > 4:
        raise BadRequest("`stop`: at most 4 sequences are supported.", param="stop")
    if not all(stops):
        raise BadRequest("`stop`: entries must be non-empty strings.", param="stop")
    return stops


def _check_response_format(wanted: Any) -> None:
    if wanted is None:
        return
    if not isinstance(wanted, dict):
        raise BadRequest("`response_format` must be an object.", param="response_format")
    if wanted.get("type") not in ("text", "json_object", "json_schema"):
        raise BadRequest(
            "`response_format.type` must be text, json_object or json_schema.", param="response_format.type"
        )
    if wanted["type"] == "json_schema" and not isinstance(wanted.get("json_schema"), dict):
        raise BadRequest("`response_format.json_schema` must be an object.", param="response_format.json_schema")


def read_messages(raw: list[Any]) -> tuple[Message, ...]:
    """Messages in order. Raises BadRequest when nothing in them asks for an answer."""
    messages = tuple(message for item in raw if (message := _message(item)) is not None)
    if not any(message.role not in ("system", "developer") and _says_something(message) for message in messages):
        raise BadRequest(_NO_MESSAGE, param="messages")
    return messages


def _says_something(message: Message) -> bool:
    for part in message.parts:
        if type(part) is not Text or (part.text and not part.text.isspace()):
            return True
    return False


def _message(raw: Any) -> Message | None:
    if type(raw) is not dict or raw.get("role") not in _ROLES:
        return None
    role = cast(Role, raw["role"])
    content = raw.get("content")
    if len(raw) == 2 and type(content) is str and role != "tool":
        return Message(role, (Text(content),))
    parts, listed = _content(content)
    name = raw.get("name")
    known = _KNOWN_TOOL if role == "tool" else _KNOWN
    unknown = {key: value for key, value in raw.items() if key not in known}
    extras = Extras(WIRE, unknown) if unknown else NO_EXTRAS
    name = name if isinstance(name, str) else None
    if role == "tool":
        call_id = raw.get("tool_call_id")
        result = ToolResult(call_id if isinstance(call_id, str) else "", parts, listed)
        return Message(role, (result,), name, extras)
    all_parts: tuple[Part, ...] = parts
    if role == "assistant" and isinstance(raw.get("tool_calls"), list):
        calls = (_tool_call(call) for call in raw["tool_calls"])
        all_parts = (*parts, *(call for call in calls if call is not None))
    if not all_parts and not unknown:
        return None
    return Message(role, all_parts, name, extras, listed)


_KNOWN = frozenset({"role", "content", "name", "tool_calls"})
_KNOWN_TOOL = frozenset({"role", "content", "name", "tool_call_id"})


def _content(content: Any) -> tuple[tuple[Content, ...], bool]:
    if isinstance(content, str):
        return (Text(content),), False
    if not isinstance(content, list):
        return (), False
    parts = (_part(item) for item in content)
    return tuple(part for part in parts if part is not None), True


def _part(raw: Any) -> Content | None:
    if not isinstance(raw, dict):
        return None
    kind = raw.get("type")
    reader = _PARTS.get(kind) if isinstance(kind, str) else None
    if reader is not None:
        return reader(raw)
    if isinstance(raw.get("input_text"), str):
        return Text(raw["input_text"])
    return None


def _text(raw: Mapping[str, Any]) -> Text | None:
    text = raw.get("text")
    if not isinstance(text, str):
        return None
    if len(raw) == 2 and raw["type"] == "text":
        return Text(text)
    return Text(text, _rest(raw, "type", "text"))


def _image(raw: Mapping[str, Any]) -> Image | None:
    image = raw.get("image_url")
    if isinstance(image, str):
        return Image(image, None, _rest(raw, "type", "image_url"))
    if isinstance(image, dict) and isinstance(image.get("url"), str):
        detail = image.get("detail")
        return Image(image["url"], detail if isinstance(detail, str) else None, _rest(raw, "type", "image_url"))
    return Image("")  # no usable address: refused with the other bad images


def _foreign(raw: Mapping[str, Any]) -> Foreign:
    return Foreign(WIRE, raw)


def _rest(raw: Mapping[str, Any], *known: str) -> Extras:
    rest = {key: value for key, value in raw.items() if key not in known}
    return Extras(WIRE, rest) if rest else NO_EXTRAS


# Part types of the format itself; anything else in a content list is skipped, as recorded.
_PARTS: dict[str, Callable[[Mapping[str, Any]], Content | None]] = {
    "text": _text,
    "input_text": _text,
    "image_url": _image,
    "input_audio": _foreign,
    "file": _foreign,
    "refusal": _foreign,
}


def _tool_call(raw: Any) -> ToolCall | None:
    function = raw.get("function") if isinstance(raw, dict) else None
    if not isinstance(function, dict) or not isinstance(function.get("name"), str):
        return None
    arguments = function.get("arguments")
    if not isinstance(arguments, str):
        arguments = "{}" if arguments is None else dumps(arguments).decode()
    call_id = raw.get("id")
    return ToolCall(
        call_id if isinstance(call_id, str) else "",
        function["name"],
        arguments,
        _rest(raw, "id", "type", "function"),
    )
