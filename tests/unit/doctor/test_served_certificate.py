"""The certificate on the wire against that of the file."""

import asyncio
import contextlib
import ssl

from tests.certificates import Authority


@contextlib.asynccontextmanager
async def tls_server(port, certificate, key):
    """Accepts connections with this certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)

    async def accept(_reader, writer):
        writer.close()

    server = await asyncio.start_server(accept, "127.0.0.1", port, ssl=context)
    async with server:
        yield


async def test_a_gateway_that_has_not_loaded_its_new_certificate_is_reported(healthy):
    authority = Authority(healthy.folder / "tls")
    issued = authority.issue("server")
    pair = {"enabled": True, "certPath": str(issued.certificate), "keyPath": str(issued.key)}
    healthy.put("gateway.tls", pair)
    assert await healthy.findings("tls.stale", deep=True) == []  # nobody listens
    async with tls_server(healthy.tree["gateway"]["port"], issued.certificate, issued.key):
        assert await healthy.findings("tls.stale", deep=True) == []
        authority.issue("server")
        (finding,) = await healthy.findings("tls.stale", deep=True)
    assert (finding.id, finding.fix) == ("tls.stale", "openclaw-gateway reload")
    assert str(issued.certificate) in finding.seen
