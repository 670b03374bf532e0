"""Credential → outcome → verdict. `access` authenticates the credential, then the lockout accepts or refuses.

The limiter decides before any handler runs and never wraps one, so a provider's 401 can't count as a failed login.
"""

from collections.abc import Awaitable, Callable

from aiohttp import web

from gateway.access.bearer import CredentialReader
from gateway.access.client import ClientAddress
from gateway.access.outcome import Outcome, Rejected
from gateway.core.errors import Unavailable
from gateway.http.keys import CLIENT, LOCKOUT, PRINCIPAL, REJECTED, SNAPSHOT
from openclaw_ratelimit import StorageUnavailable


def authenticates(credential: CredentialReader) -> Callable[[web.Request], Awaitable[None] | None]:
    """A check that reads the credential of its route in this way.

    It adds PRINCIPAL or REJECTED, and returns an awaitable only if the limiter must decide. Raises Unauthorized,
    LockedOut or Unavailable.
    """

    def authenticate(request: web.Request) -> Awaitable[None] | None:
        client = request[CLIENT]
        outcome = request[SNAPSHOT].authenticator.authenticate(client, request.headers, credential)
        principal = request.app[LOCKOUT].admit_now(outcome, client)
        if principal is None:
            return _decide(request, outcome, client)
        request[PRINCIPAL] = principal
        return None

    return authenticate


async def _decide(request: web.Request, outcome: Outcome, client: ClientAddress) -> None:
    if isinstance(outcome, Rejected):
        request[REJECTED] = outcome
    try:
        request[PRINCIPAL] = await request.app[LOCKOUT].admit(outcome, client)
    except StorageUnavailable:  # only with `failureMode: "deny"`
        raise Unavailable(
            "The gateway can't count failed attempts now, so it did not check this one. Try again."
        ) from None
