"""Attributes a request to a client: the socket's peer, or the address that a trusted proxy names.

Authentication follows later.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from gateway.access.address import Address, TrustedNetworks, client_key, may_be_client, parse_address
from gateway.access.headers import Headers
from gateway.core.errors import ProxyAttributionRequired

UNKNOWN_HOST = "unknown"
"""The host of peers without an IP address, such as a Unix socket. Their failures count together (recorded)."""

_CACHED_CLIENTS = 4096
_MAX_CACHED_CHAIN = 256  # characters; a client controls a part of the chain, so a cache entry needs a bound
_NO_PROXY = "the request has proxy headers, but the peer is not in gateway.trustedProxies"
_NO_CLIENT = "the trusted proxy names no usable client address"
_EVIDENCE_INITIALS = frozenset("fFtTxX")
_EVIDENCE_PREFIXES = ("x-forwarded-", "tailscale-")
_EVIDENCE_NAMES = frozenset({"forwarded", "x-real-ip"})


@dataclass(frozen=True, slots=True)
class ClientAddress:
    """The client of a request.

    `host` is the client's address. `loopback` is True for this machine without a proxy. `forwarded` is True if a
    trusted proxy named the client. `key` is the key for counting failures (`address.client_key`). `proxy` is the peer's
    address if it is a trusted proxy, even if the proxy itself is the client.
    """

    host: str
    loopback: bool
    forwarded: bool
    key: str
    proxy: str | None = None


class ClientResolver:
    """Attributes requests to clients as OpenClaw does (recorded).

    Any proxy evidence (`Forwarded`, `X-Real-IP`, `X-Forwarded-*`, `Tailscale-*`) must come from a trusted proxy and
    must name a client that is not loopback. `X-Forwarded-For` is read from the right and trusted hops are skipped.
    Unlike the original, a hop that is not an address makes the chain unusable, because no trusted proxy wrote the part
    left of it. `Via` and `CF-Connecting-IP` are no evidence.

    Results are cached, because few clients send most requests through a proxy.
    """

    def __init__(self, trusted_proxies: Sequence[str], allow_real_ip_fallback: bool = False) -> None:
        self._trusted = TrustedNetworks(trusted_proxies)
        self._allow_real_ip = allow_real_ip_fallback
        self._direct = lru_cache(_CACHED_CLIENTS)(self._resolve_direct)
        self._forwarded = lru_cache(_CACHED_CLIENTS)(self._resolve_forwarded)

    def resolve(self, peer: str | None, headers: Headers) -> ClientAddress:
        """The client of a request. `peer` is the socket's address without port, None if it has no address.

        Raises `ProxyAttributionRequired` if there is proxy evidence but no usable client.
        """
        for name in headers:
            if name[:1] in _EVIDENCE_INITIALS and is_evidence(name):
                return self._attributed(peer or "", headers)
        return self._direct(peer or "")

    def _attributed(self, peer: str, headers: Headers) -> ClientAddress:
        chain = ",".join(headers.getall("X-Forwarded-For", ()))
        # Two X-Real-IP headers join to a text that is not an address, so neither is used.
        real_ip = ",".join(headers.getall("X-Real-IP", ())) if self._allow_real_ip else ""
        cacheable = len(chain) + len(real_ip) <= _MAX_CACHED_CHAIN
        client = (self._forwarded if cacheable else self._resolve_forwarded)(peer, chain, real_ip)
        if client is None:
            raise ProxyAttributionRequired(_NO_CLIENT if self._trusts(peer) else _NO_PROXY)
        return client

    def _trusts(self, peer: str) -> bool:
        proxy = parse_address(peer)
        return proxy is not None and proxy in self._trusted

    def _resolve_direct(self, peer: str) -> ClientAddress:
        address = parse_address(peer)
        if address is None:
            return ClientAddress(host=UNKNOWN_HOST, loopback=False, forwarded=False, key=UNKNOWN_HOST)
        host = str(address)
        return ClientAddress(
            host=host,
            loopback=address.is_loopback,
            forwarded=False,
            key=client_key(address),
            proxy=host if address in self._trusted else None,
        )

    def _resolve_forwarded(self, peer: str, chain: str, real_ip: str) -> ClientAddress | None:
        proxy = parse_address(peer)
        if proxy is None or proxy not in self._trusted:
            return None
        address = self._first_untrusted(chain) or parse_address(real_ip)
        if address is None or not may_be_client(address):
            return None
        return ClientAddress(
            host=str(address), loopback=False, forwarded=True, key=client_key(address), proxy=str(proxy)
        )

    def _first_untrusted(self, chain: str) -> Address | None:
        for hop in reversed(chain.split(",")):
            if not hop.strip(" \t"):
                continue  # RFC 9110 §5.6.1: empty list elements are ignored.
            address = parse_address(hop)
            if address is None or address not in self._trusted:
                return address
        return None


def is_evidence(name: str) -> bool:
    """Whether a header of this name shows that the request came through a proxy."""
    name = name.lower()
    return name.startswith(_EVIDENCE_PREFIXES) or name in _EVIDENCE_NAMES
