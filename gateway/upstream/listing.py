"""The free call of each wire format: GET of the list of models. It shows whether a provider answers and takes the key.

Never a completion: those cost money.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gateway.core.jsonio import InvalidJSON, loads
from gateway.core.upstream_error import UpstreamError
from gateway.upstream.http import Client
from gateway.upstream.provider import Provider
from gateway.upstream.response_body import read_whole
from gateway.upstream.transport.endpoint import as_get
from gateway.upstream.transport.errors import TransportError

_TIMEOUT = 15.0  # seconds for the whole call
_OK = 200

# Wire format → the path below the base URL, and the headers that the format needs.
_CALLS: Mapping[str, tuple[str, Mapping[str, str]]] = {
    "openai-completions": ("/models", {}),
    "openai-responses": ("/models", {}),
    "anthropic-messages": ("/v1/models?limit=1000", {"anthropic-version": "2023-06-01"}),
    "google-generative-ai": ("/models?pageSize=1000", {}),
    "ollama": ("/api/tags", {}),
}


@dataclass(frozen=True, slots=True)
class Listing:
    """`models` are the ids in the list, None if there is no readable list. `date` is the `Date` header, or empty."""

    status: int
    date: str
    models: frozenset[str] | None


def can_list(provider: Provider) -> bool:
    """Whether the provider's wire format has a free call, and its calls need no signature."""
    return provider.wire in _CALLS and provider.signer is None


async def list_models(provider: Provider, http: Client) -> Listing:
    """Ask for the models with this row's key. Raises TransportError, also after 15 seconds without an answer."""
    path, headers = _CALLS[provider.wire]
    get = as_get(provider.endpoint(path, headers))
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
