"""Whether the gateway could listen on its port. Its own running instance is no fault."""

import json
import socket
import ssl
import urllib.request
from collections.abc import Iterator
from http.client import HTTPException

from gateway.doctor.certificate import first_certificate
from gateway.doctor.finding import Finding
from gateway.doctor.setup import Setup
from gateway.http.server.tls import TlsFiles
from gateway.validation.certificates import tls_files

_TIMEOUT = 2.0  # seconds
_EVERY = frozenset({"0.0.0.0", "::"})  # noqa: S104  the addresses that mean every interface


def check_port(setup: Setup, host: str) -> Iterator[Finding]:
    """Try to listen on `host` and the configured port."""
    if setup.valid is None:
        return
    gateway = setup.valid.loaded.config.gateway
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        socket.create_server((host, gateway.port), family=family).close()
    except OSError as error:
        if not _is_gateway("127.0.0.1" if host in _EVERY else host, gateway.port, tls_files(gateway.tls)):
            fix = f"stop the other program (ss -ltnp 'sport = :{gateway.port}'), or set gateway.port to a free one"
            yield Finding("port.taken", f"{host}:{gateway.port} can't be used: {error.strerror}", fix)


def _is_gateway(host: str, port: int, tls: TlsFiles | None) -> bool:
    """Whether a gateway of ours answers there. No credential is sent, so whose certificate it shows does not matter."""
    try:
        if tls is not None and tls.authorities is not None:  # without a certificate of a client, nothing can be asked
            shown = ssl.get_server_certificate((host, port), timeout=_TIMEOUT)
            return ssl.PEM_cert_to_DER_cert(shown) == first_certificate(tls.certificate)
        return _is_live(host, port, tls=tls is not None)
    except (OSError, HTTPException, ValueError):
        return False


def _is_live(host: str, port: int, *, tls: bool) -> bool:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context))
    url = f"{'https' if tls else 'http'}://{f'[{host}]' if ':' in host else host}:{port}/healthz"
    # `localhost` is allowed whatever gateway.http.allowedHosts says.
    request = urllib.request.Request(url, headers={"Host": "localhost"})  # noqa: S310  the scheme is http or https
    with opener.open(request, timeout=_TIMEOUT) as response:
        return bool(json.load(response) == {"ok": True, "status": "live"})
