import pytest

from gateway.access.scopes import ScopePolicy, parse_scopes
from gateway.core.identity import ALL_SCOPES

HEADER = "x-openclaw-scopes"


@pytest.mark.parametrize(
    ("values", "scopes"),
    [
        ([], ALL_SCOPES),
        ([""], set()),
        ([","], set()),
        (["operator.read"], {"operator.read"}),
        (["operator.read,operator.write"], {"operator.read", "operator.write"}),
        ([" operator.read , operator.write "], {"operator.read", "operator.write"}),
        (["operator.read operator.write"], {"operator.read operator.write"}),
        (["OPERATOR.WRITE"], {"OPERATOR.WRITE"}),
        (["operator.read", "operator.write"], {"operator.read", "operator.write"}),
        (["", "operator.read"], {"operator.read"}),
        (["somebody.elses"], {"somebody.elses"}),
    ],
)
@pytest.mark.parametrize("name", [None, "alice"])
def test_the_header_declares_exactly_the_scopes(headers, name, values, scopes):
    principal = ScopePolicy().principal(name, headers(*((HEADER, value) for value in values)))
    assert principal.scopes == scopes
    assert principal.name == name
    assert not principal.shared_secret


@pytest.mark.parametrize(
    ("values", "owner"),
    [([], True), (["operator.admin"], True), (["operator.write"], False), ([""], False)],
)
def test_only_who_has_admin_is_an_owner(headers, values, owner):
    assert ScopePolicy().principal("alice", headers(*((HEADER, value) for value in values))).owner is owner


@pytest.mark.parametrize(
    ("values", "scopes"),
    [
        ([], {"operator.write"}),
        (["operator.write"], {"operator.write"}),
        (["operator.read"], {"operator.read"}),
        (["operator.admin"], set()),
        (["operator.admin,operator.read"], {"operator.read"}),
        ([""], set()),
    ],
)
def test_identity_scopes_are_a_ceiling_for_listed_users(headers, values, scopes):
    policy = ScopePolicy({"alice": frozenset({"operator.write"})})
    assert policy.principal("alice", headers(*((HEADER, value) for value in values))).scopes == scopes


def test_users_that_are_not_listed_keep_the_full_set(headers):
    policy = ScopePolicy({"alice": frozenset()})
    assert policy.principal("bob", headers()).scopes == ALL_SCOPES
    assert policy.principal("Alice", headers()).scopes == ALL_SCOPES
    assert policy.principal("alice", headers()).scopes == set()


def test_callers_never_share_a_cached_principal(headers):
    policy = ScopePolicy()
    same = headers((HEADER, "operator.read"))
    assert [policy.principal(name, same).name for name in ("alice", "bob", None, "alice")] == [
        "alice",
        "bob",
        None,
        "alice",
    ]


def test_endless_headers_are_read_but_not_kept(headers):
    text = ",".join(f"scope.{number}" for number in range(500))
    assert ScopePolicy().principal("alice", headers((HEADER, text))).scopes == parse_scopes(text)
