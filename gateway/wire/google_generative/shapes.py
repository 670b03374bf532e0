"""The fields of Google's answers that the gateway reads. All are nullable: the server leaves out what is empty."""

from typing import Any

from msgspec import Raw, Struct

from gateway.core.jsonio import StructDecoder


class FunctionCall(Struct, rename="camel", gc=False):
    """A call; `args` as they are written."""

    name: str | None = None
    id: str | None = None
    args: Raw = Raw(b"null")


class Blob(Struct, rename="camel", gc=False):
    """Media in an answer, as base64."""

    mime_type: str | None = None
    data: str | None = None


class Part(Struct, rename="camel", gc=False):
    """A piece of an answer; `thought` marks text as reasoning."""

    text: str | None = None
    thought: bool | None = None
    thought_signature: str | None = None
    function_call: FunctionCall | None = None
    inline_data: Blob | None = None
    executable_code: Any = None
    code_execution_result: Any = None


class Content(Struct, rename="camel", gc=False):
    """The parts of a candidate."""

    parts: list[Part] | None = None


class Candidate(Struct, rename="camel", gc=False):
    """An answer, or in a stream what this event adds to it."""

    content: Content | None = None
    finish_reason: str | None = None
    finish_message: str | None = None
    index: int | None = None
    citation_metadata: Any = None
    grounding_metadata: Any = None
    logprobs_result: Any = None


class PromptFeedback(Struct, rename="camel", gc=False):
    """Why there is no candidate."""

    block_reason: str | None = None
    block_reason_message: str | None = None


class Response(Struct, rename="camel", gc=False):
    """A whole answer, or one event of a stream."""

    candidates: list[Candidate] | None = None
    prompt_feedback: PromptFeedback | None = None
    usage_metadata: dict[str, Any] | None = None
    error: Any = None


RESPONSE = StructDecoder(Response)
RESPONSES = StructDecoder(list[Response])
