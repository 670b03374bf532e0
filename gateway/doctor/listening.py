"""Whether the gateway could listen on its port. Its own running instance is no fault."""

import json
import socket
import ssl
import urllib.request
from collections.abc import Iterator
from http.client import HTTPException

from gateway.doctor.finding import Finding
from gateway.doctor.setup import Setup

_TIMEOUT = 2.0  # seconds


def check_port(setup: Setup, host: str) -> Iterator[Finding]:
    """Try to listen on `host` and the configured port."""
    if setup.valid is None:
        return
    gateway = setup.valid.loaded.config.gateway
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        socket.create_server((host, gateway.port), family=family).close()
    except OSError as error:
        if not _is_gateway(gateway.port, tls=gateway.tls.enabled):
            fix = f"stop the other program (ss -ltnp 'sport = :{gateway.port}'), or set gateway.port to a free one"
            yield Finding("port.taken", f"{host}:{gateway.port} can't be used: {error.strerror}", fix)


def _is_gateway(port: int, *, tls: bool) -> bool:
    """Whether a gateway of ours answers there. No credential is sent, so its certificate does not matter."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    url = f"{'https' if tls else 'http'}://127.0.0.1:{port}/healthz"
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context))
    try:
        with opener.open(url, timeout=_TIMEOUT) as response:
            return bool(json.load(response) == {"ok": True, "status": "live"})
    except (OSError, HTTPException, ValueError):
        return False
