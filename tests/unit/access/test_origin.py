import pytest
from multidict import CIMultiDict

from gateway.access.origin import OriginPolicy


def sent(*origins):
    return CIMultiDict([("Origin", origin) for origin in origins if origin is not None])


ALLOWED = OriginPolicy(["https://ok.example.com", " HTTP://Port.Example.com:8080/ "])


@pytest.mark.parametrize(
    "origin",
    [
        None,
        "",
        "  ",
        "https://ok.example.com",
        "https://OK.example.com",
        "https://ok.example.com:443",
        "http://port.example.com:8080",
    ],
)
@pytest.mark.parametrize("local", [True, False])
def test_no_origin_and_allowed_origins_pass(origin, local):
    assert ALLOWED.allows(sent(origin), local=local)


@pytest.mark.parametrize(
    "origin",
    [
        "null",
        "https://evil.example.com",
        "http://ok.example.com",
        "https://ok.example.com:8443",
        "https://ok.example.com.evil.com",
        "https://ok.example.com@evil.com",
        "https://evil.com#https://ok.example.com",
        "https://evil.com\\@ok.example.com",
        "https://evil.com, https://ok.example.com",
        "https://ok.example.com/path",
        "https://ok.example.com:99999x",
        "https://",
        "ok.example.com",
        "http://localhost.evil.com",
        "http://127.0.0.1.evil.com",
    ],
)
@pytest.mark.parametrize("local", [True, False])
def test_other_origins_do_not(origin, local):
    assert not ALLOWED.allows(sent(origin), local=local)


@pytest.mark.parametrize(
    "origin",
    ["http://localhost", "http://localhost:5173", "https://127.0.0.1:3000", "http://127.8.8.8", "http://[::1]:8080"],
)
def test_loopback_origins_pass_from_loopback_only(origin):
    assert OriginPolicy().allows(sent(origin), local=True)
    assert not OriginPolicy().allows(sent(origin), local=False)


def test_the_star_allows_every_origin_but_null():
    assert OriginPolicy(["*"]).allows(sent("https://any.example.com"), local=False)
    assert not OriginPolicy(["*"]).allows(sent("null"), local=False)


def test_an_entry_that_is_no_origin_allows_nothing():
    assert not OriginPolicy(["null", ""]).allows(sent("null"), local=True)


@pytest.mark.parametrize("policy", [ALLOWED, OriginPolicy(["*"])])
def test_two_origins_are_none_that_may_enter(policy):
    good = "https://ok.example.com"
    assert not policy.allows(sent(good, good), local=True)
    assert not policy.allows(sent("", good), local=True)
    assert not policy.allows(sent(good, "http://localhost"), local=True)
