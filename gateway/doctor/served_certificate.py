"""Whether the running gateway presents the certificate of its file: one that loads no changed files may not."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from datetime import UTC, datetime

from gateway.doctor.certificate import expiry, first_certificate
from gateway.doctor.finding import Finding
from gateway.doctor.setup import Setup
from gateway.validation.certificates import tls_files

_TIMEOUT = 2.0  # seconds


async def check_served_certificate(setup: Setup) -> AsyncIterator[Finding]:
    """Nothing without TLS, or while no gateway listens."""
    if setup.valid is None:
        return
    gateway = setup.valid.loaded.config.gateway
    files = tls_files(gateway.tls)
    if files is None:
        return
    address = (gateway.custom_bind_host or "127.0.0.1", gateway.port)
    try:
        pem = await asyncio.to_thread(ssl.get_server_certificate, address, timeout=_TIMEOUT)
    except OSError:
        return
    presented = ssl.PEM_cert_to_DER_cert(pem)
    if presented != first_certificate(files.certificate):
        until = datetime.fromtimestamp(expiry(presented), UTC).date()
        seen = f"the gateway on port {gateway.port} presents a certificate that expires on {until}, not that of "
        yield Finding("tls.stale", f"{seen}{files.certificate}", "openclaw-gateway reload")
