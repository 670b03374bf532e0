"""Null means absent: removes the fields that are null from objects in a client's request."""

from typing import Any


def without_nulls(value: Any) -> Any:
    """The value without fields that are null, at every depth; nulls in arrays stay, because their order counts."""
    if isinstance(value, dict):
        return {name: without_nulls(one) for name, one in value.items() if one is not None}
    if isinstance(value, list):
        return [without_nulls(one) for one in value]
    return value
