"""The values of all secrets in a configuration, for the log, which must not hold them."""

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit

from pydantic import BaseModel, SecretStr


def secret_values(config: BaseModel) -> set[str]:
    """Every secret; of a URL its password, because its host may be in a log."""
    values: set[str] = set()
    for secret in _secrets(config):
        split = _url(secret)
        if split is None:
            values.add(secret)
        elif split.password:
            values |= {split.password, unquote(split.password)}
    return values


def _url(secret: str) -> SplitResult | None:
    """A secret that is a URL."""
    try:
        return urlsplit(secret) if "://" in secret else None
    except ValueError:  # it only looks like one
        return None


def _secrets(value: Any) -> Iterator[str]:
    if isinstance(value, SecretStr):
        yield value.get_secret_value()
    elif isinstance(value, BaseModel):
        for name in type(value).model_fields:
            yield from _secrets(getattr(value, name))
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _secrets(item)
    elif isinstance(value, list | tuple | set | frozenset):
        for item in value:
            yield from _secrets(item)
