"""JSON in and out: the fast codec first, a tolerant one only where the fast one refuses what is still JSON.

orjson refuses lone surrogates, which RFC 8259 §8.2 permits in escapes and which providers emit when they cut an emoji
in two. NaN and infinities are not JSON and are refused by both.
"""

import json
from collections.abc import Sequence
from typing import Any

import orjson


class InvalidJSON(ValueError):
    """Not JSON; the message says where, without quoting the text."""


def _refuse(constant: str) -> Any:
    raise InvalidJSON(f"{constant} is not valid JSON")


def loads(data: bytes) -> Any:
    """Decode UTF-8 JSON. Raises InvalidJSON."""
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        return loads_tolerant(data)


def loads_each(documents: Sequence[bytes]) -> tuple[list[Any], bool]:
    """Decode several documents at the price of little more than one; and whether all of them were exact.

    Exact ones hold no lone surrogates. Raises InvalidJSON.
    """
    try:
        values = orjson.loads(b"[" + b",".join(documents) + b"]")
    except orjson.JSONDecodeError:
        values = []
    if len(values) == len(documents):
        return values, True
    return [loads_tolerant(document) for document in documents], False


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
        return orjson.dumps(value)
    except TypeError:
        return json.dumps(value, ensure_ascii=True, separators=(",", ":"), allow_nan=False).encode()
