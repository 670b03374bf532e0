"""JSON in and out: the fast codec first, a tolerant one only where the fast one refuses what is still JSON.

msgspec refuses lone surrogates, which RFC 8259 §8.2 permits in escapes and which providers emit when they cut an emoji
in two. NaN and infinities are not JSON and are refused by both.
"""

import json
from typing import Any, Generic, TypeVar

import msgspec

T = TypeVar("T")


class InvalidJSON(ValueError):
    """Not JSON, or not of the shape asked for; the message says where, without quoting the text."""


def _refuse(constant: str) -> Any:
    raise InvalidJSON(f"{constant} is not valid JSON")


def loads(data: bytes) -> Any:
    """Decode UTF-8 JSON. Raises InvalidJSON."""
    try:
        return msgspec.json.decode(data)
    except (ValueError, RecursionError):
        return loads_tolerant(data)


def loads_tolerant(data: bytes) -> Any:
    """Decode JSON that may hold lone surrogates, a byte order mark or broken UTF-8 (replaced). Raises InvalidJSON."""
    text = data.decode("utf-8", "replace").removeprefix("\ufeff")
    try:
        return json.loads(text, parse_constant=_refuse)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise InvalidJSON(f"not valid JSON at {where}") from None
    except RecursionError:
        raise InvalidJSON("JSON is nested too deeply") from None


def dumps(value: Any) -> bytes:
    """Encode as compact UTF-8 JSON; lone surrogates become escapes rather than an error."""
    try:
        return msgspec.json.encode(value)
    except UnicodeEncodeError:
        return json.dumps(value, ensure_ascii=True, separators=(",", ":"), allow_nan=False).encode()


def dumps_each(values: list[str]) -> list[bytes]:
    """Encode several texts at the price of little more than one."""
    try:
        # One line each; a JSON text holds no line break.
        return _ENCODER.encode_lines(values).split(b"\n")[:-1]
    except UnicodeEncodeError:
        return [dumps(value) for value in values]


_ENCODER = msgspec.json.Encoder()


class Shape(Generic[T]):
    """Decodes documents of one type, a `msgspec.Struct`, without building what the type does not name."""

    def __init__(self, kind: type[T]) -> None:
        self._kind = kind
        self._one = msgspec.json.Decoder(kind)
        self._many = msgspec.json.Decoder(list[kind])  # type: ignore[valid-type]  # a type that is a value

    def read(self, document: bytes) -> T:
        """One document. Raises InvalidJSON."""
        try:
            return self._one.decode(document)
        except msgspec.ValidationError as error:
            raise InvalidJSON(f"not of the right shape: {error}") from None
        except (ValueError, RecursionError):
            return self._read_tolerant(document)

    def read_joined(self, documents: bytes, count: int) -> list[T] | None:
        """Several documents, joined by commas, at the price of little more than one.

        None when they are not exactly `count` exact ones; exact ones hold no lone surrogates.
        """
        try:
            values = self._many.decode(b"[" + documents + b"]")
        except (ValueError, RecursionError):
            return None
        return values if len(values) == count else None

    def _read_tolerant(self, document: bytes) -> T:
        try:
            return msgspec.convert(loads_tolerant(document), self._kind)
        except msgspec.ValidationError as error:
            raise InvalidJSON(f"not of the right shape: {error}") from None
        except UnicodeEncodeError:  # a lone surrogate where no text is expected
            raise InvalidJSON("not of the right shape") from None
