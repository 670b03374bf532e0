"""Credential → outcome → verdict. `access` says what the credential is, the lockout whether its bearer may go on.

The limiter decides before any handler runs and never wraps one, so a provider's 401 can't count as a failed login.
"""

from aiohttp import web
from aiohttp.typedefs import Handler

from gateway.http.keys import AUTHENTICATOR, CLIENT, LOCKOUT, PRINCIPAL


@web.middleware
async def authenticate(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Add PRINCIPAL. Raises Unauthorized or LockedOut."""
    client = request.get(CLIENT)
    if client is None:  # a public route
        return await handler(request)
    app = request.app
    outcome = app[AUTHENTICATOR].authenticate(client, request.headers)
    lockout = app[LOCKOUT]
    request[PRINCIPAL] = lockout.admit_now(outcome, client) or await lockout.admit(outcome, client)
    return await handler(request)
