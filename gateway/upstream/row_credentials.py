"""The credentials of a row: its keys, or the login of the environment, and the address that they belong to."""

from collections.abc import Mapping
from dataclasses import replace

from gateway.config.providers import RequestConfig
from gateway.upstream.authorise import Signer, fixed_headers
from gateway.upstream.aws import region_from
from gateway.upstream.catalog import Row
from gateway.upstream.keys import NamedKey
from gateway.upstream.provider import Provider, secrets_in
from gateway.upstream.routes import route_for
from gateway.upstream.signers import signer_for
from gateway.wire import UPSTREAMS

_NO_REQUEST = RequestConfig()


def with_keys(
    provider: Provider, keys: list[NamedKey], headers: Mapping[str, str], secrets: tuple[str | None, ...] = ()
) -> Provider:
    """The row with its first key, and the same row with each further key as `others`; it has further `secrets`."""
    every = (*(key for _, key in keys), *secrets)
    provider = replace(provider, secrets=secrets_in(every, headers, provider.base_url))
    first, *others = (
        replace(provider, key_id=key_id, api_key=key, headers=fixed_headers(key, headers, provider.key_headers))
        for key_id, key in keys
    )
    return replace(first, others=tuple(others))


def has_credential(wire: str, keys: list[NamedKey], headers: Mapping[str, str]) -> bool:
    """Whether a row has a key, or a header of its own that authorises its requests. `wire` is its `login_format`."""
    format_ = UPSTREAMS.get(wire)
    own = {name.lower() for name in headers} & {"authorization", (format_ and format_.key_header) or ""}
    return keys[0][1] is not None or bool(own)


def login_signer(wire: str, region: str, env: Mapping[str, str], request: RequestConfig = _NO_REQUEST) -> Signer | None:
    """What signs the requests of a row with the login of the environment. Token servers are behind the row's proxy."""
    proxy = RequestConfig(proxy=request.proxy)
    return signer_for(wire, region, env, lambda url: route_for(url, proxy, env))


def region_of(row: Row | None, configured: str | None, env: Mapping[str, str]) -> str:
    """The region of an address that has one."""
    return configured or (region_from(env) if row is not None and "{region}" in row.base_url else "")


def built_in_url(row: Row, env: Mapping[str, str], region: str, keys: list[NamedKey]) -> str:
    """The catalogue's address for calls with these keys, or with the login of the environment."""
    return row.url(env, region) if keys[0][1] else row.url_without_key(env, region)
