"""The client's half: request body → Turn, and what the response repeats of the request.

`read` checks shape and numbers; the caller then finds the agent and what the input refers to; `turn` reads tools and
input.
"""

from collections.abc import Mapping
from typing import Any

from gateway.core.errors import BadRequest
from gateway.core.jsonio import InvalidJSON, decoded
from gateway.core.message import Message, Text
from gateway.core.turn import AUTO, Sampling, ToolChoice, Turn
from gateway.wire.openai_responses import WIRE
from gateway.wire.openai_responses.allowed_tools import allowed
from gateway.wire.openai_responses.input_items import input_items
from gateway.wire.openai_responses.items import read_input, referred
from gateway.wire.openai_responses.options import options_of, response_format, wants_encrypted_reasoning
from gateway.wire.openai_responses.schema import RESPONSES, ResponsesRequest
from gateway.wire.ranges import token_cap, whole, within
from gateway.wire.request_body import unreadable
from gateway.wire.tools import read_choice, read_tools


class ResponsesIngress:
    """One responses request on its way to a Turn."""

    __slots__ = ("_model", "_request", "_sampling")

    def __init__(self, request: ResponsesRequest, model: str, sampling: Sampling) -> None:
        self._request = request
        self._model = model
        self._sampling = sampling

    @classmethod
    def read(cls, body: bytes) -> "ResponsesIngress":
        """Check shape, caps, ranges and format. Raises BadRequest naming the field.

        `model` is required, but may be "" for the default agent (recorded).
        """
        request, _ = RESPONSES.read(body)
        if request.model is None:
            raise BadRequest("`model`: must be a string, such as `openclaw`.", param="model")
        _check_place(request)
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
        return cls(request, request.model, sampling)

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
        """Whether the response is to be kept; unless the caller says no, as in OpenAI's API."""
        return self._request.store is not False

    @property
    def background(self) -> bool:
        """Whether the caller doesn't wait for the answer."""
        return bool(self._request.background)

    @property
    def previous(self) -> str | None:
        """The response that this one continues; a blank one is none."""
        return (self._request.previous_response_id or "").strip() or None

    @property
    def sealed(self) -> bool:
        """Whether reasoning items are to hold what the model needs back."""
        return wants_encrypted_reasoning(self._request)

    def references(self) -> dict[str, str]:
        """The items that the input refers to: id → path in the request."""
        raw = self._request.input
        listed = enumerate(raw) if isinstance(raw, list) else ()
        return {name: f"input[{index}]" for index, item in listed if (name := referred(item)) is not None}

    def refer(self, items: Mapping[str, Any]) -> None:
        """Put the items that the input refers to in their places."""
        if isinstance(self._request.input, list):
            named = ((referred(item), item) for item in self._request.input)
            self._request.input = [item if name is None else items[name] for name, item in named]

    def input_items(self, response: str) -> list[dict[str, Any]]:
        """The input as it is listed again; call it after `turn`, which checks it. `response` is the response's id."""
        return input_items(self._request.input, response)

    @property
    def instructions(self) -> tuple[Message, ...]:
        """What begins the turn and is not carried on to the next one, as in OpenAI's API."""
        said = self._request.instructions
        return (Message("system", (Text(said),)),) if said and said.strip() else ()

    def turn(self) -> Turn:
        """The whole request as a value. Raises BadRequest for tools, tool choice, or what is wrong in the input."""
        request = self._request
        tools = read_tools(_decoded(request.tools), WIRE, flat=True) if request.tools else ()
        choice = request.tool_choice
        if isinstance(choice, dict) and choice.get("type") == "allowed_tools":
            tools, choice = allowed(choice, tools)
        return Turn(
            model=self._model,
            messages=(*self.instructions, *read_input(request.input)),
            tools=tools,
            tool_choice=read_choice(choice, tools) if choice is not None else None,
            sampling=self._sampling,
            stream=bool(request.stream),
            include_usage=True,
            user=self.user,
            options=options_of(request),
        )

    def echo(self, turn: Turn) -> Mapping[str, Any]:
        """The fields of the response that repeat the request; `turn` is what is asked for, agent's settings included.

        OpenResponses wants numbers where nobody said anything: those that OpenAI documents as its own.
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
            "service_tier": request.service_tier or "auto",  # which one it came to, only the provider knows
            "store": self.stored,
            "temperature": _number(sampling.temperature, 1),
            "text": {
                "format": (text and text.format) or {"type": "text"},
                **({"verbosity": text.verbosity} if text and text.verbosity else {}),
            },
            "tool_choice": _choice(turn.tool_choice or AUTO),
            "tools": [
                {
                    "type": "function",
                    "name": tool.name,
                    "description": tool.description,
                    "parameters": tool.parameters,
                    "strict": tool.strict,
                }
                for tool in turn.tools
            ],
            "top_logprobs": request.top_logprobs or 0,
            "top_p": _number(sampling.top_p, 1),
            "truncation": request.truncation or "disabled",
            "user": request.user,
        }


def _number(said: float | None, unsaid: float) -> float:
    return unsaid if said is None else said


def _choice(choice: ToolChoice) -> str | dict[str, Any]:
    return {"type": "function", "name": choice.name} if choice.mode == "pinned" else choice.mode


def _check_place(request: ResponsesRequest) -> None:
    """Raises BadRequest for what would be lost: conversations and prompts are kept at OpenAI, not here."""
    for name, instead in (("conversation", "`previous_response_id`"), ("prompt", "`instructions`")):
        if getattr(request, name) is not None:
            raise BadRequest(f"`{name}`: is not supported here; use {instead}.", param=name)
    if request.background and request.store is False:
        raise BadRequest("`background`: needs `store`, because the answer is fetched later.", param="background")


def _decoded(entries: list[Any]) -> list[Any]:
    try:
        return decoded(entries)
    except InvalidJSON as error:  # well-formed, as far as was known: a number beyond all range
        raise unreadable(error) from None
