"""The shapes of a provider's answers, as far as anything is read of them. Nullable throughout: servers differ.

A stream makes three of these a token. They hold no cycles, so the collector need not know them (`gc=False`), which
makes them a third cheaper.
"""

from typing import Any

from msgspec import Raw, Struct

from gateway.core.jsonio import StructDecoder

CALL_FIELDS = ("extra_content", "provider_specific_fields")
"""What providers attach to a call and want back with it: Google its signature of the model's thoughts, without which it
refuses the history (https://ai.google.dev/gemini-api/docs/thought-signatures), and LiteLLM the same of many providers.
"""


class Function(Struct, gc=False):
    """What a tool call calls; in a stream each field may come in pieces or once."""

    name: str | None = None
    arguments: str | None = None


class Call(Struct, gc=False):
    """One tool call, or a piece of it."""

    function: Function | None = None
    index: int | None = None
    id: str | None = None
    extra_content: Any = None
    provider_specific_fields: Any = None


class Delta(Struct, gc=False):
    """A `message`, or what a chunk adds to it. Mistral's reasoning models send `content` as a list of parts.

    `function_call` is the retired form of a single call.
    """

    content: str | list[Any] | None = None
    tool_calls: list[Call] | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    reasoning_details: Any = None
    refusal: str | None = None
    annotations: Any = None
    function_call: Function | None = None


class Choice(Struct, gc=False):
    """One choice of a whole answer (`message`) or of a chunk (`delta`).

    `text` is where the retired completions API put its answer.
    """

    delta: Delta | None = None
    message: Delta | None = None
    finish_reason: str | None = None
    logprobs: Any = None
    error: Any = None
    index: int | None = None
    text: Any = None


class Completion(Struct, gc=False):
    """`chat.completion` and `chat.completion.chunk`, or an error where an answer should be."""

    choices: list[Choice] | None = None
    usage: dict[str, Any] | None = None
    error: Any = None


class WholeMessage(Delta, gc=False):
    """The `message` of a whole answer, its text as it arrived."""

    content: Raw = Raw(b"null")  # type: ignore[assignment]  # code that only reads on takes a Delta


class WholeChoice(Struct, gc=False):
    """One choice of a whole answer."""

    message: WholeMessage | None = None
    finish_reason: str | None = None
    logprobs: Any = None
    error: Any = None


class WholeCompletion(Struct, gc=False):
    """`chat.completion`."""

    choices: list[WholeChoice] | None = None
    usage: dict[str, Any] | None = None
    error: Any = None


COMPLETION = StructDecoder(Completion)
WHOLE = StructDecoder(WholeCompletion)
