"""Decodes a client's request body into a Turn.

`read` checks types and numbers, so that the endpoint can resolve the agent; `turn` then decodes tools and messages.
Fields that only Anthropic's API has, and the betas of the request, go to a provider of this format unchanged; other
providers get what they can express. Unknown betas and fields are no error.
"""

import re
from collections.abc import Mapping
from typing import Any

from gateway.core.errors import BadRequest
from gateway.core.jsonio import InvalidJSON, decoded
from gateway.core.message import NO_EXTRAS, Extras
from gateway.core.seal import Seal
from gateway.core.turn import NO_OPTIONS, Options, ResponseFormat, Sampling, Turn
from gateway.wire.anthropic_messages import BETAS, WIRE
from gateway.wire.anthropic_messages.client_tools import read_choice, read_tools
from gateway.wire.anthropic_messages.input_blocks import wrong
from gateway.wire.anthropic_messages.input_messages import read_messages, read_system
from gateway.wire.anthropic_messages.schema import MESSAGES, MessagesRequest
from gateway.wire.nulls import without_nulls
from gateway.wire.ranges import token_cap, whole, within
from gateway.wire.request_body import unreadable

_BETA = re.compile(r"[A-Za-z0-9._-]{1,100}")
_MAX_BETAS = 64
_TIERS = {"standard_only": "default"}


class MessagesIngress:
    """One request: type-checked by `read`, decoded by `turn`."""

    __slots__ = ("_betas", "_others", "_request", "_sampling")

    def __init__(
        self, request: MessagesRequest, others: Mapping[str, Any], sampling: Sampling, betas: tuple[str, ...]
    ) -> None:
        self._request = request
        self._others = others
        self._sampling = sampling
        self._betas = betas

    @classmethod
    def read(cls, body: bytes, *, betas: str = "", counts: bool = False) -> "MessagesIngress":
        """Check types and ranges. Raises BadRequest naming the field.

        `betas` is the header `anthropic-beta`. `counts`: the request counts tokens, so it has no `max_tokens`.
        """
        request, others = MESSAGES.read(body)
        if request.model is None:
            raise BadRequest("`model`: is required, such as `openclaw`.", param="model")
        if request.messages is None:
            raise BadRequest("`messages`: is required.", param="messages")
        if request.max_tokens is None and not counts:
            raise BadRequest("`max_tokens`: is required.", param="max_tokens")
        if any(not stop for stop in request.stop_sequences or ()):
            raise BadRequest("`stop_sequences`: entries must be non-empty strings.", param="stop_sequences")
        sampling = Sampling(
            temperature=within("temperature", request.temperature, 0, 1, "0 and 1"),
            top_p=within("top_p", request.top_p, 0, 1, "0 and 1"),
            max_tokens=token_cap("max_tokens", request.max_tokens),
            stop=tuple(request.stop_sequences or ()),
            response_format=_format(request.output_config or {}, others),
        )
        names = (name.strip() for name in betas.split(","))
        return cls(request, others, sampling, tuple(name for name in names if _BETA.fullmatch(name))[:_MAX_BETAS])

    @property
    def model(self) -> str:
        """The caller's `model`, verbatim."""
        return self._request.model or ""

    @property
    def user(self) -> str | None:
        """`metadata.user_id`; None when absent, blank, or an object in JSON.

        Such an object describes a client that keeps its conversations itself (Claude Code): it sends the whole
        conversation each time, and several requests at a time.
        """
        user = (self._request.metadata or {}).get("user_id")
        if not isinstance(user, str) or not user.strip() or user.lstrip().startswith("{"):
            return None
        return user

    def turn(self, seal: Seal | None) -> Turn:
        """The decoded request; `seal` is that of the caller. Raises BadRequest for invalid tools or messages."""
        request = self._request
        try:
            tools = read_tools(decoded(request.tools)) if request.tools else ()
            messages = (*read_system(request.system), *read_messages(request.messages or [], seal))
        except InvalidJSON as error:  # the first pass does not decode all numbers: one may be out of range
            raise unreadable(error) from None
        choice = request.tool_choice
        return Turn(
            model=self.model,
            messages=messages,
            tools=tools,
            tool_choice=None if choice is None else read_choice(choice, tools),
            sampling=self._sampling,
            stream=bool(request.stream),
            include_usage=True,
            user=self.user,
            extras=self._extras(),
            options=_options(request, has_tools=bool(tools)),
        )

    def _extras(self) -> Extras:
        request = self._request
        fields = {name: value for name, value in self._others.items() if value is not None}
        for name in ("thinking", "output_config", "metadata"):
            if (value := getattr(request, name)) is not None:
                fields[name] = without_nulls(value) if name != "output_config" else _given(value)
        if self._betas:
            fields[BETAS] = self._betas
        return Extras(WIRE, fields) if fields else NO_EXTRAS


def _given(config: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in config.items() if value is not None}  # a schema's own nulls count


def _options(request: MessagesRequest, *, has_tools: bool) -> Options:
    thinking, config = request.thinking or {}, request.output_config or {}
    effort = config.get("effort")
    settings: dict[str, Any] = {}
    if isinstance(effort, str):
        settings["effort"] = effort
    if thinking.get("type") == "disabled":
        settings["effort"] = "none"
    elif type(budget := thinking.get("budget_tokens")) is int and budget > 0:
        settings["thinking_budget"] = budget
    if has_tools and (request.tool_choice or {}).get("disable_parallel_tool_use") is True:
        settings["parallel_tool_calls"] = False
    if request.top_k is not None:
        settings["top_k"] = whole("top_k", request.top_k, 0, 2**31)
    if request.service_tier is not None:
        settings["service_tier"] = _TIERS.get(request.service_tier, request.service_tier)
    return Options(**settings) if settings else NO_OPTIONS


def _format(config: Mapping[str, Any], others: Mapping[str, Any]) -> ResponseFormat | None:
    """The form of the answer; `output_format` is the field of an earlier beta."""
    field, wanted = "output_config.format", config.get("format")
    if wanted is None:
        field, wanted = "output_format", others.get("output_format")
    if wanted is None:
        return None
    schema = wanted.get("schema") if isinstance(wanted, dict) else None
    if not isinstance(schema, dict) or wanted.get("type") != "json_schema":
        raise wrong(field, "must be an object with the type `json_schema` and a `schema`")
    return ResponseFormat("json_schema", {"name": "answer", "schema": schema, "strict": True})
