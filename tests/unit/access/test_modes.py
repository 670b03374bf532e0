import pytest

from gateway.access.modes import build
from gateway.access.outcome import Authenticated, Rejected
from gateway.config.auth import AuthConfig
from gateway.core.errors import ConfigError
from gateway.core.identity import ALL_SCOPES

PROXY = {"userHeader": " X-Auth-User ", "allowLoopback": True}


def auth(mode, **settings):
    return AuthConfig.model_validate({"mode": mode, **settings})


@pytest.mark.parametrize(("mode", "other"), [("token", "password"), ("password", "token")])
def test_a_secret_counts_in_its_own_mode_only(headers, direct, mode, other):
    authenticator = build(auth(mode, token="the-token", password="the-password"))
    client = direct("203.0.113.7")
    right = authenticator.authenticate(client, headers(("Authorization", f"Bearer the-{mode}")))
    wrong = authenticator.authenticate(client, headers(("Authorization", f"Bearer the-{other}")))
    assert isinstance(right, Authenticated)
    assert wrong == Rejected("wrong", mode)


def test_mode_none_knows_the_allowed_origins(headers, direct):
    authenticator = build(auth("none"), allowed_origins=["https://ok.example.com"])
    client = direct("127.0.0.1")
    local = ("Host", "localhost")
    allowed = headers(local, ("Origin", "https://ok.example.com"))
    assert isinstance(authenticator.authenticate(client, allowed), Authenticated)
    assert authenticator.authenticate(client, headers(("Host", "ok.example.com"))) == authenticator.authenticate(
        client, headers(local)
    )
    assert authenticator.authenticate(client, headers(("Origin", "https://no.example.com"))) == Rejected("refused")


def test_mode_trusted_proxy_takes_its_rules_and_the_fallback(headers, direct):
    authenticator = build(auth("trusted-proxy", trustedProxy=PROXY, password="the-password"))
    proxy = direct("127.0.0.1", "127.0.0.1")
    user = authenticator.authenticate(proxy, headers(("X-Auth-User", "zed")))
    owner = authenticator.authenticate(proxy, headers(("Authorization", "Bearer the-password")))
    assert isinstance(user, Authenticated)
    assert user.principal.name == "zed"
    assert isinstance(owner, Authenticated)
    assert owner.credential == "password"


@pytest.mark.parametrize(("applies", "scopes"), [(False, ALL_SCOPES), (True, {"operator.read"})])
def test_identity_scopes_apply_to_http_only_if_configured(headers, direct, applies, scopes):
    settings = {"trustedProxy": PROXY, "identityScopes": {"zed": ["operator.read"]}}
    authenticator = build(auth("trusted-proxy", identityScopesApplyToHttp=applies, **settings))
    outcome = authenticator.authenticate(direct("127.0.0.1", "127.0.0.1"), headers(("X-Auth-User", "zed")))
    assert isinstance(outcome, Authenticated)
    assert outcome.principal.scopes == scopes
    unlisted = authenticator.authenticate(direct("127.0.0.1", "127.0.0.1"), headers(("X-Auth-User", "yan")))
    assert isinstance(unlisted, Authenticated)
    assert unlisted.principal.scopes == (set() if applies else ALL_SCOPES)


def test_without_a_password_trusted_proxy_has_no_fallback(headers, direct):
    authenticator = build(auth("trusted-proxy", trustedProxy=PROXY))
    outcome = authenticator.authenticate(direct("127.0.0.1"), headers(("Authorization", "Bearer x")))
    assert outcome == Rejected("refused")


@pytest.mark.parametrize(
    ("mode", "path"),
    [
        ("token", r"gateway\.auth\.token"),
        ("password", r"gateway\.auth\.password"),
        ("trusted-proxy", r"gateway\.auth\.trustedProxy\.userHeader"),
    ],
)
def test_a_mode_without_what_it_needs_names_the_setting(mode, path):
    with pytest.raises(ConfigError, match=path):
        build(auth(mode))


def test_an_empty_secret_is_no_secret():
    with pytest.raises(ConfigError):
        build(AuthConfig.model_construct(mode="token", token=None))
