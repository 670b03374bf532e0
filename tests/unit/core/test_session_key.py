import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.errors import BadRequest, MissingScope
from gateway.core.identity import ALL_SCOPES, OWNER, Principal
from gateway.core.session_key import SessionKey, check_session_header, parse_session_key, session_key

ALICE = Principal("alice@example.com", frozenset({"operator.write"}), owner=False, shared_secret=False)
ADMIN = Principal("root@example.com", ALL_SCOPES, owner=True, shared_secret=False, is_admin=True)


def key_of(header=None, user=None, *, endpoint="openai", agent="main", principal=OWNER):
    return session_key(header, user, endpoint=endpoint, agent=agent, principal=principal)


@pytest.mark.parametrize(
    ("asked", "printed"),
    [
        ({"user": "u1"}, "agent:main:openai-user:u1"),
        ({"user": " U1 "}, "agent:main:openai-user:u1"),
        ({"user": "u1", "endpoint": "openresponses"}, "agent:main:openresponses-user:u1"),
        ({"user": "u1", "agent": "research"}, "agent:research:openai-user:u1"),
        ({"header": " MyApp:thread1 "}, "agent:main:myapp:thread1"),
        ({"header": "agent:main:openai-user:u1"}, "agent:main:openai-user:u1"),
        ({"header": "main"}, "agent:main:main"),
        ({"header": "a/../b", "user": "ignored"}, "agent:main:a/../b"),
        ({"header": "k", "principal": ALICE}, "user:alice%40example.com:agent:main:k"),
        ({"user": "u1", "principal": ALICE}, "user:alice%40example.com:agent:main:openai-user:u1"),
        ({"header": "agent:main:k", "principal": ALICE}, "user:alice%40example.com:agent:main:k"),
        ({"header": "user:bob", "principal": ALICE}, "user:alice%40example.com:agent:main:user:bob"),
        ({"header": "x" * 600}, "agent:main:" + "x" * 600),
    ],
)
def test_keys_have_the_recorded_form(asked, printed):
    assert str(key_of(**asked)) == printed


@pytest.mark.parametrize("asked", [{}, {"user": ""}, {"user": "  "}, {"header": " "}, {"header": "", "user": None}])
def test_a_request_without_user_and_key_is_stateless(asked):
    assert key_of(**asked) is None


@given(st.text(min_size=1, max_size=40), st.text(min_size=1, max_size=40), st.text(max_size=40))
def test_two_verified_users_never_share_a_conversation(first, second, asked):
    keys = [
        key_of(asked, asked, principal=Principal(name, frozenset({"operator.write"}), owner=False, shared_secret=False))
        for name in (first, second, None)
        if not any("\ud800" <= char <= "\udfff" for char in asked) and not asked.strip().lower().startswith("user:")
    ]
    printed = [str(key) for key in keys if key is not None]
    assert len(set(printed)) == len({key.owner for key in keys if key is not None})


@given(st.none() | st.text(min_size=1), st.text(min_size=1, max_size=60))
def test_a_printed_key_is_read_as_the_same_key(owner, name):
    key = SessionKey(owner, "main", name)
    assert parse_session_key(str(key)) == key


def test_another_users_conversation_needs_the_admin_scope_and_the_exact_identity():
    theirs = "user:Alice%40example.com:agent:main:K"
    assert key_of(theirs, principal=ADMIN) == SessionKey("Alice@example.com", "main", "k")
    assert key_of(theirs) == SessionKey("Alice@example.com", "main", "k")
    with pytest.raises(MissingScope):  # the scope alone, which every user has without a header
        key_of(theirs, principal=Principal("root@example.com", ALL_SCOPES, owner=True, shared_secret=False))
    with pytest.raises(MissingScope):
        key_of(theirs, principal=ALICE)  # another identity: they differ in case
    own = str(SessionKey("alice@example.com", "main", "k"))
    assert key_of(own, principal=ALICE) == SessionKey("alice@example.com", "main", "k")


def test_another_agents_conversation_is_a_bad_request():
    with pytest.raises(BadRequest, match="agent 'other'"):
        key_of("agent:other:main")


@pytest.mark.parametrize("user", ["x" * 1025, "\ud83d"])
def test_a_name_that_no_store_can_store_is_a_bad_request(user):
    with pytest.raises(BadRequest, match="`user`"):
        key_of(user=user)


@pytest.mark.parametrize(
    "header",
    ["subagent:x", " cron:x", "ACP:x", "harness:codex:x", "agent:main:cron:x", "user:bob:agent:main:acp:x"],
)
def test_reserved_names_are_refused(header):
    with pytest.raises(BadRequest, match="reserved"):
        check_session_header(header)


@pytest.mark.parametrize("header", [None, "", "hook:x", "global", "incognito:zzz", "agent:main:openai-user:u1"])
def test_other_names_are_not_reserved(header):
    check_session_header(header)
