"""Decodes a client's request body into a Turn, and into the fields that the response repeats.

`read` checks types and numbers, so that the endpoint can resolve the agent and the items that the input refers to;
`turn` then decodes tools and input.
"""

from collections.abc import Mapping
from typing import Any

from msgspec import structs

from gateway.core.errors import BadRequest
from gateway.core.jsonio import InvalidJSON, decoded
from gateway.core.message import Message, Text
from gateway.core.seal import OWN_PREFIXES, Seal
from gateway.core.turn import AUTO, Sampling, ToolSpec, Turn
from gateway.wire.openai_responses.input_items import input_items
from gateway.wire.openai_responses.items import read_input, referred
from gateway.wire.openai_responses.options import options_of, response_format, wants_encrypted_reasoning
from gateway.wire.openai_responses.request import encode_choice, encode_tools
from gateway.wire.openai_responses.schema import RESPONSE_CREATE, RESPONSES, ResponseCreate, ResponsesRequest
from gateway.wire.openai_responses.tools import choice_of, read_tools
from gateway.wire.ranges import token_cap, whole, within
from gateway.wire.request_body import unreadable

_SEALED = tuple(prefix.encode() for prefix in OWN_PREFIXES)


class ResponsesIngress:
    """One responses request: type-checked by `read`, decoded by `turn`."""

    __slots__ = ("_model", "_request", "_sampling", "_seals")

    def __init__(self, request: ResponsesRequest, model: str, sampling: Sampling, *, seals: bool) -> None:
        self._seals = seals
        self._request = request
        self._model = model
        self._sampling = sampling

    @classmethod
    def read(cls, body: bytes) -> "ResponsesIngress":
        """Check types, caps, ranges and format. Raises BadRequest naming the field.

        `model` is required, but may be "" for the default agent, as in OpenClaw.
        """
        request, _ = RESPONSES.read(body)
        return cls._checked(request, body)

    @classmethod
    def read_event(cls, event: bytes) -> "ResponsesIngress":
        """Check an event of a WebSocket as `read` does. Raises BadRequest, also unless it is a `response.create`.

        `stream` and `stream_options` have no effect: a response is always streamed.
        """
        request, _ = RESPONSE_CREATE.read(event)
        if request.type != "response.create":
            raise BadRequest("`type`: must be `response.create`.", param="type", code="unknown_event")
        if request.background:
            raise BadRequest("`background`: is not supported over a WebSocket; use HTTP.", param="background")
        return cls._checked(request, event)

    @classmethod
    def _checked(cls, request: ResponsesRequest, body: bytes) -> "ResponsesIngress":
        if request.model is None:
            raise BadRequest("`model`: must be a string, such as `openclaw`.", param="model")
        _refuse_unsupported(request)
        if isinstance(request.input, list):
            request.input = _decoded(request.input)
        for name, label in (request.metadata or {}).items():
            if not isinstance(label, str):
                raise BadRequest(f"`metadata.{name[:80]}`: must be a string.", param=f"metadata.{name[:80]}")
        request.max_tool_calls = token_cap("max_tool_calls", request.max_tool_calls)
        request.top_logprobs = whole("top_logprobs", request.top_logprobs, 0, 20)
        sampling = Sampling(
            temperature=within("temperature", request.temperature, 0, 2, "0 and 2"),
            top_p=within("top_p", request.top_p, 0, 1, "0 and 1"),
            frequency_penalty=within("frequency_penalty", request.frequency_penalty, -2, 2, "-2.0 and 2.0"),
            presence_penalty=within("presence_penalty", request.presence_penalty, -2, 2, "-2.0 and 2.0"),
            max_tokens=token_cap("max_output_tokens", request.max_output_tokens),
            response_format=response_format(request),
        )
        return cls(request, request.model, sampling, seals=any(prefix in body for prefix in _SEALED))

    @property
    def model(self) -> str:
        """The caller's `model`, verbatim."""
        return self._model

    @property
    def user(self) -> str | None:
        """The caller's `user`, None when absent or blank."""
        user = self._request.user
        return user if user and user.strip() else None

    @property
    def stored(self) -> bool:
        """Whether to store the response: yes unless `store` is false, as in OpenAI's API."""
        return self._request.store is not False

    @property
    def background(self) -> bool:
        """Whether the caller asks for a background response."""
        return bool(self._request.background)

    @property
    def generates(self) -> bool:
        """Whether the caller asks for an answer; an event of a WebSocket may only prepare its conversation."""
        return not (isinstance(self._request, ResponseCreate) and self._request.generate is False)

    @property
    def previous(self) -> str | None:
        """The id of the response that this one continues; None when absent or blank."""
        return (self._request.previous_response_id or "").strip() or None

    @property
    def sealed(self) -> bool:
        """Whether reasoning items include `encrypted_content`, which the model needs back."""
        return wants_encrypted_reasoning(self._request)

    @property
    def needs_seal(self) -> bool:
        """Whether the response, or the input as far as its bytes tell, holds `encrypted_content` of this gateway."""
        return self.sealed or self._seals

    def references(self) -> list[tuple[str, str]]:
        """The items that the input refers to by id: each id with its path in the request."""
        raw = self._request.input
        entries = enumerate(raw) if isinstance(raw, list) else ()
        return [(name, f"input[{index}]") for index, item in entries if (name := referred(item)) is not None]

    def refer(self, items: Mapping[str, Any]) -> None:
        """Replace each item reference with its item; `items` maps ids to items."""
        if isinstance(self._request.input, list):
            named = ((referred(item), item) for item in self._request.input)
            self._request.input = [item if name is None else items[name] for name, item in named]

    def input_items(self, response: str) -> list[dict[str, Any]]:
        """The input items to store with a response; `response` is its id. Call `turn` first: it checks the input."""
        return input_items(self._request.input, response)

    @property
    def instructions(self) -> tuple[Message, ...]:
        """The messages before the input. The next turn does not inherit them, as in OpenAI's API."""
        text = self._request.instructions
        return (Message("system", (Text(text),)),) if text and text.strip() else ()

    def turn(self, seal: Seal | None = None) -> Turn:
        """The decoded request. Raises BadRequest for invalid tools, tool choice or input.

        `seal` is that of the caller; reasoning in the input that it did not make is left out.
        """
        request = self._request
        if request.tools:
            request.tools = _decoded(request.tools)
        messages = read_input(request.input, seal)
        tools = _offered(request)
        choice = None
        if request.tool_choice is not None:
            choice, tools = choice_of(request.tool_choice, tools)
        return Turn(
            model=self._model,
            messages=(*self.instructions, *messages),
            tools=tools,
            tool_choice=choice,
            sampling=self._sampling,
            stream=bool(request.stream),
            include_usage=True,
            user=self.user,
            options=options_of(request),
        )

    def echo(self, turn: Turn) -> Mapping[str, Any]:
        """The fields of the response that repeat the request; `turn` includes the agent's settings.

        OpenResponses requires numbers where the request sets none: OpenAI's documented defaults.
        """
        request, text, sampling = self._request, self._request.text, turn.sampling
        return {
            "background": self.background,
            "frequency_penalty": _number(sampling.frequency_penalty, 0),
            "instructions": request.instructions,
            "max_output_tokens": sampling.max_tokens,
            "max_tool_calls": request.max_tool_calls,
            "metadata": request.metadata or {},
            "parallel_tool_calls": request.parallel_tool_calls is not False,
            "presence_penalty": _number(sampling.presence_penalty, 0),
            "previous_response_id": self.previous,
            "prompt_cache_key": request.prompt_cache_key,
            "reasoning": {
                "effort": request.reasoning.effort if request.reasoning else None,
                "summary": request.reasoning.summary if request.reasoning else None,
            },
            "safety_identifier": request.safety_identifier,
            "service_tier": request.service_tier
            or "auto",  # the gateway does not learn the tier that the provider used
            "store": self.stored,
            "temperature": _number(sampling.temperature, 1),
            "text": {
                "format": (text and text.format) or {"type": "text"},
                **({"verbosity": text.verbosity} if text and text.verbosity else {}),
            },
            "tool_choice": encode_choice(turn.tool_choice or AUTO),
            "tools": _echoed(turn.tools),
            "top_logprobs": request.top_logprobs or 0,
            "top_p": _number(sampling.top_p, 1),
            "truncation": request.truncation or "disabled",
            "user": request.user,
        }


