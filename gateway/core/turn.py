"""What a client asks of an agent, in no one's format: messages, tools, sampling, and how the answer is wanted."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from msgspec import Struct

from gateway.core.message import NO_EXTRAS, Extras, Image, Message


class ToolSpec(Struct, frozen=True):
    """A function that the caller offers to the model; `parameters` is a JSON Schema, absent for none."""

    name: str
    description: str | None = None
    parameters: Mapping[str, Any] | None = None
    strict: bool | None = None
    extras: Extras = NO_EXTRAS


@dataclass(frozen=True, slots=True)
class ToolChoice:
    """Whether the model may (`auto`), must not (`none`), must (`required`) call, or must call `name` (`pinned`)."""

    mode: Literal["auto", "none", "required", "pinned"]
    name: str | None = None


AUTO = ToolChoice("auto")


class Sampling(Struct, frozen=True):
    """How the model picks its words; `None` leaves it to the provider.

    `temperature` 0..2, `top_p` 0..1, penalties -2..2, `stop` at most four texts, `max_tokens` the caller's cap on the
    answer, `response_format` as in OpenAI's chat API.
    """

    temperature: float | None = None
    top_p: float | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    seed: int | None = None
    stop: tuple[str, ...] = ()
    max_tokens: int | None = None
    response_format: Mapping[str, Any] | None = None


class Turn(Struct, frozen=True):
    """One request as a value; `model` is the caller's own string, kept to be echoed."""

    model: str
    messages: tuple[Message, ...]
    tools: tuple[ToolSpec, ...] = ()
    tool_choice: ToolChoice | None = None
    sampling: Sampling = Sampling()
    stream: bool = False
    include_usage: bool = False
    user: str | None = None
    extras: Extras = NO_EXTRAS

    def has_images(self) -> bool:
        """Whether any message holds a picture."""
        for message in self.messages:
            for part in message.parts:
                if type(part) is Image:
                    return True
        return False
