"""Mode `none`: accepts every caller of this machine, except web pages that are not allowed."""

from gateway.access.bearer import CredentialReader, bearer
from gateway.access.client import ClientAddress
from gateway.access.headers import Headers
from gateway.access.host import HostPolicy
from gateway.access.origin import OriginPolicy
from gateway.access.outcome import Authenticated, Outcome, Rejected
from gateway.access.scopes import ScopePolicy

_WRONG_ORIGIN = Rejected("refused", why="the Origin is not in gateway.controlUi.allowedOrigins")
_WRONG_HOST = Rejected("refused", why="the Host is not this machine's, nor in gateway.controlUi.allowedOrigins")
_CROSS_SITE = Rejected("refused", why="a page of another site made the browser send this request")


class OpenAccess:
    """Checks Host, Origin and the declared scopes only. A bearer credential has no effect (recorded).

    `Host` and `Sec-Fetch-Site` are ours: a browser sends no Origin with a GET of a page that it takes for this
    gateway's own (DNS rebinding), nor with one that it makes without permission to read the answer.
    """

    def __init__(self, origins: OriginPolicy, hosts: HostPolicy, scopes: ScopePolicy) -> None:
        self._origins = origins
        self._hosts = hosts
        self._scopes = scopes

    def authenticate(self, client: ClientAddress, headers: Headers, _credential: CredentialReader = bearer) -> Outcome:
        """A principal without a name, or `refused` for a wrong Host or Origin or a request across sites."""
        if not self._hosts.allows(headers):
            return _WRONG_HOST
        if not self._origins.allows(headers, local=client.loopback):
            return _WRONG_ORIGIN
        if headers.get("Sec-Fetch-Site") == "cross-site" and not headers.get("Origin"):
            return _CROSS_SITE
        return Authenticated(self._scopes.principal(None, headers))
