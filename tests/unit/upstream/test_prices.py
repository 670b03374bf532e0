"""The prices of models: the generated table, and the configuration, which wins."""

import datetime as dt

import pytest
from pydantic import ValidationError

from gateway.config.providers import CostConfig, ModelsConfig
from gateway.core.price import Price, Rates, Tier, cost
from gateway.core.usage import Usage
from gateway.upstream.catalog import CATALOG, model_rows
from gateway.upstream.configured import providers_from
from gateway.upstream.prices import CONFIGURED, configured_price, known_prices

KNOWN = Price(
    Rates(3_000_000, 15_000_000, 300_000), (Tier(200_001, Rates(6_000_000, 22_000_000)),), "list", "2026-01-01"
)


def prices(name="openai", mode="merge", **row):
    rows = {name: row} if row else {}
    env = {"OPENAI_API_KEY": "k"}
    return providers_from(ModelsConfig.model_validate({"mode": mode, "providers": rows}), env, [name])[name].prices


def configured(known=KNOWN, **cost):
    return configured_price(CostConfig.model_validate(cost), known)


def test_a_built_in_model_has_the_price_of_the_table():
    price = prices()["gpt-4o"]
    assert cost(Usage(1_000_000, 1_000_000), price) == 12_500_000_000  # 2.5 $ and 10 $, since 2024
    assert price.source
    assert dt.date.fromisoformat(price.date)


def test_an_embedding_model_has_a_price_too():
    assert cost(Usage(1_000_000), prices()["text-embedding-3-small"]) == 20_000_000  # 0.02 $


def test_a_model_that_the_table_does_not_list_has_no_price():
    assert "gpt-of-tomorrow" not in prices()


def test_every_price_of_the_table_is_of_a_model_of_the_catalogue_and_above_zero():
    rows = [(name, model, price) for name in CATALOG for model, price in known_prices(name).items()]
    assert len(rows) > 1000
    for name, model, price in rows:
        assert model in model_rows("models", name), f"{name}/{model}"
        assert price.rates.input, f"{name}/{model}"
        assert price.source, f"{name}/{model}"
        assert dt.date.fromisoformat(price.date)
        assert [tier.prompt for tier in price.tiers] == sorted({tier.prompt for tier in price.tiers})


def test_a_provider_at_another_host_does_not_have_the_prices_of_the_table():
    assert prices(baseUrl="https://other.example/v1", models=[{"id": "gpt-4o"}]) == {}


def test_a_configured_cost_replaces_the_tables_rates_one_by_one_and_its_tiers():
    assert configured(input=1, cacheWrite1h=2) == Price(
        Rates(1_000_000, 15_000_000, 300_000, None, 2_000_000), (), CONFIGURED
    )


def test_without_a_configured_cost_the_price_of_the_table_holds():
    assert configured() is KNOWN
    assert configured(None) is None


def test_a_configured_zero_is_a_price():
    free = configured(input=0, output=0, cacheRead=0, cacheWrite=0)
    assert cost(Usage(10, 10, cached=5), free) == 0


def test_a_rate_that_nobody_knows_makes_the_cost_unknown():
    assert cost(Usage(10, 10), configured(None, input=1)) is None


def test_configured_tiers_apply_from_the_first_token_of_their_range():
    tiers = [
        {"input": 2, "output": 4, "cacheRead": 0.2, "cacheWrite": 0, "range": [1000]},
        {"input": 1, "output": 2, "cacheRead": 0.1, "cacheWrite": 0, "range": [0, 1000]},
    ]
    price = configured(tieredPricing=tiers)
    assert cost(Usage(999), price) == 999_000
    assert cost(Usage(1000), price) == 2_000_000


def test_a_model_row_of_the_configuration_has_its_price():
    row = {"baseUrl": "http://127.0.0.1:9/v1", "models": [{"id": "mine", "cost": {"input": 1, "output": 2}}]}
    assert prices("local", mode="replace", **row) == {"mine": Price(Rates(1_000_000, 2_000_000), (), CONFIGURED)}


@pytest.mark.parametrize("value", [-1, float("inf"), 10**7, "3"])
def test_a_price_that_can_not_be_is_an_error_that_names_its_key(value):
    with pytest.raises(ValidationError, match=r"(?s)cacheRead.*Input should be|cacheRead.*finite"):
        CostConfig.model_validate({"cacheRead": value}, strict=True)
