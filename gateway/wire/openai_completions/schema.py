"""The client's request body, checked by pydantic; what it means is `ingress`'s business.

Unknown fields are kept, null means absent, and the first problem is reported with the path of its field.
"""

from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from gateway.core.errors import BadRequest
from gateway.core.jsonio import InvalidJSON, loads_tolerant

Number = int | float
Body = TypeVar("Body", bound=BaseModel)


class StreamOptions(BaseModel):
    """How a stream reports itself."""

    model_config = ConfigDict(extra="ignore", strict=True)

    include_usage: bool | None = None


class ChatRequest(BaseModel):
    """`POST /v1/chat/completions`; entries of `messages` and `tools` are read by `ingress`."""

    model_config = ConfigDict(extra="allow", strict=True, allow_inf_nan=False)

    model: str | None = None
    messages: list[Any] | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    max_tokens: Number | None = None
    max_completion_tokens: Number | None = None
    temperature: Number | None = None
    top_p: Number | None = None
    frequency_penalty: Number | None = None
    presence_penalty: Number | None = None
    seed: Number | None = None
    stop: str | list[str] | None = None
    response_format: Any = None
    tools: list[Any] | None = None
    tool_choice: Any = None
    user: str | None = None
    n: Any = None


class EmbeddingsRequest(BaseModel):
    """`POST /v1/embeddings`."""

    model_config = ConfigDict(extra="ignore", strict=True, allow_inf_nan=False)

    model: str | None = None
    input: Any = None
    dimensions: Number | None = None
    encoding_format: str | None = None


def parse_body(schema: type[Body], body: bytes) -> Body:
    """Read a JSON body; an empty or blank one counts as `{}` (recorded). Raises BadRequest, first problem only."""
    try:
        return schema.model_validate_json(body)
    except ValidationError as error:
        if error.errors(include_url=False, include_context=False, include_input=False)[0]["type"] != "json_invalid":
            raise _bad_request(error) from None
    if not body.strip():
        return schema()
    try:
        return schema.model_validate(loads_tolerant(body))
    except InvalidJSON as error:
        raise BadRequest(f"The request body is {error}.", code="invalid_json") from None
    except ValidationError as error:
        raise _bad_request(error) from None


def _bad_request(error: ValidationError) -> BadRequest:
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    # A union adds the tried type to the location; the caller knows fields and indices only.
    path = ""
    for step in first["loc"]:
        if isinstance(step, int):
            path += f"[{step}]"
        elif step in ChatRequest.model_fields or step in EmbeddingsRequest.model_fields or step == "include_usage":
            path += f".{step}" if path else step
    if not path:
        return BadRequest("The request body must be a JSON object.", code="invalid_type")
    return BadRequest(f"`{path}`: {_EXPECTED.get(first['type'], first['msg'])}.", param=path, code="invalid_type")


_EXPECTED = {
    "string_type": "must be a string",
    "bool_type": "must be true or false",
    "list_type": "must be an array",
    "model_type": "must be an object",
    "int_type": "must be a number",
    "float_type": "must be a number",
    "finite_number": "must be a finite number",
}
