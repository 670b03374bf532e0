"""Mode `trusted-proxy`: a proxy authenticates users and sends their identity in a header."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from gateway.access.address import parse_address
from gateway.access.bearer import CredentialReader, bearer
from gateway.access.client import ClientAddress
from gateway.access.headers import Headers
from gateway.access.origin import OriginPolicy
from gateway.access.outcome import Authenticated, Outcome, Rejected
from gateway.access.scopes import ScopePolicy
from gateway.access.shared_secret import SharedSecret
from gateway.core.own_address import is_own_address

_CACHED_PROXIES = 256
_WRONG_ORIGIN = Rejected("refused", why="the Origin is not in gateway.controlUi.allowedOrigins")
_NO_PROXY = Rejected("refused", why="the peer is not in gateway.trustedProxies")
_LOOPBACK_PROXY = Rejected("refused", why="the proxy is on loopback, and trustedProxy.allowLoopback is not set")
_OWN_PROXY = Rejected("refused", why="the proxy's address is one of this machine's own")
_NO_USER = Rejected("refused", why="the user header is missing, blank or sent twice")
_UNREADABLE_USER = Rejected("refused", why="the user header is not UTF-8")
_WRONG_USER = Rejected("refused", why="the user is not in trustedProxy.allowUsers")


@dataclass(frozen=True, slots=True)
class ProxyRules:
    """`gateway.auth.trustedProxy`. Header names are case-insensitive, users are not. No `allow_users` allows all."""

    user_header: str
    required_headers: Sequence[str] = ()
    allow_users: Sequence[str] = ()
    allow_loopback: bool = False


class TrustedProxy:
    """Accepts the identity headers of a trusted proxy (recorded).

    The checks, in order: the peer is a trusted proxy; it is not loopback, unless allowed; it is not another address of
    this machine, because any local process could pose as the proxy; the required headers and the user header are not
    blank; the user is allowed; the Origin is allowed. A `fallback` secret accepts direct loopback callers as the owner.
    Wrong fallback secrets count as failures, refused identities don't.
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
        # This machine's addresses rarely change, and asking the kernel each time costs two system calls.
        self._proxy_refusal = lru_cache(_CACHED_PROXIES)(self._check_proxy)

    def authenticate(self, client: ClientAddress, headers: Headers, credential: CredentialReader = bearer) -> Outcome:
        """The user's principal, the owner for the fallback secret, or the reason for a refusal."""
        user = self._user(client, headers)
        if isinstance(user, str):
            # A loopback Origin is never allowed here, even from a loopback proxy: the browser is on another machine.
            if not self._origins.allows(headers, local=False):
                return _WRONG_ORIGIN
            return Authenticated(self._scopes.principal(user, headers))
        if self._fallback is None or not client.loopback:
            return user
        return self._fallback.authenticate(client, headers, credential)

    def _user(self, client: ClientAddress, headers: Headers) -> str | Rejected:
        if client.proxy is None:
            return _NO_PROXY
        if (refusal := self._proxy_refusal(client.proxy)) is not None:
            return refusal
        for name in self._rules.required_headers:
            if not any(value.strip() for value in headers.getall(name, ())):
                return Rejected("refused", why=f"the required header {name} is missing or blank")
        # With two values, one comes from the client if the proxy appends where it should overwrite.
        values = headers.getall(self._rules.user_header, ())
        user = values[0].strip() if len(values) == 1 else ""
        if not user:
            return _NO_USER
        if not user.isascii() and any("\ud800" <= letter <= "\udfff" for letter in user):
            return _UNREADABLE_USER  # these bytes are not UTF-8, and stored data needs a readable owner
        return _WRONG_USER if self._users and user not in self._users else user

    def _check_proxy(self, proxy: str) -> Rejected | None:
        address = parse_address(proxy)
        if address is not None and address.is_loopback:
            return None if self._rules.allow_loopback else _LOOPBACK_PROXY
        return _OWN_PROXY if self._own_address(proxy) else None
