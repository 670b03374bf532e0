"""What an answer costs: exact integers, and None when any price that is needed is unknown."""

import pytest

from gateway.core.price import Price, Rates, Tier, cost
from gateway.core.usage import Usage

# 3 $, 15 $, 0.3 $, 3.75 $ and 6 $ for a million tokens.
SONNET = Price(Rates(3_000_000, 15_000_000, 300_000, 3_750_000, 6_000_000))


@pytest.mark.parametrize(
    ("usage", "nanodollars"),
    [
        (Usage(), 0),
        (Usage(1_000_000, 0), 3_000_000_000),
        (Usage(1000, 100), 3_000_000 + 1_500_000),
        (Usage(1000, 0, cached=400), 600 * 3_000 + 400 * 300),
        (Usage(1000, 0, cached=400, cache_write=500), 100 * 3_000 + 400 * 300 + 500 * 3_750),
        (Usage(1000, 0, cache_write=1000, cache_write_1h=400), 600 * 3_750 + 400 * 6_000),
    ],
)
def test_each_kind_of_token_costs_its_own_rate(usage, nanodollars):
    assert cost(usage, SONNET) == nanodollars


def test_reasoning_is_part_of_the_completion_and_costs_nothing_more():
    assert cost(Usage(0, 100, reasoning=80), SONNET) == cost(Usage(0, 100), SONNET)


def test_a_cost_is_rounded_half_up_to_a_nanodollar():
    price = Price(Rates(37_500, 0))  # 0.0375 $ for a million tokens
    assert cost(Usage(1), price) == 38
    assert cost(Usage(1000), price) == 37_500


@pytest.mark.parametrize("usage", [Usage(1, 1), Usage(0, 1)])
def test_an_unknown_price_is_none_and_never_zero(usage):
    assert cost(usage, None) is None
    assert cost(usage, Price(Rates(1000, None))) is None


def test_a_rate_that_is_not_needed_may_be_unknown():
    assert cost(Usage(10, 0), Price(Rates(20_000, None))) == 200  # an embedding has no completion


def test_a_free_model_costs_zero():
    assert cost(Usage(10, 10), Price(Rates(0, 0))) == 0


def test_cached_tokens_without_a_rate_of_their_own_cost_as_much_as_others():
    price = Price(Rates(2_000_000, 0))
    assert cost(Usage(100, 0, cached=30, cache_write=30, cache_write_1h=10), price) == 100 * 2_000


def test_an_hour_in_the_cache_costs_1_6_times_five_minutes_if_its_rate_is_unknown():
    price = Price(Rates(4_000_000, 0, cache_write=5_000_000))
    assert cost(Usage(10, 0, cache_write=10, cache_write_1h=10), price) == 80_000


@pytest.mark.parametrize(("prompt", "rate"), [(200_000, 3_000), (200_001, 6_000), (499_999, 6_000), (500_000, 9_000)])
def test_a_long_prompt_costs_the_rates_of_its_tier_for_all_of_its_tokens(prompt, rate):
    tiers = (Tier(200_001, Rates(6_000_000, 0)), Tier(500_000, Rates(9_000_000, 0)))
    assert cost(Usage(prompt), Price(Rates(3_000_000, 0), tiers)) == prompt * rate


def test_the_tier_counts_cached_tokens_too():
    price = Price(Rates(1_000_000, 0, 0), (Tier(100, Rates(2_000_000, 0, 0)),))
    assert cost(Usage(100, 0, cached=90), price) == 10 * 2_000
