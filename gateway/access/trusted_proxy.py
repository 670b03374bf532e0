"""Mode `trusted-proxy`: a proxy in front has authenticated the user and says so in a header."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from gateway.access.address import parse_address
from gateway.access.client import ClientAddress
from gateway.access.headers import Headers
from gateway.access.origin import OriginPolicy
from gateway.access.outcome import Authenticated, Outcome, Rejected
from gateway.access.own_address import is_own_address
from gateway.access.scopes import ScopePolicy
from gateway.access.shared_secret import SharedSecret

_CACHED_PROXIES = 256
_REFUSED = Rejected("refused")


@dataclass(frozen=True, slots=True)
class ProxyRules:
    """`gateway.auth.trustedProxy`. Header names in any case; `allow_users` is exact, empty allows every user."""

    user_header: str
    required_headers: Sequence[str] = ()
    allow_users: Sequence[str] = ()
    allow_loopback: bool = False


class TrustedProxy:
    """Believes the identity headers of a trusted proxy (recorded).

    Checked in order: the peer is a trusted proxy; not loopback, unless allowed; not another own address of this
    machine, because then any local process could pose as the proxy; required headers and the user header are not blank;
    the user is allowed; the Origin is. A `fallback` secret lets direct loopback callers in as the owner. Failed
    identities are never counted, failed fallback secrets are.
    """

    def __init__(
        self,
        rules: ProxyRules,
        origins: OriginPolicy,
        scopes: ScopePolicy,
        fallback: SharedSecret | None = None,
        own_address: Callable[[str], bool] = is_own_address,
    ) -> None:
        self._rules = rules
        self._users = frozenset(rules.allow_users)
        self._origins = origins
        self._scopes = scopes
        self._fallback = fallback
        self._own_address = own_address
        # Own addresses hardly ever change while the process lives; asking the kernel each time costs two calls.
        self._may_speak = lru_cache(_CACHED_PROXIES)(self._is_credible)

    def authenticate(self, client: ClientAddress, headers: Headers) -> Outcome:
        """The user's principal, the owner by the fallback secret, or why not."""
        user = self._user(client, headers)
        if user is not None:
            # A loopback Origin is never good here, even from a loopback proxy: the browser is somewhere else.
            if not self._origins.allows(headers.get("Origin"), local=False):
                return _REFUSED
            return Authenticated(self._scopes.principal(user, headers))
        if self._fallback is None or not client.loopback:
            return _REFUSED
        return self._fallback.authenticate(client, headers)

    def _user(self, client: ClientAddress, headers: Headers) -> str | None:
        if client.proxy is None or not self._may_speak(client.proxy):
            return None
        if any(not (headers.get(name) or "").strip() for name in self._rules.required_headers):
            return None
        user = (headers.get(self._rules.user_header) or "").strip()
        if not user or (self._users and user not in self._users):
            return None
        return user

    def _is_credible(self, proxy: str) -> bool:
        address = parse_address(proxy)
        if address is None or address.is_loopback:
            return address is not None and self._rules.allow_loopback
        return not self._own_address(proxy)
