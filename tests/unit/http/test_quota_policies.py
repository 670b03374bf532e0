import pytest

from gateway.config.limits import LimitConfig
from gateway.http.quota_policies import policies_from


def test_each_amount_of_a_rule_is_a_policy():
    rule = LimitConfig(requests_per_minute=60, tokens_per_minute=90_000, concurrent_runs=4)
    assert [(policy.name, policy.counts, policy.amount, policy.window) for policy in policies_from([rule])] == [
        ("identity-requests", "requests", 60, 60),
        ("identity-tokens", "tokens", 90_000, 60),
        ("identity-runs", "runs", 4, 60),
    ]
    assert {policy.per for policy in policies_from([rule])} == {("identity",)}


def test_filters_are_kept_and_users_can_not_be_taken_for_anybody_else():
    rule = LimitConfig(identities=["owner"], agents=["Main"], models=["OpenAI/*"], concurrent_runs=1)
    (policy,) = policies_from([rule])
    assert policy.only == {"identity": ("user:owner",), "agent": ("main",), "model": ("openai/*",)}


@pytest.mark.parametrize(
    ("rules", "names"),
    [
        ([{"per": []}], ["all-runs"]),
        ([{"per": ["identity", "model"]}], ["identity-model-runs"]),
        ([{}, {}, {}], ["identity-runs", "identity-2-runs", "identity-3-runs"]),
        ([{}, {"name": "identity"}], ["identity-2-runs", "identity-runs"]),
        ([{"name": "guests"}, {"name": "guests"}], ["guests-runs", "guests-runs"]),
    ],
)
def test_rules_without_a_name_never_share_one(rules, names):
    policies = policies_from([LimitConfig(**rule, concurrent_runs=1) for rule in rules])
    assert [policy.name for policy in policies] == names
