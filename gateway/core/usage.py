"""Token counts of one answer, independent of wire formats."""

from collections.abc import Mapping
from typing import Any

from msgspec import Struct


class Usage(Struct, frozen=True):
    """Tokens. `prompt` includes `cached` (read from a cache) and `cache_write` (written to one).

    `cache_write_1h` is the part of `cache_write` that is stored for an hour instead of five minutes. `reasoning` is the
    part of `completion` that the model used for reasoning, None if the provider does not report it. `others` are the
    further fields of a usage object of OpenAI's chat format, such as a cost; numbers in them add up.
    """

    prompt: int = 0
    completion: int = 0
    total: int = 0
    cached: int = 0
    reasoning: int | None = None
    cache_write: int = 0
    cache_write_1h: int = 0
    others: Mapping[str, Any] | None = None

    def __add__(self, other: "Usage") -> "Usage":
        known = [count for count in (self.reasoning, other.reasoning) if count is not None]
        return Usage(
            self.prompt + other.prompt,
            self.completion + other.completion,
            self.total + other.total,
            self.cached + other.cached,
            sum(known) if known else None,
            self.cache_write + other.cache_write,
            self.cache_write_1h + other.cache_write_1h,
            _sum(self.others, other.others),
        )


def _sum(one: Mapping[str, Any] | None, other: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    if not (one and other):
        return one or other
    return {**one, **{name: _total(one.get(name), value) for name, value in other.items()}}


def _total(one: Any, other: Any) -> Any:
    if isinstance(one, dict) and isinstance(other, dict):
        return _sum(one, other)
    if type(one) in (int, float) and type(other) in (int, float):
        return one + other
    return one if other is None else other


NO_USAGE = Usage()
