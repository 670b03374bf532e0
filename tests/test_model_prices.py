"""The script that generates the table of prices stops where its sources disagree."""

import datetime as dt
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "scripts"))

from model_prices import Merge, litellm_tiers, row

WAIVER = {"models": "openai/*", "use": "litellm", "why": "a test"}


@pytest.mark.parametrize("second", [1.0, 1.009])
def test_sources_that_agree_are_merged(second):
    merge = Merge([])
    tiers, source = merge.price(
        "openai/m", {0: {"input": 1.0, "cacheRead": 0.1}}, {0: {"input": second, "output": 2.0}}
    )
    assert tiers == {0: {"input": second, "cacheRead": 0.1, "output": 2.0}}
    assert source == "genai-prices, litellm"
    assert merge.problems() == []


def test_sources_that_differ_by_more_than_one_per_cent_are_a_problem_and_give_no_price():
    merge = Merge([])
    assert merge.price("openai/m", {0: {"input": 1.0}}, {0: {"input": 1.02}}) is None
    (problem,) = merge.problems()
    assert "openai/m: input above 0 tokens is 1.0 at litellm and 1.02 at genai-prices" in problem


def test_tiers_that_differ_are_a_problem_too():
    merge = Merge([])
    base = {"input": 1.0}
    assert merge.price("openai/m", {0: base, 1000: {"input": 2.0}}, {0: base, 1000: {"input": 3.0}}) is None
    assert len(merge.problems()) == 1


@pytest.mark.parametrize(("use", "price"), [("litellm", 1.0), ("genai-prices", 2.0)])
def test_a_waiver_names_the_source_to_trust(use, price):
    merge = Merge([WAIVER | {"use": use}])
    assert merge.price("openai/m", {0: {"input": 1.0}}, {0: {"input": 2.0}}) == ({0: {"input": price}}, use)
    assert merge.problems() == []


def test_a_waiver_can_say_that_the_price_is_unknown():
    assert Merge([WAIVER | {"use": "none"}]).price("openai/m", {0: {"input": 1.0}}, {0: {"input": 2.0}}) is None


def test_a_waiver_that_is_no_longer_needed_is_a_problem():
    merge = Merge([WAIVER])
    merge.price("openai/m", {0: {"input": 1.0}}, {0: {"input": 1.0}})
    assert merge.problems() == ["the waiver for openai/* is no longer needed; remove it"]


def test_a_row_of_litellm_gives_dollars_per_million_tokens_by_tier():
    values = {
        "input_cost_per_token": 3e-06,
        "cache_creation_input_token_cost_above_1hr": 6e-06,
        "input_cost_per_token_above_200k_tokens": 6e-06,
        "input_cost_per_token_above_200k_tokens_batches": 1e-06,
    }
    assert litellm_tiers(values) == {0: {"input": 3.0, "cacheWrite1h": 6.0}, 200_000: {"input": 6.0}}


def test_a_tier_of_the_table_repeats_the_rates_that_it_does_not_change():
    tiers = {0: {"input": 1.0, "output": 2.0}, 100: {"input": 3.0}}
    assert row(tiers, "litellm", dt.date(2026, 1, 2)) == {
        "input": 1.0,
        "output": 2.0,
        "tiers": [{"above": 100, "input": 3.0, "output": 2.0}],
        "source": "litellm",
        "date": "2026-01-02",
    }
