"""What models cost: the generated table `prices.json`, and `cost` of a configured model, which wins."""

from collections.abc import Mapping
from typing import Any

from gateway.config.providers import CostConfig, TierConfig
from gateway.core.price import PICODOLLARS, Price, Rates, Tier
from gateway.upstream.catalog import model_rows

CONFIGURED = "configuration"
"""The source of a price that the configuration sets."""


def known_prices(provider: str) -> dict[str, Price]:
    """The prices of a built-in provider's models, embedding models included, by id."""
    return {model: _price(row) for model, row in model_rows("prices", provider).items()}


def configured_price(cost: CostConfig, known: Price | None) -> Price | None:
    """The price of a configured model; `known` is the catalogue's, which gives the rates that are not configured.

    The catalogue's tiers do not apply beside a configured rate. Without any rate the catalogue's price holds.
    """
    flat = (cost.input, cost.output, cost.cache_read, cost.cache_write, cost.cache_write_1h)
    if not cost.tiered_pricing and all(rate is None for rate in flat):
        return known
    tiers = sorted((_tier(tier, cost) for tier in cost.tiered_pricing), key=lambda tier: tier.prompt)
    base = known.rates if known else Rates()
    own = [None if rate is None else _pico(rate) for rate in flat]
    merged = [
        mine if mine is not None else theirs
        for mine, theirs in zip(
            own, (base.input, base.output, base.cache_read, base.cache_write, base.cache_write_1h), strict=True
        )
    ]
    first = tiers[0].rates if tiers and all(rate is None for rate in flat) else Rates(*merged)
    return Price(first, tuple(tiers), CONFIGURED)


def _tier(tier: TierConfig, cost: CostConfig) -> Tier:
    """A configured tier; a rate that it does not set is that of `cost`."""
    both = (
        (tier.input, cost.input),
        (tier.output, cost.output),
        (tier.cache_read, cost.cache_read),
        (tier.cache_write, cost.cache_write),
        (tier.cache_write_1h, cost.cache_write_1h),
    )
    known = (own if own is not None else flat for own, flat in both)
    return Tier(int(tier.range[0]), Rates(*(None if rate is None else _pico(rate) for rate in known)))


def _price(row: Mapping[str, Any]) -> Price:
    tiers = (Tier(tier["above"] + 1, _rates(tier)) for tier in row.get("tiers", ()))
    return Price(_rates(row), tuple(tiers), row["source"], row["date"])


def _rates(row: Mapping[str, Any]) -> Rates:
    names = ("input", "output", "cacheRead", "cacheWrite", "cacheWrite1h")
    return Rates(*(None if row.get(name) is None else _pico(row[name]) for name in names))


def _pico(dollars: float) -> int:
    """Dollars per million tokens as picodollars per token."""
    return round(dollars * PICODOLLARS)
