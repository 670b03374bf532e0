"""The fields of a provider's answers that the gateway reads. All are nullable, because servers differ.

A stream creates three of these objects per token. They hold no cycles, so the garbage collector need not track them
(`gc=False`), which makes them a third cheaper.
"""

from typing import Any, Literal

from msgspec import Raw, Struct

from gateway.core.jsonio import StructDecoder

CALL_FIELDS = ("extra_content", "provider_specific_fields")
"""Fields that providers attach to a call and expect back with it: Google sends thought signatures and refuses a history
without them (https://ai.google.dev/gemini-api/docs/thought-signatures); LiteLLM does the same for many providers.
"""


COMPLETION_FIELDS = ("citations", "search_results", "images", "related_questions")
"""Fields of a completion that are about the whole answer (Perplexity)."""


class Function(Struct, gc=False):
    """The function of a tool call; in a stream each field may arrive in pieces or at once.

    Some servers send the arguments as an object instead of as its text.
    """

    name: str | None = None
    arguments: str | dict[str, Raw] | None = None


class Call(Struct, gc=False):
    """One tool call, or a piece of it."""

    function: Function | None = None
    index: int | None = None
    id: str | None = None
    extra_content: Any = None
    provider_specific_fields: Any = None


class Delta(Struct, gc=False):
    """A `message`, or what a chunk adds to it. Mistral's reasoning models send `content` as a list of parts.

    `function_call` is the legacy form of a single call.
    """

    content: str | list[Any] | None = None
    tool_calls: list[Call] | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    reasoning_details: Any = None
    thinking_blocks: Any = None
    refusal: str | None = None
    annotations: Any = None
    function_call: Function | None = None
    audio: Any = None
    images: Any = None


class Choice(Struct, gc=False):
    """One choice of a whole answer (`message`) or of a chunk (`delta`).

    `text` is the answer of the legacy completions API. Moonshot reports the `usage` of a stream here.
    """

    delta: Delta | None = None
    message: Delta | None = None
    finish_reason: str | None = None
    logprobs: Any = None
    error: Any = None
    index: int | None = None
    text: Any = None
    usage: dict[str, Any] | None = None


class Completion(Struct, gc=False):
    """`chat.completion` and `chat.completion.chunk`, or an error where an answer should be."""

    choices: list[Choice] | None = None
    usage: dict[str, Any] | None = None
    error: Any = None
    citations: Any = None
    search_results: Any = None
    images: Any = None
    related_questions: Any = None


class WholeMessage(Delta, gc=False):
    """The `message` of a whole answer; its text stays encoded as it arrived."""

    content: Raw = Raw(b"null")  # type: ignore[assignment]  # shared code reads it as a Delta


class WholeChoice(Struct, gc=False):
    """One choice of a whole answer."""

    message: WholeMessage | None = None
    finish_reason: str | None = None
    logprobs: Any = None
    error: Any = None


class WholeCompletion(Completion, gc=False):
    """`chat.completion`."""

    choices: list[WholeChoice] | None = None  # type: ignore[assignment]  # shared code reads it as a Completion


class TextOnly(Struct, gc=False):
    """A delta of text alone; decoding anything else fails."""

    content: str
    tool_calls: None = None
    reasoning_content: None = None
    reasoning: None = None
    reasoning_details: None = None
    thinking_blocks: None = None
    refusal: None = None
    annotations: None = None
    function_call: None = None
    audio: None = None
    images: None = None


class TextChoice(Struct, gc=False):
    """The choice of a chunk of text."""

    delta: TextOnly
    message: None = None
    finish_reason: None = None
    logprobs: None = None
    error: None = None
    index: Literal[0] | None = None
    text: None = None


class TextChunk(Struct, gc=False):
    """A chunk that holds text and nothing else, as nearly all of a long answer do. The decoder checks that for all
    chunks of a burst in a fraction of the time that reading their fields one by one would take.
    """

    choices: tuple[TextChoice]
    usage: None = None
    error: None = None
    citations: None = None
    search_results: None = None
    images: None = None
    related_questions: None = None


COMPLETION = StructDecoder(Completion)
TEXT_CHUNK = StructDecoder(TextChunk)
WHOLE = StructDecoder(WholeCompletion)
