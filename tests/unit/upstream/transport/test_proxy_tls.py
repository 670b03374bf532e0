"""Proxies that speak TLS themselves: real sockets, real handshakes, one inside the other.

Only with the program's event loop: asyncio's own raises TypeError where a handshake inside another fails (Python 3.11).
"""

import asyncio
from typing import Any

import pytest

from gateway.upstream.transport.errors import CannotConnect, TlsFailed
from tests.certificates import Authority
from tests.unit.upstream.test_routes import HOST, answer, authority, context_of, listening, pem, row, server, tunnelling

__all__ = ["authority"]  # a fixture

pytestmark = pytest.mark.asyncio(loop_factories=["uvloop"])


def through(port: int, authority: Authority, **tls: Any) -> dict[str, Any]:
    """The settings of a proxy that speaks TLS on this machine."""
    url = f"https://me:pass@127.0.0.1:{port}"
    return {"mode": "explicit-proxy", "url": url, "tls": {"ca": pem(authority.file), **tls}}


async def test_a_plain_address_is_asked_of_a_proxy_over_tls(authority: Authority):
    async with server(context_of(authority.issue("proxy"))) as (port, heads):
        assert await answer(row("http://model.internal/v1", proxy=through(port, authority))) == 200
    assert heads[0].startswith(b"POST http://model.internal/v1/chat HTTP/1.1\r\n")
    assert b"Proxy-Authorization: Basic bWU6cGFzcw==\r\n" in heads[0]


async def test_a_tunnel_through_a_proxy_over_tls_has_the_servers_tls_inside_the_proxys(authority: Authority):
    """Each handshake has a client's certificate, authority and name of its own."""
    models = Authority(authority.file.parent / "models")
    inside = context_of(models.issue("server", HOST))
    outside = context_of(authority.issue("proxy", "proxy.internal"), clients=authority)
    client = authority.issue("gateway", passphrase=b"pass phrase")
    mine = {"cert": pem(client.certificate), "key": pem(client.key), "passphrase": "pass phrase"}
    async with server(inside) as (port, heads), tunnelling(context=outside) as (proxy, asked):
        request = {
            "proxy": through(proxy, authority, serverName="proxy.internal", **mine),
            "tls": {"ca": pem(models.file)},
        }
        provider = row(f"https://{HOST}:{port}/v1", **request)
        assert await answer(provider) == 200
        with pytest.raises(TlsFailed, match=r"^its certificate is not trusted"):
            await answer(row(f"https://another.internal:{port}/v1", **request))
    assert asked[0].startswith(f"CONNECT {HOST}:{port} HTTP/1.1\r\n".encode())
    assert b"Proxy-Authorization" not in heads[0]
    assert {"pass", "pass phrase", pem(client.key)} <= set(provider.secrets)


@pytest.mark.parametrize("url", ["http://model.internal/v1", "https://model.internal/v1"])
async def test_a_proxy_that_can_not_be_trusted_or_reached_is_named(url: str, authority: Authority):
    async with server(context_of(authority.issue("proxy", "another.internal"))) as (port, _):
        with pytest.raises(TlsFailed, match=rf"the certificate of the proxy 127\.0\.0\.1:{port} is not trusted"):
            await answer(row(url, proxy=through(port, authority)))
    with pytest.raises(CannotConnect, match=rf"the proxy 127\.0\.0\.1:{port} refused the connection"):
        await answer(row(url, proxy=through(port, authority)))

    async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"hello\n")
        await reader.read()

    async with listening(plain) as port:
        with pytest.raises(TlsFailed, match=rf"the TLS handshake with the proxy 127\.0\.0\.1:{port} failed"):
            await answer(row(url, proxy=through(port, authority)))
    nowhere = {"mode": "explicit-proxy", "url": "https://proxy.invalid:1"}
    with pytest.raises(CannotConnect, match=r"the host name of the proxy proxy\.invalid:1 can't be resolved"):
        await answer(row(url, proxy=nowhere))
