import pytest

from openclaw_ratelimit import PolicyError, QuotaPolicy, UsageError
from openclaw_ratelimit.quota_policy import shares_of

ALICE = (("identity", "alice"), ("agent", "main"), ("model", "openai/gpt-5.4"))
BOB = (("identity", "bob"), ("agent", "main"), ("model", "openai/gpt-5.4-mini"))


def keys(policy, *askers):
    return [share.key for asker in askers for share in shares_of([policy], asker)]


def test_each_value_of_what_a_policy_is_per_has_a_key_of_its_own():
    alice, bob = keys(QuotaPolicy("caller", "requests", 5, per=("identity",)), ALICE, BOB)
    assert alice != bob
    alice, bob = keys(QuotaPolicy("agent", "requests", 5, per=("agent",)), ALICE, BOB)
    assert alice == bob
    alice, bob = keys(QuotaPolicy("both", "requests", 5, per=("agent", "model")), ALICE, BOB)
    assert alice != bob


def test_without_per_all_share_one_key():
    alice, bob = keys(QuotaPolicy("all", "requests", 5), ALICE, BOB)
    assert alice == bob


def test_values_can_not_be_shifted_from_one_attribute_into_another():
    policy = QuotaPolicy("both", "requests", 5, per=("a", "b"))
    assert keys(policy, (("a", "x"), ("b", "y"))) != keys(policy, (("a", "xy"), ("b", "")))


def test_a_key_tells_no_names():
    (key,) = keys(QuotaPolicy("caller", "requests", 5, per=("identity",)), ALICE)
    assert "alice" not in key


def test_a_key_outlives_a_change_of_the_amount():
    few, many = (QuotaPolicy("caller", "requests", amount, per=("identity",)) for amount in (5, 50))
    assert keys(few, ALICE) == keys(many, ALICE)


@pytest.mark.parametrize(
    ("only", "applies"),
    [
        ({}, True),
        ({"identity": ("alice",)}, True),
        ({"identity": ("carol", "alice")}, True),
        ({"identity": ("ali",)}, False),
        ({"model": ("openai/*",)}, True),
        ({"model": ("openai/gpt-5.4",)}, True),
        ({"model": ("ollama/*",)}, False),
        ({"identity": ("alice",), "model": ("ollama/*",)}, False),
    ],
)
def test_filters_restrict_a_policy(only, applies):
    assert bool(keys(QuotaPolicy("some", "requests", 5, only=only), ALICE)) is applies


@pytest.mark.parametrize("names", [{"per": ("adress",)}, {"only": {"team": ("red",)}}])
def test_an_attribute_that_a_policy_needs_and_that_is_missing_is_an_error(names):
    with pytest.raises(UsageError, match=r"looks at the attribute '(adress|team)', but only 'identity'"):
        keys(QuotaPolicy("some", "requests", 5, **names), ALICE)


def test_of_policies_with_one_name_the_first_that_applies_counts():
    policies = [
        QuotaPolicy("caller", "requests", 100, per=("identity",), only={"identity": ("alice",)}),
        QuotaPolicy("caller", "requests", 5, per=("identity",)),
        QuotaPolicy("everybody", "requests", 1000),
    ]
    assert [share.policy.amount for share in shares_of(policies, ALICE)] == [100, 1000]
    assert [share.policy.amount for share in shares_of(policies, BOB)] == [5, 1000]


@pytest.mark.parametrize(("amount", "window"), [(0, 60), (-1, 60), (1, 0)])
def test_numbers_that_make_no_sense_are_refused(amount, window):
    with pytest.raises(PolicyError, match="caller: "):
        QuotaPolicy("caller", "requests", amount, window)
