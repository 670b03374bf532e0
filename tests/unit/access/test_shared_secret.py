import pytest

from gateway.access.outcome import Authenticated, Rejected
from gateway.access.shared_secret import SharedSecret
from gateway.core.identity import OWNER

TOKEN = "token-0123456789abcdef"


@pytest.fixture
def authenticate(headers, direct):
    secret = SharedSecret("token", TOKEN)
    client = direct("203.0.113.7")
    return lambda *pairs: secret.authenticate(client, headers(*pairs))


def test_the_right_secret_makes_the_owner(authenticate):
    assert authenticate(("Authorization", f"Bearer {TOKEN}")) == Authenticated(OWNER, "token")


@pytest.mark.parametrize(
    "guess",
    [TOKEN[:-1], TOKEN + "x", TOKEN.upper(), f'"{TOKEN}"', f"{TOKEN} extra", "x", "é", "\udcff\udce9", "x" * 8_000],
)
def test_anything_else_is_a_wrong_secret(authenticate, guess):
    assert authenticate(("Authorization", f"Bearer {guess}")) == Rejected("wrong", "token")


@pytest.mark.parametrize("value", ["", "Bearer", "Bearer ", "Basic dTpw", TOKEN, f"Bearer\t{TOKEN}"])
def test_no_bearer_is_a_missing_secret(authenticate, value):
    assert authenticate(("Authorization", value)) == Rejected("missing", "token")


def test_a_good_header_behind_a_bad_one_does_not_help(authenticate):
    outcome = authenticate(("Authorization", "Bearer wrong"), ("Authorization", f"Bearer {TOKEN}"))
    assert outcome == Rejected("wrong", "token")


@pytest.mark.parametrize("scopes", ["", "operator.read", "nonsense"])
def test_the_scopes_header_narrows_nothing(authenticate, scopes):
    outcome = authenticate(("Authorization", f"Bearer {TOKEN}"), ("x-openclaw-scopes", scopes))
    assert outcome == Authenticated(OWNER, "token")


def test_origin_does_not_matter(authenticate):
    outcome = authenticate(("Authorization", f"Bearer {TOKEN}"), ("Origin", "https://evil.example.com"))
    assert outcome == Authenticated(OWNER, "token")


def test_secrets_beyond_ascii_work(headers, direct):
    secret = SharedSecret("password", "größer")
    outcome = secret.authenticate(direct("203.0.113.7"), headers(("Authorization", "Bearer größer")))
    assert outcome == Authenticated(OWNER, "password")


def test_the_secret_is_not_stored(headers):
    secret = SharedSecret("token", TOKEN)
    assert TOKEN not in repr(secret)
    assert TOKEN not in repr(vars(secret))
