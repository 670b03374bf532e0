"""The free call of a wire format: GET of the list of models (`listing`).

It shows whether a provider answers and takes the key, and costs nothing, as a completion would.
"""

import asyncio
from dataclasses import dataclass
from typing import Any

from gateway.core.jsonio import InvalidJSON, loads
from gateway.core.upstream_error import UpstreamError
from gateway.upstream.http import Client
from gateway.upstream.provider import Provider
from gateway.upstream.response_body import read_whole
from gateway.upstream.transport.endpoint import as_get
from gateway.upstream.transport.errors import TransportError
from gateway.wire import UPSTREAMS

_TIMEOUT = 15.0  # seconds for the whole call
_OK = 200


@dataclass(frozen=True, slots=True)
class Listing:
    """`models` are the ids in the list, None if there is no readable list. `date` is the `Date` header, or empty."""

    status: int
    date: str
    models: frozenset[str] | None


def can_list(provider: Provider) -> bool:
    """Whether the provider's wire format has a free call, and its calls need no signature."""
    return provider.signer is None and UPSTREAMS[provider.wire].listing is not None


async def list_models(provider: Provider, http: Client) -> Listing:
    """Ask for the models with this row's key; only where `can_list`. Raises TransportError, also after 15 seconds."""
    call = UPSTREAMS[provider.wire].listing
    if call is None:
        raise AssertionError(f"{provider.wire} has no list of models")
    get = as_get(provider.endpoint(call.path, call.headers))
    try:
        async with asyncio.timeout(_TIMEOUT):
            response = await http.post(get, b"", fresh=True)
            try:
                models = _models(await read_whole(response)) if response.status == _OK else None
                return Listing(response.status, response.headers.get("date", ""), models)
            finally:
                response.abandon()
    except TimeoutError as error:
        raise TransportError(f"sent no answer within {_TIMEOUT:g} s") from error
    except UpstreamError as error:
        raise TransportError("sent a list that is too large") from error


def _models(body: bytes) -> frozenset[str] | None:
    """The ids in `{data: [{id}]}`, in `{models: [{name}]}` or in a list of such objects."""
    try:
        payload = loads(body)
    except InvalidJSON:
        return None
    rows: Any = payload
    if isinstance(payload, dict):
        rows = payload.get("data", payload.get("models"))
    if not isinstance(rows, list):
        return None
    names = (row.get("id") or row.get("name") for row in rows if isinstance(row, dict))
    return frozenset(name.removeprefix("models/") for name in names if isinstance(name, str))
