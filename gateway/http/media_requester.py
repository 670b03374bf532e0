"""For whom the gateway fetches and reads the media of a request: see `gateway.media.fetch.Requester`."""

from functools import partial

from aiohttp import web

from gateway.http.keys import CLIENT, PRINCIPAL
from gateway.http.large_bodies import hold
from gateway.http.quota import identity
from gateway.media.fetch import Requester


def requester_of(request: web.Request) -> Requester:
    """Fetched data count in the budget of large bodies, until the request ends."""
    caller = identity(request[PRINCIPAL], request[CLIENT])
    return Requester(caller, partial(hold, request, caller))
