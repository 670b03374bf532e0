"""What tokens cost. Prices are integers, so that sums are exact: picodollars per token, nanodollars per answer.

A dollar per million tokens is 1,000,000 picodollars (10^-12 US dollars) per token.
"""

from msgspec import Struct

from gateway.core.usage import Usage

PICODOLLARS = 1_000_000
"""One dollar per million tokens, in picodollars per token."""
NANODOLLARS = 1_000_000_000
"""One dollar in nanodollars, the unit of every cost."""


class Rates(Struct, frozen=True):
    """Picodollars per token of each kind; None if unknown. `cache_write_1h` is for what a cache stores for an hour.

    Cached tokens without a rate of their own cost as much as others. Storing for an hour costs 1.6 times as much as for
    five minutes: Anthropic, whose format alone reports it, charges 2 and 1.25 times the input rate.
    """

    input: int | None = None
    output: int | None = None
    cache_read: int | None = None
    cache_write: int | None = None
    cache_write_1h: int | None = None

    def of_prompt(self) -> tuple[int | None, int | None, int | None, int | None]:
        """The rates of input, cache reads, and cache writes for five minutes and for an hour."""
        plain, write, long = self.input, self.cache_write, self.cache_write_1h
        read = plain if self.cache_read is None else self.cache_read
        if write is None:
            return plain, read, plain, plain if long is None else long
        return plain, read, write, write * 8 // 5 if long is None else long


class Tier(Struct, frozen=True):
    """Rates of requests whose whole prompt has at least `prompt` tokens."""

    prompt: int
    rates: Rates


class Price(Struct, frozen=True):
    """The price of one model at one provider. `tiers` ascend and replace `rates` for longer prompts.

    `source` names where the price is from, and `date` (YYYY-MM-DD) when it was read there; "" if configured.
    """

    rates: Rates
    tiers: tuple[Tier, ...] = ()
    source: str = ""
    date: str = ""

    def rates_for(self, prompt: int) -> Rates:
        """The rates of a request with `prompt` tokens, cached ones included. All of its tokens cost the same rates."""
        for tier in reversed(self.tiers):
            if prompt >= tier.prompt:
                return tier.rates
        return self.rates


def cost(usage: Usage, price: Price | None) -> int | None:
    """What the answer costs in nanodollars (10^-9 US dollars), rounded half up.

    None if the price is unknown, or that of a kind of token that was used: an unknown price is never 0.
    """
    if price is None:
        return None
    known = price.rates_for(usage.prompt) if price.tiers else price.rates
    if not (usage.cached or usage.cache_write) and known.input is not None and known.output is not None:
        return (usage.prompt * known.input + usage.completion * known.output + 500) // 1000  # so are most answers
    plain, read, write, hour = known.of_prompt()
    long = min(usage.cache_write_1h, usage.cache_write)
    total = 0
    for tokens, rate in (
        (max(usage.prompt - usage.cached - usage.cache_write, 0), plain),
        (usage.cached, read),
        (usage.cache_write - long, write),
        (long, hour),
        (usage.completion, known.output),
    ):
        if tokens:
            if rate is None:
                return None
            total += tokens * rate
    return (total + 500) // 1000
