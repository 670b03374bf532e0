"""Credential → outcome → verdict. `access` authenticates the credential, then the lockout accepts or refuses.

The limiter decides before any handler runs and never wraps one, so a provider's 401 can't count as a failed login.
"""

from collections.abc import Awaitable

from aiohttp import web

from gateway.access.client import ClientAddress
from gateway.access.outcome import Outcome, Rejected
from gateway.core.errors import Unavailable
from gateway.http.keys import AUTHENTICATOR, CLIENT, LOCKOUT, PRINCIPAL, REJECTED
from ratelimit import StorageUnavailable


def authenticate(request: web.Request) -> Awaitable[None] | None:
    """Add PRINCIPAL or REJECTED. Returns an awaitable only if the limiter must decide.

    Raises Unauthorized, LockedOut or Unavailable.
    """
    client = request[CLIENT]
    outcome = request.app[AUTHENTICATOR].authenticate(client, request.headers)
    principal = request.app[LOCKOUT].admit_now(outcome, client)
    if principal is None:
        return _decide(request, outcome, client)
    request[PRINCIPAL] = principal
    return None


async def _decide(request: web.Request, outcome: Outcome, client: ClientAddress) -> None:
    if isinstance(outcome, Rejected):
        request[REJECTED] = outcome
    try:
        request[PRINCIPAL] = await request.app[LOCKOUT].admit(outcome, client)
    except StorageUnavailable:  # only with `failureMode: "deny"`
        raise Unavailable(
            "The gateway can't count failed attempts now, so it did not check this one. Try again."
        ) from None