def _number(value: float | None, default: float) -> float:
    return default if value is None else value


def _offered(request: ResponsesRequest) -> tuple[ToolSpec, ...]:
    """The tools of the request, then those that its input adds; the later of two with the same name counts."""
    tools = {(tool.namespace, tool.name): tool for tool in read_tools(request.tools or [])}
    for index, item in enumerate(request.input if isinstance(request.input, list) else ()):
        if isinstance(item, dict) and item.get("type") in ("additional_tools", "tool_search_output"):
            entries = item.get("tools")
            for tool in read_tools(entries if isinstance(entries, list) else [], f"input[{index}].tools"):
                tools[tool.namespace, tool.name] = structs.replace(tool, in_input=True)
    return tuple(tools.values())


def _echoed(tools: tuple[ToolSpec, ...]) -> list[dict[str, Any]]:
    """`tools` of the response: functions with all of OpenAI's fields, the others as the client sent them."""
    own = [tool for tool in tools if not tool.in_input]
    functions = {tool.name: tool for tool in own if tool.kind == "function" and tool.namespace is None}
    return [
        _function(functions[entry["name"]]) if entry["type"] == "function" else entry for entry in encode_tools(own)
    ]


def _function(tool: ToolSpec) -> dict[str, Any]:
    fields = {"description": tool.description, "parameters": tool.parameters, "strict": tool.strict}
    return {"type": "function", "name": tool.name, **fields}


def _refuse_unsupported(request: ResponsesRequest) -> None:
    """Raises BadRequest for references to data stored at OpenAI, and for a background response without storage."""
    for name, instead in (("conversation", "`previous_response_id`"), ("prompt", "`instructions`")):
        if getattr(request, name) is not None:
            raise BadRequest(f"`{name}`: is not supported here; use {instead}.", param=name)
    if request.background and request.store is False:
        raise BadRequest("`background`: needs `store`, because the answer is fetched later.", param="background")


def _decoded(entries: list[Any]) -> list[Any]:
    try:
        return decoded(entries)
    except InvalidJSON as error:  # the first pass does not decode all numbers: one may be out of range
        raise unreadable(error) from None
