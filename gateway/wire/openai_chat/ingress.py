"""Decodes a client's request body into a Turn. Checks run in OpenClaw's order; the first problem is reported.

`read` checks types and numbers, so that the endpoint can resolve the agent; `turn` then decodes tools and messages.
"""

from collections.abc import Mapping
from operator import attrgetter
from typing import Any

from msgspec.structs import replace

from gateway.core.errors import BadRequest
from gateway.core.jsonio import InvalidJSON, decoded
from gateway.core.message import NO_EXTRAS, Extras
from gateway.core.turn import NO_OPTIONS, NO_SAMPLING, Options, ResponseFormat, Sampling, ToolChoice, ToolSpec, Turn
from gateway.wire.nulls import without_nulls
from gateway.wire.openai_chat import WIRE
from gateway.wire.openai_chat.legacy import check_unused, read_functions
from gateway.wire.openai_chat.messages import read_messages
from gateway.wire.openai_chat.request import OPTIONS
from gateway.wire.openai_chat.schema import CHAT, ChatRequest
from gateway.wire.ranges import token_cap, within
from gateway.wire.request_body import unreadable
from gateway.wire.tools import read_allowed, read_choice, read_tools


class ChatIngress:
    """One chat request: type-checked by `read`, decoded by `turn`."""

    __slots__ = ("_others", "_request", "_sampling")

    def __init__(self, request: ChatRequest, others: Mapping[str, Any], sampling: Sampling) -> None:
        self._request = request
        self._others = others
        self._sampling = sampling

    @classmethod
    def read(cls, body: bytes) -> "ChatIngress":
        """Check types, caps, response format, stop sequences and ranges. Raises BadRequest naming the field."""
        request, others = CHAT.read(body)
        return cls(request, others, _sampling(request))

    @property
    def model(self) -> str:
        """The caller's `model`, verbatim; `openclaw` when missing, as in OpenClaw."""
        return self._request.model if self._request.model is not None else "openclaw"

    @property
    def user(self) -> str | None:
        """The caller's `user`, None when absent or blank."""
        user = self._request.user
        return user if user and user.strip() else None

    @property
    def legacy_functions(self) -> bool:
        """Whether the request offers `functions`, so that the answer has a `function_call`."""
        return bool(self._request.functions) and not self._request.tools

    def turn(self) -> Turn:
        """The decoded request. Raises BadRequest for invalid tools, or when no message needs an answer."""
        request = self._request
        try:
            tools, choice = self._tools()
            messages = read_messages(request.messages or [])
        except InvalidJSON as error:  # the first pass does not decode all numbers: one may be out of range
            raise unreadable(error) from None
        options, extras = _options(self._others) if self._others else (NO_OPTIONS, NO_EXTRAS)
        if self.legacy_functions and options.parallel_tool_calls is None:
            options = replace(options, parallel_tool_calls=False)  # an answer has one `function_call`
        stream_options = request.stream_options
        return Turn(
            model=self.model,
            messages=messages,
            tools=tools,
            tool_choice=choice,
            sampling=self._sampling,
            stream=bool(request.stream),
            include_usage=bool(stream_options and stream_options.include_usage),
            user=self.user,
            extras=extras,
            options=options,
        )

    def _tools(self) -> tuple[tuple[ToolSpec, ...], ToolChoice | None]:
        """The tools on offer, and the choice among them. Raises BadRequest."""
        request = self._request
        if self.legacy_functions:
            return read_functions(decoded(request.functions or []), request.function_call, request.tool_choice)
        if request.functions or request.function_call is not None:
            check_unused(request.functions, request.function_call, has_tools=bool(request.tools))
        tools = read_tools(decoded(request.tools), WIRE) if request.tools else ()
        choice = request.tool_choice
        if isinstance(choice, dict) and choice.get("type") == "allowed_tools":
            allowed, tools = read_allowed(choice, tools)
            return tools, allowed
        return tools, None if choice is None else read_choice(choice, tools)


