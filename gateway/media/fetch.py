"""Fetches URLs from requests, without giving clients access to this machine's internal networks (SSRF).

Every address is checked after resolution, and the connection goes to exactly that address, so a name can't change
between check and use (DNS rebinding). Every redirect is checked too. Only public addresses pass. Private, loopback,
link-local, metadata, multicast and reserved ranges don't, and neither does IPv4 inside IPv6. This machine's own public
addresses and its IPv6 network don't pass either: a service may listen there that a firewall keeps from the public.
"""

import asyncio
import socket
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Any

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from gateway.core.errors import BadRequest
from gateway.core.own_address import is_in_own_network
from gateway.media.fair_queue import FairQueue

_NAT64 = ip_network("64:ff9b::/96")
# Special ranges in IANA's registries that some versions of Python consider global; they may lead to internal networks.
# And a public address that is the host itself in Azure: https://learn.microsoft.com/azure/virtual-network/what-is-ip-address-168-63-129-16
_SPECIAL = tuple(
    ip_network(block)
    for block in (
        *("192.0.0.0/24", "192.88.99.0/24", "64:ff9b:1::/48", "3fff::/20", "fec0::/10", "2001:10::/28", "2001:20::/28"),
        "168.63.129.16/32",
    )
)
_MAX_LOOKUPS = 4  # concurrent name lookups
_MAX_FETCHES = 48  # concurrent fetches
_MAX_PER_CALLER = 16
_MAX_WAITING = 512
_CALLER_WAITING = 128
_RESERVED = 256 * 1024  # bytes of a body for which memory is reserved at a time
_BUSY = "Too many URLs wait to be fetched. Send this request again in a moment."
_REDIRECTS = frozenset({301, 302, 303, 307, 308})


@dataclass(frozen=True, slots=True)
class FetchPolicy:
    """`allowlist` has host names; `*.example.com` allows all subdomains. An empty list allows every public host.

    `timeout` is in seconds. `code` is the `code` of the error.
    """

    allowlist: tuple[str, ...] = ()
    max_redirects: int = 3
    timeout: float = 10.0
    code: str = "invalid_image_url"


@dataclass(frozen=True, slots=True)
class Fetched:
    """A body, and its declared `Content-Type`, "" without one."""

    body: bytes
    content_type: str


@dataclass(frozen=True, slots=True)
class Requester:
    """For whom the gateway fetches: `caller` identifies the client in the queue, `hold` reserves memory for more bytes.
    What `hold` raises ends the fetch.
    """

    caller: str = ""
    hold: Callable[[int], None] = lambda _: None


NOBODY = Requester()
"""Takes no memory that counts."""


class _Refused(OSError):
    """The gateway must not connect to this address for a client."""


def is_public(address: str) -> bool:
    """Whether an IP address is public."""
    ip = ip_address(address)
    if isinstance(ip, IPv6Address):
        inner: IPv4Address | None = ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else None)
        if inner is None and ip in _NAT64:
            inner = IPv4Address(int(ip) & 0xFFFFFFFF)
        if inner is not None:
            return False
    if any(ip in block for block in _SPECIAL):
        return False
    return ip.is_global and not ip.is_multicast and not ip.is_reserved


class ThreadedResolver(AbstractResolver):
    """Resolves names in its own threads, so that a name server that does not answer delays other fetches but not the
    lookups of providers. `lookup` is `socket.getaddrinfo`.
    """

    def __init__(self, lookup: Callable[..., list[Any]] = socket.getaddrinfo) -> None:
        self._lookup = lookup
        self._threads = ThreadPoolExecutor(_MAX_LOOKUPS, "url-lookup")

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """All addresses of `host`."""
        results = await asyncio.get_running_loop().run_in_executor(
            self._threads, partial(self._lookup, host, port, family=family, type=socket.SOCK_STREAM)
        )
        return [
            ResolveResult(
                hostname=host,
                host=address[0],
                port=address[1],
                family=result_family,
                proto=protocol,
                flags=socket.AI_NUMERICHOST,
            )
            for result_family, _, protocol, _, address in results
        ]

    async def close(self) -> None:
        """Cancel the waiting lookups."""
        self._threads.shutdown(wait=False, cancel_futures=True)


