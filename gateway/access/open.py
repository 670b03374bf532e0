"""Mode `none`: accepts every caller, except browser origins that are not allowed."""

from gateway.access.bearer import CredentialReader, bearer
from gateway.access.client import ClientAddress
from gateway.access.headers import Headers
from gateway.access.origin import OriginPolicy
from gateway.access.outcome import Authenticated, Outcome, Rejected
from gateway.access.scopes import ScopePolicy

_WRONG_ORIGIN = Rejected("refused", why="the Origin is not in gateway.controlUi.allowedOrigins")


class OpenAccess:
    """Checks the Origin and the declared scopes only. A bearer credential has no effect (recorded)."""

    def __init__(self, origins: OriginPolicy, scopes: ScopePolicy) -> None:
        self._origins = origins
        self._scopes = scopes

    def authenticate(self, client: ClientAddress, headers: Headers, _credential: CredentialReader = bearer) -> Outcome:
        """A principal without a name, or `refused` for a wrong Origin."""
        if not self._origins.allows(headers, local=client.loopback):
            return _WRONG_ORIGIN
        return Authenticated(self._scopes.principal(None, headers))
