import pytest

from gateway.core.identity import ALL_SCOPES, OWNER, Principal, Scope, granted, implies


def principal(*scopes: str) -> Principal:
    return Principal(name=None, scopes=frozenset(scopes), owner=False, shared_secret=False)


def test_the_full_set_is_openclaws_in_its_order():
    assert [scope.value for scope in Scope] == [
        "operator.admin",
        "operator.read",
        "operator.write",
        "operator.approvals",
        "operator.questions",
        "operator.pairing",
        "operator.talk.secrets",
    ]
    assert set(Scope) == ALL_SCOPES


@pytest.mark.parametrize(
    ("held", "asked", "allowed"),
    [
        ("operator.write", "operator.read", True),
        ("operator.admin", "operator.read", True),
        ("operator.admin", "operator.write", True),
        ("operator.admin", "operator.admin", True),
        ("operator.read", "operator.write", False),
        ("operator.write", "operator.admin", False),
        ("operator.admin", "operator.approvals", False),
        ("operator.approvals", "operator.read", False),
        ("OPERATOR.WRITE", "operator.write", False),
        ("somebody.elses", "somebody.elses", True),
    ],
)
def test_scopes_bring_what_they_imply_and_no_more(held, asked, allowed):
    assert principal(held).allows(asked) is allowed


def test_scope_members_and_plain_names_are_interchangeable():
    assert principal("operator.write").allows(Scope.READ)
    assert principal(Scope.WRITE).allows("operator.read")


def test_a_principal_without_scopes_may_do_nothing():
    assert not any(principal().allows(scope) for scope in Scope)


def test_the_owner_may_do_everything():
    assert all(OWNER.allows(scope) for scope in Scope)
    assert OWNER.owner
    assert OWNER.shared_secret
    assert OWNER.name is None


def test_principals_are_values():
    assert principal("a") == principal("a")
    assert hash(principal("a")) == hash(principal("a"))
    assert principal("a") != principal("b")


def test_unknown_scopes_imply_nothing():
    assert implies("somebody.elses") == frozenset()
    assert granted(frozenset({"operator.write"})) == {"operator.write", "operator.read"}