def _sampling(request: ChatRequest) -> Sampling:
    if _unset(request) == _ALL_UNSET:
        return NO_SAMPLING
    if request.n is not None and not (
        type(request.n) in (int, float) and request.n <= 1 and request.n == int(request.n)
    ):
        raise BadRequest("`n`: only one answer per request is supported; send `n` requests instead.", param="n")
    settings: dict[str, Any] = {}
    for field in ("max_completion_tokens", "max_tokens"):  # the first takes precedence; both are checked
        if (value := getattr(request, field)) is not None:
            settings.setdefault("max_tokens", token_cap(field, value))
    if request.response_format is not None:
        settings["response_format"] = _response_format(request.response_format)
    if request.stop is not None:
        settings["stop"] = _stops(request.stop)
    for field, (low, high, described) in _RANGES.items():
        if (value := getattr(request, field)) is not None:
            settings[field] = within(field, value, low, high, described)
    if request.seed is not None:
        settings["seed"] = _seed(request.seed)
    return Sampling(**settings)


_SAMPLING_FIELDS = (
    "n", "max_completion_tokens", "max_tokens", "response_format", "stop", "temperature", "top_p", "frequency_penalty",
    "presence_penalty", "seed",
)  # fmt: skip
_unset = attrgetter(*_SAMPLING_FIELDS)
_ALL_UNSET = (None,) * len(_SAMPLING_FIELDS)

_RANGES = {
    "temperature": (0, 2, "0 and 2"),
    "top_p": (0, 1, "0 and 1"),
    "frequency_penalty": (-2, 2, "-2.0 and 2.0"),
    "presence_penalty": (-2, 2, "-2.0 and 2.0"),
}


def _seed(value: float) -> int:
    if value != int(value):
        raise BadRequest("`seed` must be an integer.", param="seed")
    return int(value)


def _stops(stop: str | list[str]) -> tuple[str, ...]:
    stops = (stop,) if isinstance(stop, str) else tuple(stop)
    if len(stops) > 4:
        raise BadRequest("`stop`: at most 4 sequences are supported.", param="stop")
    if not all(stops):
        raise BadRequest("`stop`: entries must be non-empty strings.", param="stop")
    return stops


_OPTION_TYPES: dict[str, tuple[type, ...]] = {
    "parallel_tool_calls": (bool,),
    "logprobs": (bool,),
    "top_logprobs": (int,),
    "top_k": (int,),
    "metadata": (dict,),
}


_OBJECTS = frozenset({"audio", "metadata", "prediction", "reasoning", "thinking", "web_search_options"})
"""Fields that are objects of known form; a null in any other may have a meaning, as in a JSON Schema."""


def _options(others: Mapping[str, Any]) -> tuple[Options, Extras]:
    """Fields that the schema does not list: options that other formats share, and extras. Null means absent.

    An option of an unexpected type goes to the extras: its provider may accept it.
    """
    options: dict[str, Any] = {}
    unknown: dict[str, Any] = {}
    for name, value in others.items():
        option = OPTIONS.get(name)
        if value is None:
            continue
        given = without_nulls(value) if name in _OBJECTS else value
        if option is not None and type(given) in _OPTION_TYPES.get(name, (str,)):
            options[option] = given
        else:
            unknown[name] = given
    return Options(**options) if options else NO_OPTIONS, Extras(WIRE, unknown) if unknown else NO_EXTRAS


def _response_format(wanted: Any) -> ResponseFormat:
    if not isinstance(wanted, dict):
        raise BadRequest("`response_format` must be an object.", param="response_format")
    if wanted.get("type") not in ("text", "json_object", "json_schema"):
        raise BadRequest(
            "`response_format.type` must be text, json_object or json_schema.", param="response_format.type"
        )
    if wanted["type"] == "json_schema" and not isinstance(wanted.get("json_schema"), dict):
        raise BadRequest("`response_format.json_schema` must be an object.", param="response_format.json_schema")
    return ResponseFormat(wanted["type"], wanted.get("json_schema"))
