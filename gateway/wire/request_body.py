"""Decodes a client's JSON body into fields, or reports its first problem in a sentence with the field's path.

Each format's `schema` lists the fields; its `ingress` interprets them.
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
    """Reads bodies of one schema: a Struct of optional fields, in the order in which problems are reported."""

    def __init__(self, schema: type[Schema]) -> None:
        self._schema = schema
        self._kinds = {field.name: field.type for field in fields(schema)}

    def read(self, body: bytes) -> tuple[Schema, dict[str, Any]]:
        """The known fields of a JSON body, and the others. Raises BadRequest, first problem only.

        Objects in arrays are split into raw fields (`jsonio.RawFields`). A blank body counts as `{}`, as in OpenClaw.
        """
        raw = _fields(body)
        kinds = self._kinds
        others = {} if raw.keys() <= kinds.keys() else {n: value for n, value in raw.items() if n not in kinds}
        try:
            return convert(raw, self._schema), others
        except (ValidationError, UnicodeEncodeError):
            return self._schema(**self._one_by_one(raw)), others

    def _one_by_one(self, raw: dict[str, Any]) -> dict[str, Any]:
        checked = {}
        for name, kind in self._kinds.items():
            if name in raw:
                try:
                    checked[name] = converted(raw[name], kind)
                except WrongShape as error:
                    raise _wrong(name, str(error)) from None
        return checked


def check_json(body: bytes) -> None:
    """Raise BadRequest unless the body is JSON or blank, before a refusal that does not depend on its fields."""
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
    """The refusal of a body that is not JSON, or holds JSON that can't be decoded."""
    return BadRequest(f"The request body can't be read: {error}.", code="invalid_json")


def _wrong(field: str, problem: str) -> BadRequest:
    """The refusal of one field. The decoder's `problem` names the expected types and the path below the field."""
    below = _BELOW.search(problem)
    path = field + below[1] if below else field
    expected = _TYPE.search(problem)
    if expected:
        expectation = _EXPECTED[expected[1]]
    else:
        expectation = "is not one of the accepted values" if "enum" in problem else "must be a finite number"
    return BadRequest(f"`{path}`: {expectation}.", param=path, code="invalid_type")


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
