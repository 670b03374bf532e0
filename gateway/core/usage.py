"""Token counts of one answer, independent of wire formats."""

from msgspec import Struct


class Usage(Struct, frozen=True):
    """Tokens. `prompt` includes `cached` (read from a cache) and `cache_write` (written to one).

    `cache_write_1h` is the part of `cache_write` that is stored for an hour instead of five minutes. `reasoning` is the
    part of `completion` that the model used for reasoning, None if the provider does not report it.
    """

    prompt: int = 0
    completion: int = 0
    total: int = 0
    cached: int = 0
    reasoning: int | None = None
    cache_write: int = 0
    cache_write_1h: int = 0

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
        )


NO_USAGE = Usage()
