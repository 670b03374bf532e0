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
_WRONG_ORIGIN = Rejected("refused", why="the Origin is not in gateway.controlUi.allowedOrigins")
_NO_PROXY = Rejected("refused", why="the peer is not in gateway.trustedProxies")
_LOOPBACK_PROXY = Rejected("refused", why="the proxy is on loopback, and trustedProxy.allowLoopback is not set")
_OWN_PROXY = Rejected("refused", why="the proxy's address is one of this machine's own")
_NO_USER = Rejected("refused", why="the user header is missing, blank or there twice")
_UNREADABLE_USER = Rejected("refused", why="the user header is not UTF-8")
_WRONG_USER = Rejected("refused", why="the user is not in trustedProxy.allowUsers")


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
        self._objection = lru_cache(_CACHED_PROXIES)(self._find_objection)

    def authenticate(self, client: ClientAddress, headers: Headers) -> Outcome:
        """The user's principal, the owner by the fallback secret, or why not."""
        user = self._user(client, headers)
        if isinstance(user, str):
            # A loopback Origin is never good here, even from a loopback proxy: the browser is somewhere else.
            if not self._origins.allows(headers, local=False):
                return _WRONG_ORIGIN
            return Authenticated(self._scopes.principal(user, headers))
        if self._fallback is None or not client.loopback:
            return user
        return self._fallback.authenticate(client, headers)

    def _user(self, client: ClientAddress, headers: Headers) -> str | Rejected:
        if client.proxy is None:
            return _NO_PROXY
        if (objection := self._objection(client.proxy)) is not None:
            return objection
        for name in self._rules.required_headers:
            if not any(value.strip() for value in headers.getall(name, ())):
                return Rejected("refused", why=f"the required header {name} is missing or blank")
        # Of two users one was written by the caller, if the proxy appends where it should overwrite.
        said = headers.getall(self._rules.user_header, ())
        user = said[0].strip() if len(said) == 1 else ""
        if not user:
            return _NO_USER
        if not user.isascii() and any("\ud800" <= letter <= "\udfff" for letter in user):
            return _UNREADABLE_USER  # bytes that arrived as surrogates: what is kept for a user needs a name in letters
        return _WRONG_USER if self._users and user not in self._users else user

    def _find_objection(self, proxy: str) -> Rejected | None:
        address = parse_address(proxy)
        if address is not None and address.is_loopback:
            return None if self._rules.allow_loopback else _LOOPBACK_PROXY
        return _OWN_PROXY if self._own_address(proxy) else None
