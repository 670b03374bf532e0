import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from gateway.access.scopes import ScopePolicy, parse_scopes
from gateway.core.identity import ALL_SCOPES, granted

HEADER = "x-openclaw-scopes"
SOME = [*sorted(ALL_SCOPES), "operator.*", "somebody.elses", ""]


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
def test_only_a_caller_with_admin_is_an_owner(headers, values, owner):
    assert ScopePolicy().principal("alice", headers(*((HEADER, value) for value in values))).owner is owner


@pytest.mark.parametrize(
    ("values", "scopes"),
    [
        ([], {"operator.write"}),
        (["operator.write"], {"operator.read", "operator.write"}),
        (["operator.read"], {"operator.read"}),
        (["operator.admin"], {"operator.read", "operator.write"}),
        (["operator.admin,operator.read"], {"operator.read", "operator.write"}),
        (["operator.approvals"], set()),
        (["OPERATOR.WRITE"], set()),
        (["*"], set()),
        ([""], set()),
    ],
)
def test_a_user_with_identity_scopes_has_these_and_may_narrow_them(headers, values, scopes):
    policy = ScopePolicy({"alice": frozenset({"operator.write"})})
    assert policy.principal("alice", headers(*((HEADER, value) for value in values))).scopes == scopes


@pytest.mark.parametrize("name", ["bob", "Alice", "alice ", "", None])
@pytest.mark.parametrize("pairs", [(), ((HEADER, "operator.admin"),)])
def test_with_identity_scopes_all_other_users_have_none(headers, name, pairs):
    for identity_scopes in ({}, {"alice": ALL_SCOPES, "None": ALL_SCOPES}):
        principal = ScopePolicy(identity_scopes).principal(name, headers(*pairs))
        assert (principal.scopes, principal.owner) == (set(), False)


@given(identity_scopes=st.sets(st.sampled_from(SOME)), declared=st.lists(st.sampled_from(SOME)))
def test_no_header_widens_identity_scopes(identity_scopes, declared):
    policy = ScopePolicy({"alice": frozenset(identity_scopes)})
    plain = policy.principal("alice", CIMultiDict())
    narrowed = policy.principal("alice", CIMultiDict({HEADER: ",".join(declared)}))
    asked = granted(frozenset(declared))
    for scope in ALL_SCOPES:
        assert plain.allows(scope) is (scope in granted(frozenset(identity_scopes)))
        assert narrowed.allows(scope) is (plain.allows(scope) and scope in asked)
    assert not narrowed.owner or plain.owner


def test_callers_never_share_a_cached_principal(headers):
    policy = ScopePolicy()
    same = headers((HEADER, "operator.read"))
    assert [policy.principal(name, same).name for name in ("alice", "bob", None, "alice")] == [
        "alice",
        "bob",
        None,
        "alice",
    ]


def test_long_headers_are_read_but_not_cached(headers):
    text = ",".join(f"scope.{number}" for number in range(500))
    assert ScopePolicy().principal("alice", headers((HEADER, text))).scopes == parse_scopes(text)
