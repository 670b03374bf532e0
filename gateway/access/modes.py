"""Settings → authenticator. `shared_secret`, `trusted_proxy` and `open` implement the auth modes."""

import time
from collections.abc import Iterable, Sequence
from typing import Protocol, assert_never

from pydantic import SecretStr

from gateway.access.bearer import CredentialReader, bearer
from gateway.access.client import ClientAddress
from gateway.access.client_keys import KeyReplica, KeyRing
from gateway.access.headers import Headers
from gateway.access.host import HostPolicy
from gateway.access.open import OpenAccess
from gateway.access.origin import OriginPolicy
from gateway.access.outcome import Credential, Outcome
from gateway.access.scopes import ScopePolicy
from gateway.access.shared_secret import SharedSecret
from gateway.access.trusted_proxy import ProxyRules, TrustedProxy
from gateway.config.auth import AuthConfig
from gateway.core.client_key import KeyRecord
from gateway.core.errors import ConfigError
from gateway.core.identity import Scope


class Authenticator(Protocol):
    """Authenticates requests. It returns refusals and never raises them."""

    def authenticate(
        self, client: ClientAddress, headers: Headers, credential: CredentialReader = bearer, /
    ) -> Outcome:
        """The caller's principal, or the reason for a refusal; `credential` finds a secret in the headers."""
        ...


def build(
    auth: AuthConfig,
    *,
    allowed_origins: Sequence[str] = (),
    allowed_hosts: Sequence[str] = (),
    declared: Iterable[KeyRecord] = (),
    stored: KeyReplica | None = None,
) -> Authenticator:
    """The authenticator of the configured mode. Settings of other modes have no effect.

    `allowed_origins` is `gateway.controlUi.allowedOrigins`, `allowed_hosts` is `gateway.http.allowedHosts`. `declared`
    are the keys of `gateway.keys`, `stored` those that are made at run time, None where nobody can make any; both work
    in the modes `token` and `password`. Raises `ConfigError` if the mode's secret is missing.
    """
    match auth.mode:
        case "token":
            keys = _keys("token", declared, stored)
            return SharedSecret("token", _required(auth.token, "gateway.auth.token"), keys)
        case "password":
            keys = _keys("password", declared, stored)
            return SharedSecret("password", _required(auth.password, "gateway.auth.password"), keys)
        case "none":
            return OpenAccess(OriginPolicy(allowed_origins), HostPolicy(allowed_origins, allowed_hosts), ScopePolicy())
        case "trusted-proxy":
            return TrustedProxy(_rules(auth), OriginPolicy(allowed_origins), _scopes(auth), _fallback(auth.password))
        case _:
            assert_never(auth.mode)


def _keys(credential: Credential, declared: Iterable[KeyRecord], stored: KeyReplica | None) -> KeyRing | None:
    return None if stored is None else KeyRing(credential, declared, stored, time.time)


def _rules(auth: AuthConfig) -> ProxyRules:
    rules = auth.trusted_proxy
    if not rules.user_header.strip():
        raise ConfigError(("gateway.auth.trustedProxy.userHeader: missing; name the header with the user's identity",))
    return ProxyRules(rules.user_header.strip(), rules.required_headers, rules.allow_users, rules.allow_loopback)


def _scopes(auth: AuthConfig) -> ScopePolicy:
    by_user: dict[str | None, frozenset[str]] = {
        user: frozenset(scopes) for user, scopes in auth.identity_scopes.items()
    }
    admins = frozenset(user for user, scopes in auth.identity_scopes.items() if Scope.ADMIN in scopes)
    return ScopePolicy(by_user if auth.identity_scopes_apply_to_http else None, admins.union(auth.trusted_proxy.admins))


def _fallback(password: SecretStr | None) -> SharedSecret | None:
    return SharedSecret("password", password.get_secret_value()) if password else None


def _required(secret: SecretStr | None, path: str) -> str:
    if not secret:
        raise ConfigError((f"{path}: missing or empty; this auth mode needs it",))
    return secret.get_secret_value()