class PublicResolver(AbstractResolver):
    """Resolves names to public addresses only. The connector connects only to addresses that it returns."""

    def __init__(self, inner: AbstractResolver, allowed: Callable[[str], bool] = is_public) -> None:
        self._inner = inner
        self._allowed = allowed

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """All addresses of `host`. One address that is not public refuses the whole name."""
        results = await self._inner.resolve(host, port, family)
        if not results or not all(self._allowed(result["host"]) for result in results):
            raise _Refused(f"{host} is not a public host")
        return results

    async def close(self) -> None:
        """Close the inner resolver."""
        await self._inner.close()


def host_allowed(host: str, allowlist: Sequence[str]) -> bool:
    """Whether the allowlist contains this host. `*.example.com` allows the subdomains but not `example.com`."""
    host = host.lower().rstrip(".")
    return not allowlist or any(
        host.endswith(entry[1:]) if entry.startswith("*.") else host == entry for entry in allowlist
    )


class Fetcher:
    """Fetches URLs from requests. It has its own HTTP session, without provider connections and credentials.

    `own` says whether an address belongs to this machine or its network. Callers share its connections fairly: a host
    that answers slowly delays the fetches of its own caller only.
    """

    def __init__(
        self,
        policy: FetchPolicy,
        resolver: AbstractResolver | None = None,
        own: Callable[[str], bool] = is_in_own_network,
    ) -> None:
        self._policy = policy
        self._own = own
        self._queue = FairQueue(
            _MAX_FETCHES, _MAX_PER_CALLER, max_waiting=_MAX_WAITING, caller_waiting=_CALLER_WAITING, refusal=_BUSY
        )
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                resolver=PublicResolver(resolver or ThreadedResolver(), self._allowed),
                use_dns_cache=False,
                force_close=True,
            ),
            headers={"User-Agent": "openclaw-gateway"},  # without the versions of Python and aiohttp
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=policy.timeout),
            trust_env=False,
        )

    async def close(self) -> None:
        """Close the session."""
        await self._session.close()

    async def fetch(self, url: str, max_bytes: int, requester: Requester = NOBODY) -> Fetched:
        """Fetch `url`. Raises BadRequest for every failure, without details, which could describe internal networks;
        and Overloaded if too many fetches wait, or without memory.
        """
        try:
            async with self._queue.slot(requester.caller), asyncio.timeout(self._policy.timeout):
                return await self._follow(URL(url), max_bytes, requester.hold)
        except (aiohttp.ClientError, OSError, ValueError):
            raise BadRequest("The URL in the request could not be fetched.", code=self._policy.code) from None

    async def _follow(self, url: URL, max_bytes: int, hold: Callable[[int], None]) -> Fetched:
        for _ in range(self._policy.max_redirects + 1):
            self._check(url)
            async with self._session.get(url, allow_redirects=False) as response:
                location = response.headers.get("Location")
                if response.status in _REDIRECTS and location:
                    url = url.join(URL(location))
                    continue
                if response.status != 200:
                    raise ValueError("the status is not 200")
                body, reserved = bytearray(), 0
                async for chunk in response.content.iter_any():
                    body += chunk
                    if len(body) > max_bytes:
                        raise ValueError("too large")
                    if len(body) - reserved > _RESERVED:
                        hold(len(body) - reserved)
                        reserved = len(body)
                return Fetched(bytes(body), response.headers.get("Content-Type", ""))
        raise ValueError("too many redirects")

    def _check(self, url: URL) -> None:
        if url.scheme not in ("http", "https") or not url.host or url.user or url.password:
            raise ValueError("not a plain http(s) URL")
        if not host_allowed(url.host, self._policy.allowlist):
            raise ValueError("host not allowed")
        try:
            literal = ip_address(url.host)
        except ValueError:
            if url.host.rstrip(".").rpartition(".")[2].lower().startswith(tuple("0123456789")):
                # Number-like names (2130706433, 0x7f.1, 127.1) are addresses to some resolvers.
                raise ValueError("not a host name") from None
            return
        if not self._allowed(str(literal)):
            raise ValueError("not a public address")

    def _allowed(self, address: str) -> bool:
        return is_public(address) and not self._own(address)
