"""A client's request to an agent, independent of wire formats: messages, tools, settings, and the form of the answer.

The codec of a wire format drops the settings that the format can't express.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from msgspec import Struct

from gateway.core.message import NO_EXTRAS, Extras, Image, Message, ToolKind


class ToolSpec(Struct, frozen=True):
    """A tool that the client offers to the model; `parameters` is a JSON Schema, None without parameters.

    `description` and `parameters` describe a tool of any kind as a function, for formats that know only functions; a
    `hosted` tool has neither. `extras` are the unknown fields of a function, or the whole tool of another kind.
    `outer` are the fields beside the function in the client's format.
    `in_input`: a message of the input offers the tool, so that the format of that message does not repeat it.
    """

    name: str
    description: str | None = None
    parameters: Mapping[str, Any] | None = None
    strict: bool | None = None
    extras: Extras = NO_EXTRAS
    kind: ToolKind = "function"
    namespace: str | None = None
    namespace_description: str | None = None
    in_input: bool = False
    outer: Extras = NO_EXTRAS


@dataclass(frozen=True, slots=True)
class ToolChoice:
    """The model may (`auto`), must not (`none`) or must (`required`) call a tool; `pinned`: it must call `name`.

    `kind` and `namespace` are those of the pinned tool.
    """

    mode: Literal["auto", "none", "required", "pinned"]
    name: str | None = None
    kind: ToolKind = "function"
    namespace: str | None = None


AUTO = ToolChoice("auto")


class ResponseFormat(Struct, frozen=True):
    """The form of the answer's text; `schema` holds `name`, `schema`, `strict`, … of a `json_schema`."""

    kind: Literal["text", "json_object", "json_schema"]
    schema: Mapping[str, Any] | None = None


class Sampling(Struct, frozen=True):
    """Sampling parameters; None means the provider's default.

    `temperature` 0..2, `top_p` 0..1, penalties -2..2, `stop` at most four texts, `max_tokens` the client's limit for
    the answer.
    """

    temperature: float | None = None
    top_p: float | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    seed: int | None = None
    stop: tuple[str, ...] = ()
    max_tokens: int | None = None
    response_format: ResponseFormat | None = None


class Options(Struct, frozen=True):
    """Other settings of a request; None means the provider's default.

    `effort` is how much the model should reason (`none`, `minimal`, `low`, …), `thinking_budget` the same in tokens,
    `summary` the kind of summary of its reasoning. `end_user` identifies the client's own user, `cache_key` and
    `cache_retention` control the provider's prompt cache, `metadata` labels the request at the provider.
    """

    effort: str | None = None
    thinking_budget: int | None = None
    summary: str | None = None
    verbosity: str | None = None
    parallel_tool_calls: bool | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None
    top_k: int | None = None
    service_tier: str | None = None
    cache_key: str | None = None
    cache_retention: str | None = None
    end_user: str | None = None
    metadata: Mapping[str, Any] | None = None


NO_SAMPLING = Sampling()
NO_OPTIONS = Options()


class Turn(Struct, frozen=True):
    """One request as a value. `model` is the client's string, which the answer repeats.

    `extras` are request fields that only the client's format knows. `params` are the operator's request fields for the
    agent, in the provider's format: every format sends them unchanged, and the client's settings override them.
    """

    model: str
    messages: tuple[Message, ...]
    tools: tuple[ToolSpec, ...] = ()
    tool_choice: ToolChoice | None = None
    sampling: Sampling = NO_SAMPLING
    stream: bool = False
    include_usage: bool = False
    user: str | None = None
    extras: Extras = NO_EXTRAS
    options: Options = NO_OPTIONS
    params: Mapping[str, Any] | None = None

    def has_tool_results(self) -> bool:
        """Whether any message is the result of a tool call."""
        for message in self.messages:
            if message.role == "tool":
                return True
        return False

    def has_images(self) -> bool:
        """Whether any message has an image."""
        for message in self.messages:
            for part in message.parts:
                if type(part) is Image:
                    return True
        return False
