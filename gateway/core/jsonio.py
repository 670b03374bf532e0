"""JSON decoding and encoding: msgspec first, and the standard library for valid JSON that msgspec refuses.

msgspec refuses lone surrogates. RFC 8259 §8.2 permits them in escapes, and providers send them when they split an emoji
between two events. Both codecs refuse NaN and infinities, which are not JSON.
"""

import json
from collections.abc import Sequence
from math import isinf
from typing import Any, Generic, TypeVar

import msgspec

T = TypeVar("T")

RawFields = dict[str, msgspec.Raw]
"""An object whose values are still JSON text."""

NOT_JSON = "not valid JSON at "
"""How the message of InvalidJSON begins for a text that is no JSON at all; its position follows."""


class InvalidJSON(ValueError):
    """Not JSON, or JSON of another shape. The message names the position but does not quote the text."""


class NotAnObject(InvalidJSON):
    """JSON, but not an object."""


class WrongShape(InvalidJSON):
    """JSON, but not of the expected type. The message comes from the decoder."""


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
    """Decode JSON with lone surrogates, a byte order mark or invalid UTF-8, which is replaced. Raises InvalidJSON."""
    text = data.decode("utf-8", "replace").removeprefix("\ufeff")
    try:
        return json.loads(text, parse_constant=_refuse, parse_float=_finite)
    except json.JSONDecodeError as error:
        position = f"line {error.lineno}, column {error.colno}"
        raise InvalidJSON(f"{NOT_JSON}{position}") from None
    except InvalidJSON:
        raise
    except ValueError:  # Python limits the digits of an integer (`sys.set_int_max_str_digits`)
        raise InvalidJSON("a number has too many digits") from None
    except RecursionError:
        raise InvalidJSON("JSON is nested too deeply") from None


def fields_of(document: bytes) -> dict[str, Any]:
    """The decoded fields of an object, but objects inside arrays stay RawFields.

    Raises InvalidJSON, and NotAnObject if the document is not an object. The raw parts are well-formed JSON in UTF-8;
    invalid UTF-8 is replaced, as in `loads_tolerant`.
    """
    try:
        if not document.isascii():
            document.decode()  # the decoder does not validate UTF-8 in raw parts
        return _FIELDS.decode(document)
    except (ValueError, RecursionError):
        decoded = loads_tolerant(document)
    if not isinstance(decoded, dict):
        raise NotAnObject("not an object")
    return {name: _to_raw_fields(value) if isinstance(value, list) else value for name, value in decoded.items()}


def entries_of(array: msgspec.Raw) -> list[Any]:
    """The values in a raw array; objects are RawFields."""
    try:
        return _OBJECTS.decode(array)
    except (ValueError, RecursionError):
        return _to_raw_fields(loads_tolerant(bytes(array)))


def only_objects_of(array: msgspec.Raw) -> list[RawFields]:
    """The objects in a raw array, as RawFields. Raises NotAnObject for any other value in it."""
    try:
        return _OBJECTS.decode(array)
    except (ValueError, RecursionError):
        entries = _to_raw_fields(loads_tolerant(bytes(array)))
    if not all(isinstance(entry, dict) for entry in entries):
        raise NotAnObject("not an array of objects")
    return entries


def _to_raw_fields(values: list[Any]) -> list[Any]:
    return [
        {name: msgspec.Raw(dumps(field)) for name, field in value.items()} if isinstance(value, dict) else value
        for value in values
    ]


def decoded(values: list[Any]) -> list[Any]:
    """An array from `fields_of` with its RawFields decoded."""
    return [
        {name: loads(field) for name, field in value.items()} if isinstance(value, dict) else value for value in values
    ]


def dumps(value: Any) -> bytes:
    """Encode as compact UTF-8 JSON. Lone surrogates become escapes. A `Raw` is written unchanged."""
    try:
        return msgspec.json.encode(value)
    except UnicodeEncodeError:
        return json.dumps(value, ensure_ascii=True, separators=(",", ":"), allow_nan=False, default=_load_raw).encode()


def _load_raw(value: object) -> Any:
    if isinstance(value, msgspec.Raw):
        return loads(value)
    raise TypeError(f"{type(value).__name__} is not a JSON value")


def dumps_each(values: Sequence[str | msgspec.Raw]) -> list[bytes]:
    """Encode several texts for little more than the cost of one."""
    try:
        # One line per text: compact JSON contains no line break.
        return _ENCODER.encode_lines(values).split(b"\n")[:-1]
    except UnicodeEncodeError:
        return [dumps(value) for value in values]


_ENCODER = msgspec.json.Encoder()
_OBJECTS: msgspec.json.Decoder[list[Any]] = msgspec.json.Decoder(list[RawFields])
_Plain = None | bool | int | float | str
_FIELDS = msgspec.json.Decoder(dict[str, _Plain | list[_Plain | RawFields] | dict[str, Any]])


class StructDecoder(Generic[T]):
    """Decodes documents of one type, a `msgspec.Struct`. Fields that the type does not name are not built."""

    def __init__(self, kind: type[T]) -> None:
        self._kind = kind
        self._one = msgspec.json.Decoder(kind)
        self._many = msgspec.json.Decoder(list[kind])  # type: ignore[valid-type]  # a type that is a value

    def read(self, document: bytes) -> T:
        """Decode one document. Raises InvalidJSON, and WrongShape for JSON of another type."""
        try:
            return self._one.decode(document)
        except msgspec.ValidationError as error:
            raise WrongShape(f"not of the right shape: {error}") from None
        except (ValueError, RecursionError):
            return self._read_tolerant(document)

    def decode_strict(self, document: bytes) -> T | None:
        """Decode one document. Returns None if it has another type, is not UTF-8, or contains lone surrogates."""
        try:
            if not document.isascii():
                document.decode()  # the decoder does not validate UTF-8 in raw parts
            return self._one.decode(document)
        except (ValueError, RecursionError):
            return None

    def decode_joined(self, documents: bytes | memoryview, count: int) -> list[T] | None:
        """Decode several documents, joined by commas, for little more than the cost of one.

        Returns None unless there are exactly `count` documents that `decode_strict` accepts.
        """
        try:
            values = self._many.decode(b"".join((b"[", documents, b"]")))
        except (ValueError, RecursionError):
            return None
        return values if len(values) == count else None

    def _read_tolerant(self, document: bytes) -> T:
        return converted(loads_tolerant(document), self._kind)


def converted(value: Any, kind: type[T]) -> T:
    """Convert a decoded value to `kind` without coercion. Raises WrongShape."""
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        raise WrongShape(f"not of the right shape: {error}") from None
    except UnicodeEncodeError:  # a lone surrogate in a field name, or in a value that must not be a text
        text = json.dumps(value, ensure_ascii=False).encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        return converted(json.loads(text), kind)
