"""JSON in and out: the fast codec first, a tolerant one only where the fast one refuses what is still JSON.

msgspec refuses lone surrogates, which RFC 8259 §8.2 permits in escapes and which providers emit when they cut an emoji
in two. NaN and infinities are not JSON and are refused by both.
"""

import json
from collections.abc import Sequence
from math import isinf
from typing import Any, Generic, TypeVar

import msgspec

T = TypeVar("T")

RawFields = dict[str, msgspec.Raw]
"""An object cut into fields: each the JSON text of its value."""


class InvalidJSON(ValueError):
    """Not JSON, or not of the shape asked for; the message says where, without quoting the text."""


class NotAnObject(InvalidJSON):
    """JSON, but of another type than an object."""


class WrongShape(InvalidJSON):
    """JSON, but not of the type asked for; the message is the decoder's own."""


def _refuse(constant: str) -> Any:
    raise InvalidJSON(f"{constant} is not valid JSON")


def _finite(number: str) -> float:
    value = float(number)
    if isinf(value):
        raise InvalidJSON("a number is out of range")
    return value


def loads(data: bytes | msgspec.Raw) -> Any:
    """Decode UTF-8 JSON. Raises InvalidJSON."""
    try:
        return msgspec.json.decode(data)
    except (ValueError, RecursionError):
        return loads_tolerant(bytes(data))


def loads_tolerant(data: bytes) -> Any:
    """Decode JSON that may hold lone surrogates, a byte order mark or broken UTF-8 (replaced). Raises InvalidJSON."""
    text = data.decode("utf-8", "replace").removeprefix("\ufeff")
    try:
        return json.loads(text, parse_constant=_refuse, parse_float=_finite)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise InvalidJSON(f"not valid JSON at {where}") from None
    except RecursionError:
        raise InvalidJSON("JSON is nested too deeply") from None


def fields_of(document: bytes) -> dict[str, Any]:
    """The fields of an object, decoded, but objects in their arrays are cut into their own fields (`RawFields`).

    Raises InvalidJSON, and NotAnObject for no object. What is cut out is known to be well-formed and UTF-8; bytes that
    were not UTF-8 have been replaced, as in `loads_tolerant`.
    """
    try:
        if not document.isascii():
            document.decode()  # the decoder does not look into what it cuts out
        return _FIELDS.decode(document)
    except (ValueError, RecursionError):
        decoded = loads_tolerant(document)
    if not isinstance(decoded, dict):
        raise NotAnObject("not an object")
    return {name: _cut_all(value) if isinstance(value, list) else value for name, value in decoded.items()}


def objects_of(array: msgspec.Raw) -> list[RawFields]:
    """The objects in an array that was cut out, cut into fields; whatever else is in it is left out."""
    try:
        return _OBJECTS.decode(array)
    except (ValueError, RecursionError):
        return [entry for entry in _cut_all(loads_tolerant(bytes(array))) if isinstance(entry, dict)]


def _cut_all(values: list[Any]) -> list[Any]:
    return [
        {name: msgspec.Raw(dumps(field)) for name, field in value.items()} if isinstance(value, dict) else value
        for value in values
    ]


def decoded(values: list[Any]) -> list[Any]:
    """An array of `fields_of` without anything cut."""
    return [
        {name: loads(field) for name, field in value.items()} if isinstance(value, dict) else value for value in values
    ]


def dumps(value: Any) -> bytes:
    """Encode as compact UTF-8 JSON; lone surrogates become escapes rather than an error, `Raw` stands for itself."""
    try:
        return msgspec.json.encode(value)
    except UnicodeEncodeError:
        return json.dumps(value, ensure_ascii=True, separators=(",", ":"), allow_nan=False, default=_opened).encode()


def _opened(value: object) -> Any:
    if isinstance(value, msgspec.Raw):
        return loads(value)
    raise TypeError(f"{type(value).__name__} is no JSON value")


def dumps_each(values: Sequence[str | msgspec.Raw]) -> list[bytes]:
    """Encode several texts at the price of little more than one."""
    try:
        # One line each; a JSON text holds no line break.
        return _ENCODER.encode_lines(values).split(b"\n")[:-1]
    except UnicodeEncodeError:
        return [dumps(value) for value in values]


_ENCODER = msgspec.json.Encoder()
_OBJECTS = msgspec.json.Decoder(list[RawFields])
_Plain = None | bool | int | float | str
_FIELDS = msgspec.json.Decoder(dict[str, _Plain | list[_Plain | RawFields] | dict[str, Any]])


class StructDecoder(Generic[T]):
    """Decodes documents of one type, a `msgspec.Struct`, without building what the type does not name."""

    def __init__(self, kind: type[T]) -> None:
        self._kind = kind
        self._one = msgspec.json.Decoder(kind)
        self._many = msgspec.json.Decoder(list[kind])  # type: ignore[valid-type]  # a type that is a value

    def read(self, document: bytes) -> T:
        """One document. Raises InvalidJSON, WrongShape for JSON of another type."""
        try:
            return self._one.decode(document)
        except msgspec.ValidationError as error:
            raise WrongShape(f"not of the right shape: {error}") from None
        except (ValueError, RecursionError):
            return self._read_tolerant(document)

    def decode_strict(self, document: bytes) -> T | None:
        """One document; None when it is of another type, not UTF-8, or holds lone surrogates."""
        try:
            if not document.isascii():
                document.decode()  # the decoder does not look into what it cuts out
            return self._one.decode(document)
        except (ValueError, RecursionError):
            return None

    def decode_joined(self, documents: bytes | memoryview, count: int) -> list[T] | None:
        """Several documents, joined by commas, at the price of little more than one.

        None when they are not exactly `count` exact ones; exact ones hold no lone surrogates.
        """
        try:
            values = self._many.decode(b"".join((b"[", documents, b"]")))
        except (ValueError, RecursionError):
            return None
        return values if len(values) == count else None

    def _read_tolerant(self, document: bytes) -> T:
        return converted(loads_tolerant(document), self._kind)


def converted(value: Any, kind: type[T]) -> T:
    """A decoded value as `kind`, checked and not coerced. Raises WrongShape."""
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        raise WrongShape(f"not of the right shape: {error}") from None
    except UnicodeEncodeError:  # a lone surrogate in a name, or where no text is expected
        text = json.dumps(value, ensure_ascii=False).encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        return converted(json.loads(text), kind)
