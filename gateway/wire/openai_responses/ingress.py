"""The client's half: request body → Turn, and what the response repeats of the request.

`read` checks shape and numbers; the caller then finds the agent; `turn` reads tools and input.
"""

from collections.abc import Mapping
from typing import Any

from gateway.core.errors import BadRequest
from gateway.core.jsonio import InvalidJSON, decoded
from gateway.core.turn import AUTO, Sampling, ToolChoice, Turn
from gateway.wire.openai_completions.tools import read_choice, read_tools
from gateway.wire.openai_responses.items import read_input
from gateway.wire.openai_responses.options import chat_extras, response_format
from gateway.wire.openai_responses.schema import RESPONSES, ResponsesRequest
from gateway.wire.ranges import token_cap, within
from gateway.wire.request_body import unreadable


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
        if request.background:
            raise BadRequest(
                "`background`: responses in the background are not supported yet; ask without it.", param="background"
            )
        for name, label in (request.metadata or {}).items():
            if not isinstance(label, str):
                raise BadRequest(f"`metadata.{name[:80]}`: must be a string.", param=f"metadata.{name[:80]}")
        sampling = Sampling(
            temperature=within("temperature", request.temperature, 0, 2, "0 and 2"),
            top_p=within("top_p", request.top_p, 0, 1, "0 and 1"),
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

    def turn(self) -> Turn:
        """The whole request as a value. Raises BadRequest for tools, tool choice, or what is wrong in the input."""
        request = self._request
        try:
            tools = read_tools(decoded(request.tools), flat=True) if request.tools else ()
            items = decoded(request.input) if isinstance(request.input, list) else request.input
        except InvalidJSON as error:  # well-formed, as far as was known: a number beyond all range
            raise unreadable(error) from None
        return Turn(
            model=self._model,
            messages=read_input(items, request.instructions),
            tools=tools,
            tool_choice=read_choice(request.tool_choice, tools) if request.tool_choice is not None else None,
            sampling=self._sampling,
            stream=bool(request.stream),
            include_usage=True,
            user=self.user,
            extras=chat_extras(request),
        )

    def echo(self, turn: Turn) -> Mapping[str, Any]:
        """The fields of the response that repeat the request. What was not said and only the provider knows is null."""
        request, text = self._request, self._request.text
        return {
            "background": False,
            "instructions": request.instructions,
            "max_output_tokens": turn.sampling.max_tokens,
            "max_tool_calls": request.max_tool_calls,
            "metadata": request.metadata or {},
            "parallel_tool_calls": request.parallel_tool_calls is not False,
            "previous_response_id": None,  # no response is kept, so nothing was continued
            "prompt_cache_key": request.prompt_cache_key,
            "reasoning": {
                "effort": request.reasoning.effort if request.reasoning else None,
                "summary": request.reasoning.summary if request.reasoning else None,
            },
            "safety_identifier": request.safety_identifier,
            "service_tier": None,
            "store": False,
            "temperature": request.temperature,
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
            "top_p": request.top_p,
            "truncation": request.truncation or "disabled",
            "user": request.user,
        }


def _choice(choice: ToolChoice) -> str | dict[str, Any]:
    return {"type": "function", "name": choice.name} if choice.mode == "pinned" else choice.mode
