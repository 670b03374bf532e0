"""A client's JSON body → a pydantic model, and the first problem in it as a sentence with the field's path.

What the fields are is the business of each format's `schema`, what they mean that of its `ingress`.
"""

from typing import TypeVar

from pydantic import BaseModel, ValidationError

from gateway.core.errors import BadRequest
from gateway.core.jsonio import InvalidJSON, loads

Number = int | float
Body = TypeVar("Body", bound=BaseModel)


def check_json(body: bytes) -> None:
    """Nothing but whether the body is JSON, for refusals that come after that question. Raises BadRequest."""
    try:
        loads(body)
    except InvalidJSON as error:
        if body.strip():
            raise _unreadable(error) from None


def parse_body(schema: type[Body], body: bytes) -> Body:
    """Read a JSON body; an empty or blank one counts as `{}` (recorded). Raises BadRequest, first problem only."""
    try:
        return schema.model_validate(loads(body))
    except InvalidJSON as error:
        if not body.strip():
            return schema()
        raise _unreadable(error) from None
    except ValidationError as error:
        raise _bad_request(error) from None


def _unreadable(error: InvalidJSON) -> BadRequest:
    return BadRequest(f"The request body can't be read: {error}.", code="invalid_json")


def _bad_request(error: ValidationError) -> BadRequest:
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    path = ""
    for step in first["loc"]:
        if isinstance(step, int):
            path += f"[{step}]"
        elif step not in _TRIED and "[" not in step:
            path += f".{step[:80]}" if path else step
    if not path:
        return BadRequest("The request body must be a JSON object.", code="invalid_type")
    return BadRequest(f"`{path}`: {_EXPECTED.get(first['type'], first['msg'])}.", param=path, code="invalid_type")


# A union adds the type that it tried to the location (`list[str]` too); the caller knows fields and indices only.
_TRIED = frozenset({"str", "int", "float", "bool"})

_EXPECTED = {
    "string_type": "must be a string",
    "bool_type": "must be true or false",
    "list_type": "must be an array",
    "dict_type": "must be an object",
    "model_type": "must be an object",
    "int_type": "must be a number",
    "float_type": "must be a number",
    "finite_number": "must be a finite number",
    "literal_error": "is not one of the accepted values",
}
