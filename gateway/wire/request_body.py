"""A client's JSON body → its fields, and the first problem in it as a sentence with the field's path.

What the fields are is the business of each format's `schema`, what they mean that of its `ingress`.
"""

import re
from typing import Any, Generic, TypeVar

from msgspec import Struct, ValidationError, convert
from msgspec.structs import fields

from gateway.core.errors import BadRequest
from gateway.core.jsonio import InvalidJSON, NotAnObject, WrongShape, converted, fields_of, loads

Number = int | float
Schema = TypeVar("Schema", bound=Struct)


class BodyReader(Generic[Schema]):
    """Reads bodies of one schema: a Struct whose fields are all optional, in the order in which problems are told."""

    def __init__(self, schema: type[Schema]) -> None:
        self._schema = schema
        self._kinds = {field.name: field.type for field in fields(schema)}

    def read(self, body: bytes) -> tuple[Schema, dict[str, Any]]:
        """The known fields of a JSON body, and the others. Raises BadRequest, first problem only.

        Objects in arrays are split into their raw fields (`jsonio.RawFields`). A blank body counts as `{}` (recorded).
        """
        found = _fields(body)
        kinds = self._kinds
        others = {} if found.keys() <= kinds.keys() else {n: value for n, value in found.items() if n not in kinds}
        try:
            return convert(found, self._schema), others
        except (ValidationError, UnicodeEncodeError):
            return self._schema(**self._one_by_one(found)), others

    def _one_by_one(self, found: dict[str, Any]) -> dict[str, Any]:
        checked = {}
        for name, kind in self._kinds.items():
            if name in found:
                try:
                    checked[name] = converted(found[name], kind)
                except WrongShape as error:
                    raise _wrong(name, str(error)) from None
        return checked


def check_json(body: bytes) -> None:
    """Nothing but whether the body is JSON, for refusals that come after that question. Raises BadRequest."""
    try:
        loads(body)
    except InvalidJSON as error:
        if body.strip():
            raise unreadable(error) from None


def _fields(body: bytes) -> dict[str, Any]:
    try:
        return fields_of(body)
    except NotAnObject:
        raise BadRequest(_NO_OBJECT, code="invalid_type") from None
    except InvalidJSON as error:
        if not body.strip():
            return {}
        raise unreadable(error) from None


def unreadable(error: InvalidJSON) -> BadRequest:
    """The refusal of a body that is no JSON, or not the JSON that can be read."""
    return BadRequest(f"The request body can't be read: {error}.", code="invalid_json")


def _wrong(field: str, problem: str) -> BadRequest:
    """Word what the decoder found; it names the types that it expected, and the place below the field, if any."""
    below = _BELOW.search(problem)
    path = field + below[1] if below else field
    expected = _TYPE.search(problem)
    if expected:
        said = _EXPECTED[expected[1]]
    else:
        said = "is not one of the accepted values" if "enum" in problem else "must be a finite number"
    return BadRequest(f"`{path}`: {said}.", param=path, code="invalid_type")


_NO_OBJECT = "The request body must be a JSON object."
_BELOW = re.compile(r"at `\$(.+)`")
_TYPE = re.compile(r"Expected `(\w+)")
_EXPECTED = {
    "str": "must be a string",
    "bool": "must be true or false",
    "array": "must be an array",
    "object": "must be an object",
    "int": "must be a number",
    "float": "must be a number",
}
