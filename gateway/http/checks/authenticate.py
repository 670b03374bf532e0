"""Credential → outcome → verdict. `access` says what the credential is, the lockout whether its bearer may go on.

The limiter decides before any handler runs and never wraps one, so a provider's 401 can't count as a failed login.
"""

from collections.abc import Awaitable

from aiohttp import web

from gateway.access.client import ClientAddress
from gateway.access.outcome import Outcome, Rejected
from gateway.core.errors import Unavailable
from gateway.http.keys import AUTHENTICATOR, CLIENT, LOCKOUT, PRINCIPAL, REJECTED
from openclaw_ratelimit import StorageUnavailable


def authenticate(request: web.Request) -> Awaitable[None] | None:
    """Add PRINCIPAL, at once when nothing stands against it, or REJECTED.

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
        raise Unavailable("Failed attempts can't be counted at the moment, so this one was not judged.") from None
